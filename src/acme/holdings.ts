import type { CertificateSpec } from "../model/snapshot.ts";
import { coversAll } from "./names.ts";
import { certificateFolder, type Kept } from "./shelf.ts";

/** Every certificate we have, found by any name it serves. */
export class Holdings {
  readonly #byFolder = new Map<string, Kept>();
  readonly #byName = new Map<string, Set<Kept>>();
  /** The one before, while the new one is not valid yet by our clock. */
  readonly #before = new Map<string, Kept>();

  add(kept: Kept, nowMs: number): void {
    const folder = certificateFolder(kept.ca, kept.names);
    const old = this.#byFolder.get(folder);
    if (old !== undefined) {
      for (const name of old.spec.names) this.#byName.get(name)?.delete(old);
      if (kept.spec.notBeforeMs > nowMs) this.#before.set(folder, old);
    }
    this.#byFolder.set(folder, kept);
    for (const name of kept.spec.names) {
      const holders = this.#byName.get(name) ?? new Set();
      this.#byName.set(name, holders.add(kept));
    }
  }

  own(ca: string, names: readonly string[]): Kept | undefined {
    return this.#byFolder.get(certificateFolder(ca, names));
  }

  /** A valid certificate of one of these CAs that serves all the names; the one that lives longest. */
  covering(names: readonly string[], cas: readonly string[], nowMs: number): Kept | undefined {
    let best: Kept | undefined;
    for (const kept of this.#candidates(names[0]!)) {
      if (!cas.includes(kept.ca) || kept.spec.notAfterMs <= nowMs || !coversAll(kept.spec.names, names))
        continue;
      if (best === undefined || kept.spec.notAfterMs > best.spec.notAfterMs) best = kept;
    }
    return best;
  }

  *#candidates(name: string): Iterable<Kept> {
    yield* this.#byName.get(name) ?? [];
    const dot = name.indexOf(".");
    if (dot > 0) yield* this.#byName.get(`*${name.slice(dot)}`) ?? [];
  }

  all(): Iterable<Kept> {
    return this.#byFolder.values();
  }

  /** What is served: all of them, and instead of one that only begins later the one before it. */
  specs(nowMs: number): CertificateSpec[] {
    const specs: CertificateSpec[] = [];
    for (const [folder, kept] of this.#byFolder) {
      const before = this.#before.get(folder);
      if (before !== undefined && kept.spec.notBeforeMs > nowMs) specs.push(before.spec);
      else this.#before.delete(folder);
      if (kept.spec.notBeforeMs <= nowMs || before === undefined) specs.push(kept.spec);
    }
    return specs;
  }
}
