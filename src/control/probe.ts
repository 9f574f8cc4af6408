import { type ClientHttp2Session, connect as connectHttp2, constants } from "node:http2";
import { isIPv6 } from "node:net";
import { Agent, type Dispatcher, request } from "undici";
import { lookupForeign } from "../lib/own-addresses.ts";
import type { TransportOptions } from "../model/dynamic.ts";
import type { ServerSpec } from "../model/snapshot.ts";
import { versionsAndCiphers } from "../tls/options.ts";
import type { HealthCheckOptions } from "./health.ts";

const REDIRECTS_MAX = 5;
const TIMEOUT_MS = 5000;

/** Asks one server. Undefined when it is well; otherwise what is not. */
export async function probe(
  server: ServerSpec,
  options: HealthCheckOptions,
  transport: TransportOptions,
  stopped: AbortSignal,
): Promise<string | undefined> {
  const timeoutMs = options.timeout > 0 ? options.timeout : TIMEOUT_MS;
  const timeout = AbortSignal.timeout(timeoutMs);
  const signal = AbortSignal.any([stopped, timeout]);
  try {
    const target = targetOf(server, options);
    if (options.mode === "grpc") return await probeGrpc(target, options, transport, signal);
    const status =
      target.scheme === "h2c"
        ? await statusByHttp2(target, options, signal)
        : await statusByHttp1(target, options, transport, signal);
    return judge(status, options.status);
  } catch (error) {
    if (timeout.aborted) return `no answer within ${timeoutMs} ms`;
    return error instanceof Error ? error.message || error.name : String(error);
  }
}

interface Target {
  readonly scheme: ServerSpec["scheme"];
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly foreign: boolean;
}

function targetOf(server: ServerSpec, options: HealthCheckOptions): Target {
  return {
    scheme: options.scheme === "" ? server.scheme : options.scheme,
    host: server.host,
    port: options.port > 0 ? options.port : server.port,
    path: options.path.startsWith("/") ? options.path : `/${options.path}`,
    foreign: server.foreign === true,
  };
}

function judge(status: number, wanted: number): string | undefined {
  const isWell = wanted > 0 ? status === wanted : status >= 200 && status < 400;
  return isWell ? undefined : `answered ${status}, expected ${wanted > 0 ? wanted : "200 to 399"}`;
}

const authorityOf = ({ host, port }: Target) => `${isIPv6(host) ? `[${host}]` : host}:${port}`;

async function statusByHttp1(
  target: Target,
  { method, headers, hostname, followRedirects }: HealthCheckOptions,
  transport: TransportOptions,
  signal: AbortSignal,
): Promise<number> {
  // One connection a question: what is asked is whether the server takes connections, too.
  const dispatcher = new Agent({
    allowH2: false,
    connect: { ...tlsOf(transport), ...lookupFor(target) },
    pipelining: 0,
  });
  const origin = `${target.scheme}://${authorityOf(target)}`;
  const names = [new URL(origin).host, hostname.toLowerCase()];
  let path = target.path;
  let asked = method;
  try {
    for (let redirects = 0; ; redirects++) {
      const reply = await request(origin + path, {
        method: asked as Dispatcher.HttpMethod,
        headers: { ...Object.fromEntries(headers), ...(hostname !== "" && { host: hostname }) },
        dispatcher,
        signal,
      });
      await reply.body.dump({ limit: 64 * 1024, signal });
      const { statusCode: status } = reply;
      const next = isRedirect(status) ? pathHere(reply.headers["location"], origin + path, names) : undefined;
      if (!followRedirects || next === undefined || redirects === REDIRECTS_MAX) return status;
      path = next;
      if (status < 307 && asked !== "HEAD") asked = "GET";
    }
  } finally {
    void dispatcher.destroy();
  }
}

const isRedirect = (status: number) => [301, 302, 303, 307, 308].includes(status);

/**
 * Where a redirect leads on the server that was asked. One that leads elsewhere says nothing of this server's health,
 * and whoever runs it must not choose whom the proxy asks: it is an answer like any other.
 */
function pathHere(
  location: string | string[] | undefined,
  asked: string,
  names: readonly string[],
): string | undefined {
  const url = typeof location === "string" ? URL.parse(location, asked) : null;
  if (url === null || !names.includes(url.host) || url.protocol !== new URL(asked).protocol) return undefined;
  return url.pathname + url.search;
}

const lookupFor = ({ foreign }: Target) => (foreign ? { lookup: lookupForeign } : {});

function tlsOf(transport: TransportOptions) {
  const { rootCAs, certificates, insecureSkipVerify, serverName } = transport;
  return {
    ...versionsAndCiphers(transport),
    rejectUnauthorized: !insecureSkipVerify,
    ...(serverName !== "" && { servername: serverName }),
    ...(rootCAs.length > 0 && { ca: [...rootCAs] }),
    ...(certificates.length > 0 && {
      cert: certificates.map(({ certFile }) => certFile),
      key: certificates.map(({ keyFile }) => keyFile),
    }),
  };
}

function openHttp2(
  target: Target,
  transport: TransportOptions | undefined,
  signal: AbortSignal,
): ClientHttp2Session {
  const scheme = target.scheme === "https" ? "https" : "http";
  const options = transport === undefined ? {} : tlsOf(transport);
  const session = connectHttp2(`${scheme}://${authorityOf(target)}`, {
    ...options,
    ...lookupFor(target),
    ALPNProtocols: ["h2"],
  });
  // The request on it fails with the same error, and is where somebody waits for it.
  session.on("error", () => {});
  signal.addEventListener("abort", () => session.destroy(), { once: true });
  return session;
}

function statusByHttp2(target: Target, options: HealthCheckOptions, signal: AbortSignal): Promise<number> {
  const session = openHttp2(target, undefined, signal);
  return new Promise<number>((resolve, reject) => {
    const stream = session.request({
      ...pseudoHeaders(target, options),
      ":method": options.method,
      ":path": target.path,
    });
    stream.on("response", (headers) => resolve(Number(headers[":status"])));
    stream.on("error", reject);
    stream.on("close", () => reject(new Error("the connection was closed without an answer")));
    stream.resume();
    stream.end();
  }).finally(() => session.destroy());
}

function pseudoHeaders(target: Target, { headers, hostname }: HealthCheckOptions) {
  return { ...Object.fromEntries(headers), ":authority": hostname === "" ? authorityOf(target) : hostname };
}

/** `grpc.health.v1.Health/Check` for the whole server (an empty name): an empty message asks, and 1 is SERVING. */
const GRPC_PATH = "/grpc.health.v1.Health/Check";
const EMPTY_MESSAGE = Buffer.from([0, 0, 0, 0, 0]);
const SERVING = 1;

function probeGrpc(
  target: Target,
  options: HealthCheckOptions,
  transport: TransportOptions,
  signal: AbortSignal,
): Promise<string | undefined> {
  const session = openHttp2(target, target.scheme === "https" ? transport : undefined, signal);
  return new Promise<string | undefined>((resolve, reject) => {
    const stream = session.request({
      ...pseudoHeaders(target, options),
      ":method": "POST",
      ":path": GRPC_PATH,
      "content-type": "application/grpc",
      te: "trailers",
    });
    const chunks: Buffer[] = [];
    let grpcStatus: string | undefined;
    const note = (headers: { readonly [name: string]: unknown }) => {
      if (headers["grpc-status"] !== undefined) grpcStatus = String(headers["grpc-status"]);
    };
    stream.on("response", note);
    stream.on("trailers", note);
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("end", () => resolve(judgeGrpc(grpcStatus, Buffer.concat(chunks))));
    stream.on("error", reject);
    stream.on("close", () => reject(new Error(`the stream was closed (${constants.NGHTTP2_CANCEL})`)));
    stream.end(EMPTY_MESSAGE);
  }).finally(() => session.destroy());
}

function judgeGrpc(grpcStatus: string | undefined, frame: Buffer): string | undefined {
  if (grpcStatus !== undefined && grpcStatus !== "0") return `answered gRPC status ${grpcStatus}`;
  // Five bytes of framing, then field 1 as a varint: 0x08 and the status. An empty message means UNKNOWN.
  const status = frame[5] === 0x08 ? frame[6] : 0;
  return status === SERVING
    ? undefined
    : `answered the serving status ${status}, expected ${SERVING} (SERVING)`;
}
