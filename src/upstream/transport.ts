import type { SecureVersion } from "node:tls";
import { Scratch } from "../lib/scratch.ts";
import type { TimeLimits } from "../lib/time-limits.ts";
import type { TransportOptions } from "../model/dynamic.ts";
import type { HeadLimits } from "../wire/limits.ts";
import type { Http1Connection } from "./http1-connection.ts";
import type { Pool } from "./pool.ts";

/** Secrets and certificates as text, already read from their files. */
export interface TransportTls {
  readonly serverName: string;
  readonly insecureSkipVerify: boolean;
  /** PEM. Empty: the system's authorities. */
  readonly ca: readonly string[];
  readonly certificates: readonly { readonly cert: string; readonly key: string }[];
  readonly ciphers: string | undefined;
  readonly minVersion: SecureVersion | undefined;
  readonly maxVersion: SecureVersion | undefined;
  /** URI that the server's certificate must name; empty for none. */
  readonly peerCertUri: string;
}

/** What all connections of one transport share. */
export class Transport {
  readonly limits: TimeLimits;
  readonly tls: TransportTls;
  readonly scratch: Scratch;
  readonly headLimits: HeadLimits;
  /** Milliseconds; 0 for no limit. */
  readonly connectMs: number;
  readonly headerMs: number;
  readonly keepMs: number;
  readonly idleReadMs: number;
  /** HTTP/2: silence after which a ping is sent (0 for none), and how long its answer may take. */
  readonly readIdleMs: number;
  readonly pingMs: number;
  /** Servers of scheme https are offered HTTP/2. */
  readonly offersHttp2: boolean;
  readonly idleMax: number;
  /** 0 for no limit. */
  readonly connectionsMax: number;
  readonly #dropped: (pool: Pool) => void;
  #held: Http1Connection[];
  readonly #release: () => void;

  constructor(
    options: TransportOptions,
    tls: TransportTls,
    limits: TimeLimits,
    dropped: (pool: Pool) => void,
  ) {
    const { forwardingTimeouts: timeouts, maxIdleConnsPerHost: idle } = options;
    this.limits = limits;
    this.tls = tls;
    this.scratch = new Scratch();
    this.headLimits = {
      lineBytesMax: options.maxResponseHeaderBytes,
      headBytesMax: options.maxResponseHeaderBytes,
      headersMax: options.maxResponseHeaders,
    };
    this.connectMs = timeouts.dialTimeout;
    this.headerMs = timeouts.responseHeaderTimeout;
    this.keepMs = timeouts.idleConnTimeout;
    this.idleReadMs = timeouts.idleReadTimeout;
    this.readIdleMs = timeouts.readIdleTimeout;
    this.pingMs = timeouts.pingTimeout;
    this.offersHttp2 = !options.disableHTTP2;
    this.idleMax = idle < 0 ? 0 : idle === 0 ? 256 : idle;
    this.connectionsMax = options.maxConnsPerHost;
    this.#dropped = dropped;
    this.#held = [];
    this.#release = () => this.#releaseHeads();
  }

  /** Its head is written with its first body bytes, or at the end of this loop turn. */
  holdHead(connection: Http1Connection): void {
    if (this.#held.length === 0) setImmediate(this.#release);
    this.#held.push(connection);
  }

  #releaseHeads(): void {
    const held = this.#held;
    this.#held = [];
    for (const connection of held) connection.releaseHead();
  }

  dropped(pool: Pool): void {
    this.#dropped(pool);
  }
}
