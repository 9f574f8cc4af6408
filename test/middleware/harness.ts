import assert from "node:assert/strict";
import { spool } from "../../src/gateway/spool.ts";
import { type BodySource, BytesBody, NO_BODY } from "../../src/model/body.ts";
import type { Client } from "../../src/model/client.ts";
import { type ConnectionTls, Exchange, type Reply } from "../../src/model/exchange.ts";
import type { Fault } from "../../src/model/fault.ts";
import { getHeader, type Headers } from "../../src/model/headers.ts";
import type { CallRequest, FetchReply, FetchRequest, Host } from "../../src/model/host.ts";
import type { Hooks, Middleware } from "../../src/model/middleware.ts";
import type { SharedLimit, SharedLimitSpec } from "../../src/model/shared-limit.ts";
import { Node, type Place } from "../../src/schema/node.ts";
import type { Options, Values } from "../../src/schema/option.ts";
import { readOptions } from "../../src/schema/read-options.ts";
import type { Reader } from "../../src/schema/reader.ts";

const PLACE: Place = { source: "file", key: "test" };

/** What a person would have written, as the reader wants it. */
export function nodeOf(value: unknown, name = "test"): Node {
  const node = new Node(name, { ...PLACE, key: name });
  if (Array.isArray(value)) node.items = value.map((item) => nodeOf(item, name));
  else if (value !== null && typeof value === "object") {
    node.children = new Map();
    for (const [key, item] of Object.entries(value)) node.children.set(key.toLowerCase(), nodeOf(item, key));
  } else node.value = value as string;
  return node;
}

/** Everything that is wrong with the options: what reading says, and then what `check` says. */
export function problemsOf<O extends Options>(middleware: Middleware<O>, written: unknown): string[] {
  const problems: string[] = [];
  const options = readOptions(middleware.options, nodeOf(written), reader(problems));
  if (problems.length === 0)
    middleware.check?.(options, (option, message) => problems.push(`${option} ${message}`));
  return problems;
}

export function optionsOf<O extends Options>(middleware: Middleware<O>, written: unknown): Values<O> {
  assert.deepEqual(problemsOf(middleware, written), []);
  return readOptions(middleware.options, nodeOf(written), reader([]));
}

function reader(problems: string[]): Reader {
  return {
    report: (problem) => problems.push(`${problem.place.key} ${problem.message}`),
    secret: (reference) => `secret of ${reference}`,
  };
}

export interface FakeHost extends Host {
  nowMs: () => number;
  tickMs: () => number;
  /** Moves both clocks. */
  advance(ms: number): void;
  readonly counts: Map<string, number>;
  readonly logged: string[];
  readonly fetched: FetchRequest[];
  readonly called: { service: string; request: CallRequest }[];
  readonly files: Map<string, string>;
}

export interface HostExtras {
  owner?: string;
  shared?: SharedArrayBuffer;
  thread?: { index: number; generation: number };
  fetch?: (request: FetchRequest) => Promise<FetchReply> | FetchReply;
  call?: (service: string, request: CallRequest) => Promise<Reply> | Reply;
  files?: Record<string, string>;
  sharedLimit?: (spec: SharedLimitSpec) => SharedLimit;
}

export function fakeHost(extras: HostExtras = {}): FakeHost {
  let now = 1_700_000_000_000;
  const counts = new Map<string, number>();
  const logged: string[] = [];
  const fetched: FetchRequest[] = [];
  const called: { service: string; request: CallRequest }[] = [];
  const files = new Map(Object.entries(extras.files ?? {}));
  const log = (_fields: Record<string, unknown>, message: string) => void logged.push(message);
  return {
    name: "mw@test",
    owner: extras.owner ?? "app@test",
    nowMs: () => now,
    tickMs: () => now - 1_600_000_000_000,
    advance(ms) {
      now += ms;
    },
    log: { debug: log, info: log, warn: log, error: log },
    counter: (name) => ({ add: (n) => void counts.set(name, (counts.get(name) ?? 0) + n) }),
    shared: extras.shared,
    thread: extras.thread ?? { index: 0, generation: 1 },
    async fetch(request) {
      fetched.push(request);
      if (!extras.fetch) throw new Error("connect ECONNREFUSED");
      return extras.fetch(request);
    },
    async call(service, request) {
      called.push({ service, request });
      return extras.call?.(service, request) ?? { status: 200, reason: "test", headers: [], body: "page" };
    },
    async gatherRequest(exchange, bytesMax) {
      const bytes = await gather(exchange.requestBody, bytesMax);
      if (bytes !== undefined) exchange.requestBody = new BytesBody(bytes);
      return bytes;
    },
    async gatherReply(exchange, bytesMax) {
      const bytes = await gather(exchange.replyBody, bytesMax);
      if (bytes !== undefined) exchange.replyBody = new BytesBody(bytes);
      return bytes;
    },
    spool,
    sharedLimit: extras.sharedLimit ?? (() => ({ take: () => undefined, state: "down", close() {} })),
    readFile(path) {
      const text = files.get(path);
      if (text === undefined) throw new Error(`${path}: no such file`);
      return text;
    },
    counts,
    logged,
    fetched,
    called,
    files,
  };
}

async function gather(source: BodySource, bytesMax: number): Promise<Buffer | undefined> {
  const { bytes, fault } = await drain(source);
  if (fault !== undefined) throw new Error(fault.code);
  return bytes.length > bytesMax ? undefined : bytes;
}

/** Makes the middleware as the compiler does: options read, checked, memory given. */
export function make<O extends Options>(
  middleware: Middleware<O>,
  written: unknown,
  host: Host = fakeHost(),
): Hooks {
  const options = optionsOf(middleware, written);
  const bytes = middleware.sharedBytes?.(options) ?? 0;
  const given =
    host.shared !== undefined || bytes === 0 ? host : { ...host, shared: new SharedArrayBuffer(bytes) };
  return middleware.create(options, given);
}

export interface RequestExtras {
  method?: string;
  url?: string;
  /** Already normalised; taken from the URL if not given. */
  path?: string;
  headers?: Headers;
  body?: string | Buffer | BodySource;
  peerIp?: string;
  tls?: Partial<ConnectionTls>;
  upgrade?: string;
  httpVersion?: number;
}

/** An exchange that has just arrived. */
export function request(extras: RequestExtras = {}): Exchange {
  const [, scheme, authority, path, query] =
    /^(https?):\/\/([^/?]*)([^?]*)(?:\?(.*))?$/s.exec(extras.url ?? "http://app.test/") ?? [];
  const body = extras.body ?? NO_BODY;
  const isTls = scheme === "https" || extras.tls !== undefined;
  return new Exchange(
    CLIENT,
    {
      entryPoint: isTls ? "websecure" : "web",
      peerIp: extras.peerIp ?? "203.0.113.7",
      peerPort: 50_000,
      localPort: isTls ? 443 : 80,
      tls: isTls
        ? {
            serverName: undefined,
            options: "default",
            version: "1.3",
            cipher: "TLS_AES_128_GCM_SHA256",
            peerCertificates: () => [],
            ...extras.tls,
          }
        : undefined,
    },
    0,
    extras.httpVersion ?? 11,
    extras.method ?? "GET",
    isTls ? "https" : "http",
    authority!,
    authority!
      .replace(/:\d+$/, "")
      .replace(/^\[|\]$/g, "")
      .toLowerCase(),
    extras.path ?? (path || "/"),
    query,
    extras.headers ?? [],
    typeof body === "string" || Buffer.isBuffer(body) ? new BytesBody(Buffer.from(body)) : body,
    extras.upgrade,
    true,
  );
}

const CLIENT: Client = {
  inform() {},
  send() {},
  takeOver() {
    throw new Error("not in tests");
  },
  abort() {},
};

/** Lets the application answer: sets the reply of an exchange. */
export function answer(
  exchange: Exchange,
  status: number,
  headers: Headers = [],
  body: string | Buffer | BodySource = "",
): void {
  exchange.status = status;
  exchange.replyHeaders = headers;
  exchange.replyBody =
    typeof body === "string" || Buffer.isBuffer(body) ? new BytesBody(Buffer.from(body)) : body;
  exchange.repliedAtMs = 1;
}

export interface Drained {
  bytes: Buffer;
  trailers: string[] | undefined;
  fault: Fault | undefined;
  chunks: number;
}

/** Reads a body as the client's side would: pausing at every chunk when `slow`. */
export function drain(source: BodySource, slow = false): Promise<Drained> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const finish = (trailers: string[] | undefined, fault: Fault | undefined) =>
      resolve({ bytes: Buffer.concat(chunks), trailers, fault, chunks: chunks.length });
    source.flow({
      data(chunk) {
        chunks.push(Buffer.from(chunk));
        if (!slow) return true;
        setImmediate(() => source.resume());
        return false;
      },
      end: (trailers) => finish(trailers, undefined),
      fail: (fault) => finish(undefined, fault),
    });
  });
}

/** The whole way of one exchange through one middleware: request, the application's answer, reply, done. */
export async function run(
  hooks: Hooks,
  exchange: Exchange,
  app: (exchange: Exchange) => void = (x) => answer(x, 200, [], "app"),
): Promise<{ stopped: Reply | undefined; status: number; header: (lower: string) => string | undefined }> {
  const stopped = (await hooks.outer?.onRequest?.(exchange)) ?? (await hooks.onRequest?.(exchange));
  if (stopped === undefined) app(exchange);
  else answer(exchange, stopped.status, [...stopped.headers], stopped.body);
  const replaced = await hooks.onResponse?.(exchange);
  if (replaced) answer(exchange, replaced.status, [...replaced.headers], replaced.body);
  await hooks.outer?.onResponse?.(exchange);
  hooks.onDone?.(exchange);
  hooks.outer?.onDone?.(exchange);
  return { stopped, status: exchange.status, header: (lower) => getHeader(exchange.replyHeaders, lower) };
}
