import { editDistance } from "./nearest.ts";

/** Further than any typing error. */
const SAME_FIRST_LABEL = 100;

/**
 * Host names that were likely meant by `host`, nearest first. Labels are compared one by one, because whole names of
 * one domain are alike without anybody having mistaken one for the other.
 */
export function nearHosts(host: string, candidates: Iterable<string>, most: number): string[] {
  const wanted = host.toLowerCase();
  const near: { readonly name: string; readonly distance: number }[] = [];
  for (const name of new Set(candidates)) {
    const distance = hostDistance(wanted, name.toLowerCase());
    if (distance !== undefined) near.push({ name, distance });
  }
  near.sort((a, b) => a.distance - b.distance || (a.name < b.name ? -1 : 1));
  // Those of another domain are worth a word only when there is nothing better.
  const isClose = (near[0]?.distance ?? SAME_FIRST_LABEL) < SAME_FIRST_LABEL;
  return near
    .filter(({ distance }) => !isClose || distance < SAME_FIRST_LABEL)
    .slice(0, most)
    .map(({ name }) => name);
}

/** Undefined when nobody would take one for the other. */
function hostDistance(a: string, b: string): number | undefined {
  if (a === b) return 0;
  // Addresses and empty names are not mistyped names.
  if (a === "" || b === "" || /^[\d.:[\]]+$/.test(a + b)) return undefined;
  if (a === `www.${b}` || b === `www.${a}`) return 1;
  const [ours, theirs] = [a.split("."), b.split(".")];
  if (ours.length !== theirs.length) {
    if (editDistance(a, b) <= 1) return 1;
  } else {
    const distance = labelsDistance(ours, theirs);
    if (distance !== undefined) return distance;
  }
  const isSame = ours[0] === theirs[0] && ours[0]!.length > 2 && ours[0] !== "www";
  return isSame ? SAME_FIRST_LABEL + Math.abs(ours.length - theirs.length) : undefined;
}

function labelsDistance(ours: readonly string[], theirs: readonly string[]): number | undefined {
  let sum = 0;
  for (const [i, label] of ours.entries()) {
    const distance = nearLabel(label, theirs[i]!);
    if (distance === undefined) return undefined;
    sum += distance;
  }
  return sum;
}

/** How far apart two labels of a name are. A third of the letters may differ, or one may be the other with something after a hyphen: `app`, `app-dev`. */
export function nearLabel(a: string, b: string): number | undefined {
  if (a === b) return 0;
  if (a.startsWith(`${b}-`) || b.startsWith(`${a}-`)) return 3;
  const distance = editDistance(a, b);
  return distance <= Math.floor(Math.max(a.length, b.length) / 3) ? distance : undefined;
}
