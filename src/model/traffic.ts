/**
 * What is always counted, whether or not metrics are asked for, so that whoever opens the dashboard sees what went on.
 * Each thread adds to cells of its own, plain additions in shared memory, and the control plane reads them all.
 */
export const TRAFFIC_BOUNDS_MS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000] as const;

const REQUESTS = 0;
/** 1xx to 5xx, and after them those that were cut off without a status. */
const CLASSES = 1;
const FAULTS = 7;
const BYTES_IN = 8;
const BYTES_OUT = 9;
const BUCKETS = 10;
const SLOTS = BUCKETS + TRAFFIC_BOUNDS_MS.length + 1;

export class TrafficCells {
  readonly #cells: Float64Array;
  readonly #at: number;

  static memory(threads: number): SharedArrayBuffer {
    return new SharedArrayBuffer(threads * SLOTS * 8);
  }

  constructor(memory: SharedArrayBuffer, thread: number) {
    this.#cells = new Float64Array(memory);
    this.#at = thread * SLOTS;
  }

  count(status: number, durationMs: number, bytesIn: number, bytesOut: number, failed: boolean): void {
    const cells = this.#cells;
    const at = this.#at;
    const kind = Math.floor(status / 100) - 1;
    cells[at + REQUESTS]! += 1;
    cells[at + CLASSES + (kind >= 0 && kind < 5 ? kind : 5)]! += 1;
    cells[at + BYTES_IN]! += bytesIn;
    cells[at + BYTES_OUT]! += bytesOut;
    if (failed) cells[at + FAULTS]! += 1;
    // A tunnel is open for as long as somebody likes: that says nothing about how fast anyone answers.
    if (status === 101) return;
    let bucket = 0;
    while (bucket < TRAFFIC_BOUNDS_MS.length && durationMs > TRAFFIC_BOUNDS_MS[bucket]!) bucket++;
    cells[at + BUCKETS + bucket]! += 1;
  }
}

/** All threads together, since the start. */
export interface TrafficTotals {
  readonly requests: number;
  /** 1xx to 5xx, and those that were cut off without a status. */
  readonly classes: readonly number[];
  /** Requests that the application did not answer. */
  readonly faults: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** One for each of TRAFFIC_BOUNDS_MS and one above them, not cumulated. */
  readonly buckets: readonly number[];
}

export function readTraffic(memory: SharedArrayBuffer): TrafficTotals {
  const cells = new Float64Array(memory);
  const sums = new Array<number>(SLOTS).fill(0);
  for (let i = 0; i < cells.length; i++) sums[i % SLOTS]! += cells[i]!;
  return {
    requests: sums[REQUESTS]!,
    classes: sums.slice(CLASSES, CLASSES + 6),
    faults: sums[FAULTS]!,
    bytesIn: sums[BYTES_IN]!,
    bytesOut: sums[BYTES_OUT]!,
    buckets: sums.slice(BUCKETS),
  };
}

/** One request as the live view shows it. Without its query and headers: those are where secrets are. */
export interface RequestSample {
  /** Milliseconds since 1970, when the request began. */
  readonly atMs: number;
  readonly durationMs: number;
  /** Until it was sent on: middlewares, and the wait for a connection. -1 if it never was. */
  readonly beforeMs: number;
  /** From then to the reply's head. -1 if there was none. */
  readonly waitMs: number;
  readonly method: string;
  readonly scheme: "http" | "https";
  /** 10, 11 or 20. */
  readonly httpVersion: number;
  readonly host: string;
  readonly path: string;
  readonly hasQuery: boolean;
  readonly status: number;
  readonly client: string;
  readonly username: string | undefined;
  readonly entryPoint: string;
  readonly router: string | undefined;
  readonly service: string | undefined;
  readonly server: string | undefined;
  readonly attempts: number;
  readonly fault: string | undefined;
  readonly detail: string | undefined;
  readonly bytesIn: number;
  readonly bytesOut: number;
}
