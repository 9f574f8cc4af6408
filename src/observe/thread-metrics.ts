import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Block, Meter } from "./meter.ts";

const RESOLUTION_MS = 50;
const QUANTILES = [0.5, 0.99, 1] as const;
/** Beats after which the delays are forgotten: longer than most scrapers wait. */
const BEATS_KEPT = 60;

export interface WatchedEntryPoint {
  readonly name: string;
  readonly open: number;
}

/** How one data-plane thread itself does: its connections, its event loop, the lines of its log. */
export class ThreadMetrics {
  readonly #meter: Meter;
  readonly #delays: ReturnType<typeof monitorEventLoopDelay>;
  readonly #quantiles: readonly Block[];
  readonly #open = new Map<string, Block>();
  readonly #dropped: Block;
  #beats = 0;

  constructor(meter: Meter, thread: number) {
    this.#meter = meter;
    this.#delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
    this.#delays.enable();
    const help = "How late timers of the thread's event loop were, over the last half minute.";
    this.#quantiles = QUANTILES.map((quantile) => {
      const labels = ["thread", String(thread), "quantile", String(quantile)];
      return meter.gauge("waybill_event_loop_delay_seconds", help, labels);
    });
    this.#dropped = meter.counter(
      "waybill_access_log_dropped_total",
      "Lines of the access log that were dropped because its file or pipe did not take them.",
    );
  }

  /** Twice a second. */
  beat(entryPoints: readonly WatchedEntryPoint[], droppedLines: number): void {
    for (const { name, open } of entryPoints) this.#openAt(name).set(open);
    this.#dropped.set(droppedLines);
    QUANTILES.forEach((quantile, i) => {
      const late = this.#delays.percentile(quantile * 100) / 1e9 - RESOLUTION_MS / 1000;
      this.#quantiles[i]!.set(Math.max(0, late));
    });
    this.#beats++;
    if (this.#beats % BEATS_KEPT === 0) this.#delays.reset();
  }

  #openAt(entryPoint: string): Block {
    let block = this.#open.get(entryPoint);
    if (block === undefined) {
      const labels = ["entrypoint", entryPoint, "protocol", "TCP"];
      block = this.#meter.gauge("traefik_open_connections", "Connections that clients have open.", labels);
      this.#open.set(entryPoint, block);
    }
    return block;
  }
}
