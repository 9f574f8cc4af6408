/** Weights by coding from an Accept-Encoding value. Later mentions of a coding do not count. */
function weights(accepted: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const part of accepted.toLowerCase().split(",", 50)) {
    const [coding, ...parameters] = part.split(";").map((text) => text.trim());
    if (!coding || found.has(coding)) continue;
    const q = parameters.find((parameter) => parameter.startsWith("q="))?.slice(2);
    const weight = q === undefined ? 1 : /^[01](?:\.\d{0,3})?$/.test(q) ? Math.min(1, Number(q)) : 0;
    found.set(coding, weight);
  }
  return found;
}

/**
 * Which of the codings, in order of preference, the client wants most; undefined for none. `standIn` is what `*`
 * stands for, if the client has not refused it by name.
 */
export function chooseEncoding<E extends string>(
  accepted: string,
  codings: readonly E[],
  standIn: E,
): E | undefined {
  const weight = weights(accepted);
  const any = weight.get("*") ?? 0;
  let best: E | undefined;
  let bestWeight = 0;
  for (const coding of codings) {
    const own = weight.get(coding) ?? 0;
    if (own > bestWeight) [best, bestWeight] = [coding, own];
  }
  if (any > bestWeight && weight.get(standIn) !== 0) [best, bestWeight] = [standIn, any];
  return (weight.get("identity") ?? 0) > bestWeight ? undefined : best;
}
