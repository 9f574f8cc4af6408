import { Worker } from "node:worker_threads";
import type { Logger, ThreadId } from "../model/host.ts";
import type { FromThread, ThreadStart, ToThread } from "../model/thread-messages.ts";

/** What happens in a thread, told to whoever keeps it. */
export interface ThreadKeeper {
  heard(thread: Thread, message: FromThread): void;
  /** Exactly once: it is gone, whatever the reason. */
  gone(thread: Thread, reason: string): void;
}

/** One data-plane thread, from its start to its end. */
export class Thread {
  readonly id: ThreadId;
  readonly startedAtMs: number;
  readonly #worker: Worker;
  readonly #log: Logger;
  #error: string | undefined;
  #stuck = false;

  constructor(script: URL, start: ThreadStart, keeper: ThreadKeeper, log: Logger) {
    this.id = start.thread;
    this.startedAtMs = performance.now();
    this.#log = log;
    this.#worker = new Worker(script, { workerData: start, name: `data-plane-${start.thread.index}` });
    this.#worker.on("message", (message: FromThread) => {
      if (message.kind === "log") this.#log[message.level](message.fields, message.message);
      else keeper.heard(this, message);
    });
    this.#worker.on("error", (error: unknown) => {
      this.#error = error instanceof Error ? (error.stack ?? error.message) : String(error);
    });
    this.#worker.on("exit", (code) => {
      keeper.gone(this, this.#stuck ? "it was stuck" : (this.#error ?? `it ended with code ${code}`));
    });
  }

  send(message: ToThread): void {
    this.#worker.postMessage(message);
  }

  /** Stops it in the middle of whatever it does. */
  kill(): void {
    this.#stuck = true;
    void this.#worker.terminate();
  }

  async stop(): Promise<void> {
    await this.#worker.terminate();
  }
}
