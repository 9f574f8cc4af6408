import { mayPick, type Strategy } from "../model/balancer.ts";
import type { Server } from "../model/service.ts";

export default {
  name: "p2c",
  summary: "Draws two servers and takes the one with fewer requests under way.",

  create(servers, { random }) {
    return {
      pick(_exchange, tried) {
        let eligible = 0;
        for (let i = 0; i < servers.length; i++) if (mayPick(servers[i]!, tried)) eligible++;
        if (eligible === 0) return undefined;

        const first = Math.floor(random() * eligible);
        if (eligible === 1) return nth(servers, tried, first);
        const step = 1 + Math.floor(random() * (eligible - 1));
        const one = nth(servers, tried, first);
        const other = nth(servers, tried, (first + step) % eligible);
        return other !== undefined && one !== undefined && other.inFlight < one.inFlight ? other : one;
      },
    };
  },
} satisfies Strategy;

function nth(servers: readonly Server[], tried: readonly Server[] | undefined, n: number) {
  let left = n;
  for (let i = 0; i < servers.length; i++) {
    if (mayPick(servers[i]!, tried) && left-- === 0) return servers[i];
  }
  return undefined;
}
