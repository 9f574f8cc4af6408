/** A number family as Prometheus knows it. */
export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  /** Upper bounds of a histogram's buckets, ascending, without +Inf. */
  readonly bounds?: readonly number[];
}

/**
 * What a data-plane thread tells the control plane about its numbers; the numbers themselves are read from shared
 * memory when somebody asks. A block is a run of slots: one for a counter or gauge, `bounds.length + 2` for a
 * histogram (sum, then the buckets with +Inf last, not cumulated).
 */
export type MeterMessage =
  | {
      readonly kind: "block";
      readonly id: number;
      readonly chunk: SharedArrayBuffer;
      readonly at: number;
      readonly families: readonly Family[];
      /** Flat list, name then value. */
      readonly labels: readonly string[];
    }
  | { readonly kind: "retired"; readonly id: number };

/** The control plane has read a retired block for the last time; its slots may be used again. */
export interface MeterRelease {
  readonly ids: readonly number[];
}

export function slotsOf(family: Family): number {
  return family.type === "histogram" ? family.bounds!.length + 2 : 1;
}
