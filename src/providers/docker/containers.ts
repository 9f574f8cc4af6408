import type { Workload } from "../../model/workload.ts";
import type { InspectedContainer, ListedContainer } from "./engine.ts";
import { fingerprintOf, needsInspection, workloadOf } from "./workloads.ts";

interface Known {
  readonly listed: ListedContainer;
  readonly fingerprint: string;
  readonly workload: Workload;
  /** The same while it is stopping. */
  readonly stopping: Workload;
}

/**
 * The containers as the last list had them, and which of them were told to stop since. A container that has not
 * changed keeps its `Workload` object, so that what was worked out from it can be kept too.
 */
export class Containers {
  readonly #inspect: (id: string) => Promise<InspectedContainer | undefined>;
  readonly #inspected = new Map<string, InspectedContainer | undefined>();
  readonly #stopping = new Set<string>();
  /** Started since the last list began: the next one shows where they are now. */
  #started = new Set<string>();
  #listing = new Set<string>();
  #known = new Map<string, Known>();

  constructor(inspect: (id: string) => Promise<InspectedContainer | undefined>) {
    this.#inspect = inspect;
  }

  /** True if it was not known to be stopping. */
  stop(id: string): boolean {
    this.#started.delete(id);
    this.#listing.delete(id);
    if (this.#stopping.has(id) || !this.#known.has(id)) return false;
    this.#stopping.add(id);
    return true;
  }

  // It may come back with another address: until the next list shows it, what we know of it is of its former life.
  start(id: string): void {
    this.#started.add(id);
  }

  /** To be called when a list is asked for, before its answer. */
  beginList(): void {
    this.#listing = this.#started;
    this.#started = new Set();
  }

  /** Takes the answer: of the given ids, or of all containers. */
  async endList(listed: readonly ListedContainer[], ids: readonly string[] | undefined): Promise<void> {
    const next = ids === undefined ? new Map<string, Known>() : new Map(this.#known);
    for (const id of ids ?? []) next.delete(id);
    for (const container of listed) next.set(container.Id, await this.#knownOf(container));
    this.#known = next;
    for (const id of this.#inspected.keys()) if (!next.has(id)) this.#inspected.delete(id);
    for (const id of this.#stopping) {
      const state = next.get(id)?.workload.state;
      if (this.#listing.has(id) || (state !== "running" && state !== "paused")) this.#stopping.delete(id);
    }
    this.#listing.clear();
  }

  async #knownOf(listed: ListedContainer): Promise<Known> {
    const { Id: id } = listed;
    if (needsInspection(listed) && !this.#inspected.has(id)) this.#inspected.set(id, await this.#inspect(id));
    const workload = workloadOf(listed, this.#inspected.get(id));
    const fingerprint = fingerprintOf(workload);
    const before = this.#known.get(id);
    if (before?.fingerprint === fingerprint) return { ...before, listed };
    return { listed, fingerprint, workload, stopping: { ...workload, stopping: true } };
  }

  /** Events were missed: the next list alone says who runs. */
  forgetMarks(): void {
    this.#stopping.clear();
    this.#started.clear();
    this.#listing.clear();
  }

  listed(): ListedContainer[] {
    return [...this.#known.values()].map(({ listed }) => listed);
  }

  workloads(): Workload[] {
    return [...this.#known].map(([id, known]) => (this.#stopping.has(id) ? known.stopping : known.workload));
  }
}
