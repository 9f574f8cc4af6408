import { Deadlines } from "../lib/deadlines.ts";
import { mayPick, type Strategy } from "../model/balancer.ts";

export default {
  name: "wrr",
  summary: "Takes the servers in turn, those with greater weights more often.",

  create(servers, { random }) {
    const turns = new Deadlines(
      servers.map((server) => server.spec.weight),
      random,
    );
    return {
      pick(_exchange, tried) {
        let best = -1;
        for (let i = 0; i < servers.length; i++) {
          if (!mayPick(servers[i]!, tried)) continue;
          if (best < 0 || turns.due(i) < turns.due(best)) best = i;
        }
        if (best < 0) return undefined;
        turns.took(best);
        return servers[best];
      },
    };
  },
} satisfies Strategy;
