/** What a user may set at most; what lies above is left for the proxy's own routers. */
export const PRIORITY_MAX = 2n ** 63n - 1n - 1000n;

/** 0, or nothing written, means the length of the rule in bytes: longer rules are more particular. */
export function effectivePriority(written: bigint, rule: string): bigint {
  return written === 0n ? BigInt(Buffer.byteLength(rule)) : written;
}

/** The order in which routers are tried. It is total, so that the same configuration always routes the same way. */
export function compareRouters(a: Ordered, b: Ordered): number {
  if (a.priority !== b.priority) return a.priority > b.priority ? -1 : 1;
  if (a.precedence !== b.precedence) return a.precedence - b.precedence;
  if (a.createdAtMs !== b.createdAtMs) return a.createdAtMs - b.createdAtMs;
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

export interface Ordered {
  readonly name: string;
  readonly priority: bigint;
  readonly precedence: number;
  readonly createdAtMs: number;
}
