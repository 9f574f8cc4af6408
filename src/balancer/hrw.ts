import { hash32 } from "../lib/hash.ts";
import { Rendezvous } from "../lib/rendezvous.ts";
import { mayPick, type Strategy } from "../model/balancer.ts";

export default {
  name: "hrw",
  summary: "Keeps each client address on one server by rendezvous hashing.",

  create(servers) {
    const draw = new Rendezvous(
      servers.map((server) => server.spec.id),
      servers.map((server) => server.spec.weight),
    );
    return {
      pick(exchange, tried) {
        const key = hash32(exchange.connection.peerIp);
        let best = -1;
        let bestScore = 0;
        for (let i = 0; i < servers.length; i++) {
          if (!mayPick(servers[i]!, tried)) continue;
          const score = draw.score(i, key);
          if (best >= 0 && score <= bestScore) continue;
          best = i;
          bestScore = score;
        }
        return servers[best];
      },
    };
  },
} satisfies Strategy;
