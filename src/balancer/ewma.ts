import { Deadlines } from "../lib/deadlines.ts";
import { mayPick, type Strategy } from "../model/balancer.ts";
import type { Server } from "../model/service.ts";

// How long a slow reply is held against a server: a third of the grudge is left after this time.
const MEMORY_MS = 10_000;
const FAILURE_MS = 1000;

export default {
  name: "ewma",
  summary:
    "Takes the server with the least expected wait: a moving average that jumps up and comes down slowly.",

  create(servers, { random, tickMs }) {
    const turns = new Deadlines(
      servers.map((server) => server.spec.weight),
      random,
    );
    const delays = new Map(servers.map((server) => [server, new PeakDelay(tickMs())]));
    const delayOf = servers.map((server) => delays.get(server)!);
    return {
      pick(_exchange, tried) {
        const nowMs = tickMs();
        let best = -1;
        let bestCost = 0;
        for (let i = 0; i < servers.length; i++) {
          const server = servers[i]!;
          if (!mayPick(server, tried)) continue;
          const cost = (delayOf[i]!.at(nowMs) * (1 + server.inFlight)) / server.spec.weight;
          if (best >= 0 && (cost > bestCost || (cost === bestCost && turns.due(i) >= turns.due(best))))
            continue;
          best = i;
          bestCost = cost;
        }
        if (best < 0) return undefined;
        turns.took(best);
        return servers[best];
      },
      done(server: Server, firstByteMs: number, status: number) {
        const failed = status === 0 || status >= 500;
        delays.get(server)?.add(failed ? Math.max(firstByteMs, FAILURE_MS) : firstByteMs, tickMs());
      },
    };
  },
} satisfies Strategy;

class PeakDelay {
  #ms = 0;
  #atMs: number;

  constructor(nowMs: number) {
    this.#atMs = nowMs;
  }

  /** Fades while nothing is heard, so that a server that was slow once is tried again. */
  at(nowMs: number): number {
    return this.#ms * Math.exp(-(nowMs - this.#atMs) / MEMORY_MS);
  }

  add(sampleMs: number, nowMs: number): void {
    const old = Math.exp(-(nowMs - this.#atMs) / MEMORY_MS);
    this.#ms = sampleMs > this.#ms * old ? sampleMs : this.#ms * old + sampleMs * (1 - old);
    this.#atMs = nowMs;
  }
}
