import { TRAFFIC_BOUNDS_MS, type TrafficTotals } from "../model/traffic.ts";
import type { TrafficPoint } from "./shapes.ts";

const INTERVAL_MS = 1000;
const POINTS_MAX = 300;

/** The last five minutes of traffic, second by second. */
export class TrafficHistory {
  readonly #read: () => TrafficTotals;
  readonly #timer: NodeJS.Timeout;
  readonly #points: TrafficPoint[] = [];
  #before: TrafficTotals;
  #atMs = performance.now();

  constructor(read: () => TrafficTotals) {
    this.#read = read;
    this.#before = read();
    this.#timer = setInterval(() => this.#look(), INTERVAL_MS);
    this.#timer.unref();
  }

  /** Those after `sinceMs`, oldest first. */
  points(sinceMs: number): readonly TrafficPoint[] {
    return this.#points.filter(({ atMs }) => atMs > sinceMs);
  }

  totals(): TrafficTotals {
    return this.#read();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const now = this.#read();
    const tookS = Math.max(0.001, (performance.now() - this.#atMs) / 1000);
    this.#atMs = performance.now();
    this.#points.push(pointBetween(this.#before, now, tookS));
    if (this.#points.length > POINTS_MAX) this.#points.shift();
    this.#before = now;
  }
}

function pointBetween(before: TrafficTotals, now: TrafficTotals, seconds: number): TrafficPoint {
  const rate = (of: (totals: TrafficTotals) => number) => round((of(now) - of(before)) / seconds);
  const buckets = now.buckets.map((count, i) => count - before.buckets[i]!);
  return {
    atMs: Date.now(),
    requests: rate((totals) => totals.requests),
    clientErrors: rate(({ classes }) => classes[3]!),
    serverErrors: rate(({ classes }) => classes[4]!),
    faults: rate(({ faults }) => faults),
    bytesIn: rate(({ bytesIn }) => bytesIn),
    bytesOut: rate(({ bytesOut }) => bytesOut),
    medianMs: quantile(buckets, 0.5),
    slowMs: quantile(buckets, 0.95),
  };
}

/** By linear interpolation within the bucket, as Prometheus does it; null when nothing was counted. */
export function quantile(buckets: readonly number[], share: number): number | null {
  const total = buckets.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  let left = total * share;
  for (const [i, count] of buckets.entries()) {
    if (left > count) {
      left -= count;
      continue;
    }
    const from = TRAFFIC_BOUNDS_MS[i - 1] ?? 0;
    const to = TRAFFIC_BOUNDS_MS[i] ?? from;
    return round(from + ((to - from) * left) / Math.max(1, count));
  }
  return TRAFFIC_BOUNDS_MS.at(-1)!;
}

const round = (value: number) => Math.round(value * 100) / 100;
