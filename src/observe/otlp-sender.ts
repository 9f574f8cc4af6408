import { readFileSync } from "node:fs";
import { type ClientHttp2Session, connect } from "node:http2";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { Agent, request } from "undici";
import type { ClientTlsOptions } from "../model/client-tls.ts";
import type { OtlpOptions } from "../model/telemetry-settings.ts";
import type { OtlpMessage } from "./otlp.ts";
import { encodeProtobuf } from "./otlp-protobuf.ts";

export type Signal = "traces" | "metrics" | "logs";

/** One collector. */
export interface OtlpSender {
  /** Rejects with a reason. */
  send(message: OtlpMessage): Promise<void>;
  close(): void;
}

const TIMEOUT_MS = 10_000;
/** For all of it, however busily the collector answers. */
const WHOLE_MS = 15_000;
const REASON_MAX = 300;
const compress = promisify(gzip);

/** gRPC counts if both are written; HTTP if neither is. Throws with a reason when files cannot be read. */
export function makeSender({ grpc, http }: Partial<OtlpOptions>, signal: Signal): OtlpSender {
  if (grpc !== undefined) return new GrpcSender(grpc, signal);
  return new HttpSender(
    http ?? { endpoint: "https://localhost:4318", tls: undefined, headers: new Map() },
    signal,
  );
}

class HttpSender implements OtlpSender {
  readonly #url: URL;
  readonly #headers: Record<string, string>;
  readonly #agent: Agent;

  constructor({ endpoint, tls, headers }: NonNullable<OtlpOptions["http"]>, signal: Signal) {
    this.#url = new URL(/^https?:\/\//i.test(endpoint) ? endpoint : `https://${endpoint}`);
    if (this.#url.pathname === "/") this.#url.pathname = `/v1/${signal}`;
    this.#headers = {
      ...Object.fromEntries(headers),
      "content-type": "application/json",
      "content-encoding": "gzip",
    };
    this.#agent = new Agent({ connect: { ...tlsOf(tls), timeout: TIMEOUT_MS }, connections: 1 });
  }

  async send(message: OtlpMessage): Promise<void> {
    const { statusCode, body } = await request(this.#url, {
      method: "POST",
      headers: this.#headers,
      body: await compress(JSON.stringify(message)),
      dispatcher: this.#agent,
      headersTimeout: TIMEOUT_MS,
      bodyTimeout: TIMEOUT_MS,
      signal: AbortSignal.timeout(WHOLE_MS),
    });
    await body.dump();
    if (statusCode >= 300) throw new Error(`${this.#url.origin} answered ${statusCode}`);
  }

  close(): void {
    void this.#agent.destroy();
  }
}

const SERVICES: Record<Signal, string> = {
  traces: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
  metrics: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
  logs: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
};

/** One unary call after another on a connection that is made again when it is gone. */
class GrpcSender implements OtlpSender {
  readonly #origin: string;
  readonly #path: string;
  readonly #headers: Record<string, string>;
  readonly #tls: TlsMaterial;
  #session: ClientHttp2Session | undefined;

  constructor({ endpoint, insecure, tls, headers }: NonNullable<OtlpOptions["grpc"]>, signal: Signal) {
    const scheme = insecure ? "http" : "https";
    this.#origin = /^https?:\/\//i.test(endpoint) ? endpoint : `${scheme}://${endpoint}`;
    this.#path = SERVICES[signal];
    this.#headers = Object.fromEntries([...headers].map(([name, value]) => [name.toLowerCase(), value]));
    this.#tls = tlsOf(tls);
  }

  send(message: OtlpMessage): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const call = this.#open(reject).request({
      ...this.#headers,
      ":method": "POST",
      ":path": this.#path,
      "content-type": "application/grpc+proto",
      te: "trailers",
    });
    let status: string | undefined;
    let reason = "";
    const read = (headers: Readonly<Record<string, unknown>>) => {
      const found = headers["grpc-status"];
      if (found === undefined) return;
      status = String(found);
      reason = String(headers["grpc-message"] ?? "").slice(0, REASON_MAX);
    };
    call.setTimeout(TIMEOUT_MS, () => call.destroy(new Error(`no answer within ${TIMEOUT_MS / 1000} s`)));
    const limit = setTimeout(() => call.destroy(new Error("its answer does not end")), WHOLE_MS);
    call.on("response", read).on("trailers", read).on("error", reject).resume();
    call.on("close", () => {
      clearTimeout(limit);
      if (status === "0") resolve();
      else reject(new Error(`${this.#origin} answered gRPC status ${status ?? "none"} ${reason}`.trimEnd()));
    });
    call.end(framed(encodeProtobuf(message)));
    return promise;
  }

  #open(failed: (error: Error) => void): ClientHttp2Session {
    const known = this.#session;
    if (known !== undefined && !known.closed && !known.destroyed) return known;
    const session = connect(this.#origin, this.#tls);
    session.on("error", (error: Error) => {
      session.destroy();
      failed(error);
    });
    session.unref();
    this.#session = session;
    return session;
  }

  close(): void {
    this.#session?.destroy();
  }
}

/** Not compressed, and its length. */
function framed(message: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

interface TlsMaterial {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly rejectUnauthorized?: boolean;
}

function tlsOf(tls: ClientTlsOptions | undefined): TlsMaterial {
  if (tls === undefined) return {};
  const { ca, cert, key, insecureSkipVerify } = tls;
  return {
    ...(ca !== "" && { ca: pemOf(ca) }),
    ...(cert !== "" && { cert: pemOf(cert) }),
    ...(key !== "" && { key: pemOf(key) }),
    rejectUnauthorized: !insecureSkipVerify,
  };
}

const pemOf = (text: string) => (text.includes("-----BEGIN") ? text : readFileSync(text, "utf8"));
