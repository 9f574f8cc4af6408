import type { Place } from "../schema/node.ts";
import type { ComposeService, Written } from "./compose.ts";

/** Finds the line of a file for what was written as a label, a flag or a variable in it. */
export class Locator {
  readonly #byWorkload: ReadonlyMap<string, ComposeService>;
  readonly #proxy: ComposeService | undefined;

  constructor(services: readonly ComposeService[], proxy: ComposeService | undefined) {
    this.#byWorkload = new Map(services.map((service) => [service.workload.name, service]));
    this.#proxy = proxy;
  }

  locate(place: Place): Place {
    if (place.file !== undefined) return { ...place, file: this.outside(place.file) ?? place.file };
    if (place.source === "label") {
      const service = this.#byWorkload.get(place.workload ?? "");
      if (service === undefined) return place;
      const label = nearestLabel(place.key, service.labels);
      // A label that nobody wrote is not named as if it stood on that line.
      return label === undefined ? at({ ...place, key: "" }, placeOf(service)) : at(place, label);
    }
    const proxy = this.#proxy;
    if (proxy === undefined) return place;
    if (place.source === "flag") return at(place, startingWith(place.key, proxy.command) ?? proxy.place);
    if (place.source === "environment")
      return at(place, startingWith(place.key, proxy.environment) ?? proxy.place);
    return place;
  }

  /** Where a path inside the proxy's container lies here, if it is mounted from here. */
  outside(path: string): string | undefined {
    for (const [target, source] of this.#proxy?.mounts ?? []) {
      const inside = target.replace(/\/$/, "");
      if (path === inside) return source;
      if (path.startsWith(`${inside}/`)) return source + path.slice(inside.length);
    }
    return undefined;
  }
}

/** The place as it was, with the line at which it is written. */
function at(place: Place, { file, line, column }: Place): Place {
  return {
    ...place,
    ...(file !== undefined && { file }),
    ...(line !== undefined && { line }),
    ...(column !== undefined && { column }),
  };
}

const startingWith = (key: string, written: readonly Written[]): Place | undefined =>
  written.find((one) => one.key.toLowerCase().startsWith(key.toLowerCase()))?.place;

/** The label itself; else one below it; else one that shares its beginning, because the label is not there. */
function nearestLabel(key: string, labels: readonly Written[]): Place | undefined {
  let wanted = withoutRoot(key);
  const known = labels.map(({ key: label, place }) => ({ label: withoutRoot(label), place }));
  while (wanted !== "") {
    const found =
      known.find(({ label }) => label === wanted) ??
      known.find(({ label }) => label.startsWith(`${wanted}.`));
    if (found !== undefined) return found.place;
    const dot = wanted.lastIndexOf(".");
    wanted = dot < 0 ? "" : wanted.slice(0, dot);
  }
  return undefined;
}

/** The first label that is for us, as the place of what the labels lack. */
const placeOf = ({ labels, place }: ComposeService): Place =>
  labels.find(({ key }) => /^(?:traefik|waybill)(?:\.|$)/i.test(key))?.place ?? place;

const withoutRoot = (label: string) => label.toLowerCase().replace(/^(?:traefik|waybill)\./, "");
