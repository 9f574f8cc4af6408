import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

export interface Said {
  readonly megabytes: number;
  readonly active: number;
  /** How requests ended since the last time. */
  readonly ended: readonly string[];
  /** Processor time that it has used. */
  readonly cpuMs: number;
}

/** A data plane in a process of its own (plane-process.ts), before the server at a port. */
export class PlaneProcess {
  readonly #child: ChildProcess;
  port = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** `options`: of its entry point, as they are written. */
  static async start(
    server: number,
    scheme: string,
    options: Readonly<Record<string, string>> = {},
  ): Promise<PlaneProcess> {
    const path = join(import.meta.dirname, "plane-process.ts");
    const plane = new PlaneProcess(fork(path, [`${server}`, scheme, JSON.stringify(options)]));
    const [said] = (await once(plane.#child, "message")) as [{ port: number }];
    plane.port = said.port;
    return plane;
  }

  async ask(): Promise<Said> {
    this.#child.send("?");
    const [said] = (await once(this.#child, "message")) as [Said];
    return said;
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  close(): void {
    if (this.#child.connected) this.#child.disconnect();
  }
}
