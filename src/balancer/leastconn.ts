import { Deadlines } from "../lib/deadlines.ts";
import { mayPick, type Strategy } from "../model/balancer.ts";

export default {
  name: "leastconn",
  summary: "Takes the server with the fewest requests under way for its weight.",

  create(servers, { random }) {
    const turns = new Deadlines(
      servers.map((server) => server.spec.weight),
      random,
    );
    return {
      pick(_exchange, tried) {
        let best = -1;
        let bestLoad = 0;
        for (let i = 0; i < servers.length; i++) {
          const server = servers[i]!;
          if (!mayPick(server, tried)) continue;
          const load = (server.inFlight + 1) / server.spec.weight;
          if (best >= 0 && (load > bestLoad || (load === bestLoad && turns.due(i) >= turns.due(best))))
            continue;
          best = i;
          bestLoad = load;
        }
        if (best < 0) return undefined;
        turns.took(best);
        return servers[best];
      },
    };
  },
} satisfies Strategy;
