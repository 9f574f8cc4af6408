import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Logger } from "../model/host.ts";

/** Folders that can be written even where the file system is read-only. */
const FOLDERS = [tmpdir(), "/dev/shm", "/run"];

/**
 * Where the main thread answers for `api@internal` and its like. Workers send requests there as to any other server:
 * what guards a router guards these pages too. The folder of the socket is closed to other users.
 */
export class AdminServer {
  readonly path: string;
  readonly #folder: string;
  readonly #server: Server;

  private constructor(folder: string, server: Server) {
    this.#folder = folder;
    this.path = join(folder, "admin.sock");
    this.#server = server;
  }

  /** Undefined, and a line in the log, when there is no folder to put the socket in. */
  static async start(handler: RequestListener, log: Logger): Promise<AdminServer | undefined> {
    for (const folder of FOLDERS) {
      const made = makeFolder(folder);
      if (made === undefined) continue;
      const admin = new AdminServer(made, createServer({ keepAliveTimeout: 60_000 }, handler));
      await new Promise<void>((resolve, reject) => {
        admin.#server.once("error", reject);
        admin.#server.listen(admin.path, resolve);
      });
      return admin;
    }
    log.error(
      { folders: FOLDERS.join(", ") },
      "no folder can be written, so API, dashboard and metrics are not served",
    );
    return undefined;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function makeFolder(parent: string): string | undefined {
  try {
    return mkdtempSync(join(parent, "waybill-"));
  } catch {
    return undefined;
  }
}
