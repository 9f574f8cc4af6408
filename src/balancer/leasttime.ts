import { Deadlines } from "../lib/deadlines.ts";
import { mayPick, type Strategy } from "../model/balancer.ts";
import type { Server } from "../model/service.ts";

const SAMPLES = 100;
// A server that refuses fast is not a fast server.
const FAILURE_MS = 1000;

export default {
  name: "leasttime",
  summary: "Takes the server with the shortest mean time to the first byte, for its load and weight.",

  create(servers, { random }) {
    const turns = new Deadlines(
      servers.map((server) => server.spec.weight),
      random,
    );
    const means = new Map(servers.map((server) => [server, new Mean()]));
    const meanOf = servers.map((server) => means.get(server)!);
    return {
      pick(_exchange, tried) {
        let best = -1;
        let bestScore = 0;
        for (let i = 0; i < servers.length; i++) {
          const server = servers[i]!;
          if (!mayPick(server, tried)) continue;
          const score = (meanOf[i]!.value * (1 + server.inFlight)) / server.spec.weight;
          if (best >= 0 && (score > bestScore || (score === bestScore && turns.due(i) >= turns.due(best))))
            continue;
          best = i;
          bestScore = score;
        }
        if (best < 0) return undefined;
        turns.took(best);
        return servers[best];
      },
      done(server: Server, firstByteMs: number, status: number) {
        means
          .get(server)
          ?.add(status === 0 || status >= 500 ? Math.max(firstByteMs, FAILURE_MS) : firstByteMs);
      },
    };
  },
} satisfies Strategy;

/** Mean of the last samples; 0 before the first. */
class Mean {
  value = 0;
  readonly #samples = new Float64Array(SAMPLES);
  #count = 0;
  #sum = 0;

  add(sample: number): void {
    const at = this.#count % SAMPLES;
    this.#sum += sample - this.#samples[at]!;
    this.#samples[at] = sample;
    this.#count++;
    this.value = this.#sum / Math.min(this.#count, SAMPLES);
  }
}
