import { sameData } from "../lib/same-data.ts";
import type { MiddlewareSpec } from "../model/snapshot.ts";

/** Memory of middlewares by name: kept while their options stay the same, so that limits outlive configuration changes. */
export class SharedMemory {
  #kept = new Map<string, Entry>();
  #wanted = new Map<string, Entry>();

  readonly sharedFor = (
    name: string,
    bytes: number,
    options: MiddlewareSpec["options"],
  ): SharedArrayBuffer => {
    const known = this.#wanted.get(name) ?? this.#kept.get(name);
    const isSame =
      known !== undefined && known.memory.byteLength === bytes && sameData(known.options, options);
    const entry = isSame ? known : { memory: new SharedArrayBuffer(bytes), options };
    this.#wanted.set(name, entry);
    return entry.memory;
  };

  /** Ends a round: what was not asked for since the last one is forgotten. */
  settle(): void {
    this.#kept = this.#wanted;
    this.#wanted = new Map();
  }
}

interface Entry {
  readonly memory: SharedArrayBuffer;
  readonly options: MiddlewareSpec["options"];
}
