import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import {
  type Agent,
  createServer,
  request as httpRequest,
  type RequestListener,
  type Server,
} from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadCatalogue } from "../../src/compile/catalogue.ts";
import type { MakePages } from "../../src/control/runtime.ts";
import { Waybill } from "../../src/control/waybill.ts";
import type { DemoSpec } from "../../src/demo/engine.ts";
import { type Demo, startDemoEngine } from "../../src/demo/start.ts";
import type { Logger } from "../../src/model/host.ts";
import type { Runtime } from "../../src/model/runtime.ts";
import { describeProblem } from "../../src/schema/problem.ts";
import { loadSettings } from "../../src/settings/load.ts";

/** How the whole product is started for a test: real threads, real sockets, an engine of our own. */
export interface ProductOptions {
  /** Beside those that every test needs: one entry point `web` on a free port of loopback, two threads. */
  readonly flags?: readonly string[];
  /** Instead of that entry point: what else is written, as a person would have it. */
  readonly written?: {
    readonly flags: readonly string[];
    readonly variables: ReadonlyMap<string, string>;
    readonly cwd: string;
  };
  readonly containers?: readonly DemoSpec[];
  /** Dynamic configuration for the file provider, in YAML. */
  readonly file?: string;
  readonly threads?: number;
  /** The real API and dashboard rather than a word in their place. */
  readonly pages?: MakePages;
  /** Environment variables of the process. */
  readonly env?: Readonly<Record<string, string>>;
  /** Called when the engine has its containers and the product begins to start. */
  readonly started?: () => void;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

export interface LogLine {
  readonly level: keyof Logger;
  readonly fields: Record<string, unknown>;
  readonly message: string;
}

export interface Product extends AsyncDisposable {
  readonly waybill: Waybill;
  readonly runtime: Runtime;
  readonly demo: Demo;
  readonly log: readonly LogLine[];
  /** By entry point. */
  readonly ports: ReadonlyMap<string, number>;
  get(host: string, path?: string, options?: GetOptions): Promise<Answer>;
  /** Replaces the file provider's file. */
  write(yaml: string): void;
}

export interface GetOptions {
  readonly entryPoint?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly agent?: Agent;
}

export async function startProduct(options: ProductOptions = {}): Promise<Product> {
  const { flags = [], containers = [], file, threads = 2, written } = options;
  const demo = await startDemoEngine({ containers });
  const folder = mkdtempSync(join(tmpdir(), "waybill-test-"));
  const path = join(folder, "dynamic.yml");
  if (file !== undefined) writeFileSync(path, file);
  const argv = [
    ...(written?.flags ?? ["--entryPoints.web.address=127.0.0.1:0"]),
    `--providers.docker.endpoint=${demo.endpoint}`,
    `--threads=${threads}`,
    "--providers.providersThrottleDuration=20ms",
    ...(file === undefined ? [] : [`--providers.file.filename=${path}`]),
    ...flags,
  ];
  const readFile = (name: string) => readFileSync(name, "utf8");
  const loaded = loadSettings({
    argv,
    env: written?.variables ?? new Map(),
    cwd: written?.cwd ?? folder,
    readFile,
  });
  const errors = loaded.problems.filter(({ severity }) => severity === "error");
  if (errors.length > 0) throw new Error(errors.map(describeProblem).join("\n"));
  const log: LogLine[] = [];
  const { middlewares } = await loadCatalogue();
  let runtime: Runtime | undefined;
  options.started?.();
  const waybill = new Waybill({
    settings: loaded.settings,
    log: logInto(log),
    registry: middlewares,
    makePages: (made) => {
      runtime = made;
      return options.pages?.(made) ?? ((_, response) => response.end("pages"));
    },
    version: "test",
    inForce: loaded.sources,
    env: options.env ?? {},
    placeOf: (option) => ({ source: "flag", key: option }),
    readFile,
  });
  const close = async () => {
    await waybill.close();
    await demo.close();
    rmSync(folder, { recursive: true, force: true });
  };
  const ports = await waybill.start().catch(async (error: unknown) => {
    await close();
    throw error;
  });
  return {
    waybill,
    runtime: runtime!,
    demo,
    log,
    ports,
    get: (host, target = "/", given = {}) => send(ports.get(given.entryPoint ?? "web")!, host, target, given),
    write: (yaml) => writeFileSync(path, yaml),
    [Symbol.asyncDispose]: close,
  };
}

function logInto(lines: LogLine[]): Logger {
  const write = (level: keyof Logger) => (fields: Record<string, unknown>, message: string) =>
    void lines.push({ level, fields, message });
  return { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };
}

/** One request on a connection of its own unless an agent says otherwise. Rejects when there is no whole answer. */
export function send(port: number, host: string, path: string, options: GetOptions = {}): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const { method = "GET", headers = {}, body = "", agent } = options;
  const outgoing = httpRequest(
    { host: "127.0.0.1", port, path, method, headers: { host, ...headers }, agent: agent ?? false },
    (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
      incoming.on("error", reject);
      incoming.on("aborted", () => reject(new Error("the answer was cut off")));
      incoming.on("end", () =>
        resolve({
          status: incoming.statusCode!,
          headers: incoming.headers,
          body: Buffer.concat(chunks).toString(),
        }),
      );
    },
  );
  outgoing.on("error", reject);
  outgoing.end(body);
  return promise;
}

/** A server of the test's own, to be named in a file's `url`. */
export async function startServer(
  handler: RequestListener,
): Promise<{ readonly url: string; readonly server: Server } & AsyncDisposable> {
  const server = createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    server,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Asks until the answer pleases. Throws with the last complaint after `seconds`. */
export async function eventually<T>(ask: () => Promise<T> | T, seconds = 20): Promise<T> {
  const until = performance.now() + seconds * 1000;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (performance.now() > until) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
