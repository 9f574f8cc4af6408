import type { Exchange } from "../model/exchange.ts";
import type { RequestSample } from "../model/traffic.ts";

/** Beyond these many requests in one interval the rest is only counted: people cannot read faster anyway. */
const BATCH_MAX = 200;
const INTERVAL_MS = 250;
const TEXT_MAX = 400;

/** Samples of requests, made only while somebody watches. */
export class RequestTail {
  readonly #send: (samples: readonly RequestSample[], dropped: number) => void;
  #watched = false;
  #samples: RequestSample[] = [];
  #dropped = 0;
  #timer: NodeJS.Timeout | undefined = undefined;

  constructor(send: (samples: readonly RequestSample[], dropped: number) => void) {
    this.#send = send;
  }

  watch(on: boolean): void {
    this.#watched = on;
    if (on) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#samples = [];
    this.#dropped = 0;
  }

  done(exchange: Exchange): void {
    if (!this.#watched) return;
    if (this.#samples.length >= BATCH_MAX) this.#dropped++;
    else this.#samples.push(sampleOf(exchange));
    this.#timer ??= setTimeout(() => this.#flush(), INTERVAL_MS);
  }

  #flush(): void {
    this.#timer = undefined;
    this.#send(this.#samples, this.#dropped);
    this.#samples = [];
    this.#dropped = 0;
  }
}

function sampleOf(exchange: Exchange): RequestSample {
  const { startedAtMs, sentAtMs, repliedAtMs, connection } = exchange;
  const durationMs = performance.now() - startedAtMs;
  return {
    atMs: Date.now() - durationMs,
    durationMs,
    beforeMs: sentAtMs > 0 ? sentAtMs - startedAtMs : -1,
    waitMs: repliedAtMs > 0 ? repliedAtMs - sentAtMs : -1,
    method: exchange.method,
    scheme: exchange.scheme,
    httpVersion: exchange.httpVersion,
    host: exchange.host.slice(0, TEXT_MAX),
    path: exchange.askedPath.slice(0, TEXT_MAX),
    hasQuery: exchange.askedQuery !== undefined,
    status: exchange.status,
    client: connection.peerIp,
    username: exchange.username?.slice(0, TEXT_MAX),
    entryPoint: connection.entryPoint,
    router: exchange.route?.name,
    service: exchange.service,
    server: exchange.server,
    attempts: exchange.attempts,
    fault: exchange.fault?.code,
    detail: exchange.detail?.slice(0, TEXT_MAX),
    bytesIn: exchange.requestBytes,
    bytesOut: exchange.replyBytes,
  };
}
