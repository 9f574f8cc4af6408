import { CidrSet } from "../lib/cidr.ts";
import { Scratch } from "../lib/scratch.ts";
import type { TimeLimits } from "../lib/time-limits.ts";
import type { BodySource } from "../model/body.ts";
import type { Client, Gateway } from "../model/client.ts";
import type { EntryPointSettings } from "../model/entry-point.ts";
import { type Connection, Exchange } from "../model/exchange.ts";
import {
  addForwarded,
  addVia,
  completeForwarded,
  dropForwarded,
  dropNominatedByClient,
  isBehindProxy,
} from "../wire/forwarded.ts";
import type { HeadLimits } from "../wire/limits.ts";
import type { RequestHead } from "../wire/request-head.ts";
import { parseTarget, refusedEscapes, type TargetPolicy } from "../wire/target.ts";
import { isWebSocketHandshake } from "../wire/websocket.ts";

/** What all connections of one entry point share: its settings made ready, and the policy by which heads become exchanges. */
export class Site {
  readonly name: string;
  readonly settings: EntryPointSettings;
  readonly gateway: Gateway;
  readonly limits: TimeLimits;
  readonly headLimits: HeadLimits;
  readonly scratch: Scratch;
  readonly serverName: string;
  readonly notAppendForwardedFor: boolean;
  /** No more requests after those under way. */
  draining: boolean;
  readonly #targets: TargetPolicy;
  readonly #trusted: CidrSet;
  readonly #keptHeaders: readonly string[];
  readonly #upgrades: ReadonlySet<string>;
  #date: string;
  #dateUntilMs: number;

  constructor(
    name: string,
    settings: EntryPointSettings,
    gateway: Gateway,
    limits: TimeLimits,
    serverName: string,
  ) {
    const { http, forwardedHeaders } = settings;
    this.name = name;
    this.settings = settings;
    this.gateway = gateway;
    this.limits = limits;
    this.serverName = serverName;
    this.headLimits = {
      lineBytesMax: http.maxRequestLineBytes,
      headBytesMax: http.maxHeaderBytes,
      headersMax: http.maxHeaders,
    };
    this.scratch = new Scratch();
    this.notAppendForwardedFor = forwardedHeaders.notAppendXForwardedFor;
    this.draining = false;
    this.#targets = {
      sanitizePath: http.sanitizePath,
      encodeQuerySemicolons: http.encodeQuerySemicolons,
      refusedEscapes: refusedEscapes(http.encodedCharacters),
    };
    this.#trusted = new CidrSet(forwardedHeaders.trustedIPs);
    this.#keptHeaders = forwardedHeaders.connection.map((name) => name.toLowerCase());
    this.#upgrades = new Set(http.upgrades.map((protocol) => protocol.toLowerCase()));
    this.#date = "";
    this.#dateUntilMs = 0;
  }

  /** The exchange for a head, or undefined when the head is refused: its `fault` and `detail` say why. */
  exchange(
    head: RequestHead,
    client: Client,
    connection: Connection,
    body: BodySource,
    startedAtMs: number,
  ): Exchange | undefined {
    const target = parseTarget(head.method, head.target, head.host, this.#targets);
    if (target.fault !== undefined) {
      head.fail(target.fault, target.detail);
      return undefined;
    }
    if (head.upgrade !== undefined && !this.#upgrades.has(head.upgrade)) head.upgrade = undefined;
    const { headers } = head;
    const secure = connection.tls !== undefined;
    this.#forward(head, headers, connection.peerIp, secure, target.authority);
    return new Exchange(
      client,
      connection,
      startedAtMs,
      head.version,
      head.method,
      secure ? "https" : "http",
      target.authority,
      target.host,
      target.asterisk ? "*" : target.path,
      target.query,
      headers,
      body,
      head.upgrade,
      head.acceptsTrailers,
    );
  }

  #forward(head: RequestHead, headers: string[], peerIp: string, secure: boolean, authority: string): void {
    if (head.nominated !== undefined) dropNominatedByClient(headers, head.nominated, this.#keptHeaders);
    const facts = {
      peerIp,
      secure,
      authority,
      websocket: head.upgrade === "websocket",
      serverName: this.serverName,
    };
    if (head.via || (head.mayBeForwarded && isBehindProxy(headers))) addVia(headers, head.version);
    if (!head.mayBeForwarded) return addForwarded(headers, facts);
    if (this.trusts(peerIp)) return completeForwarded(headers, facts);
    dropForwarded(headers);
    addForwarded(headers, facts);
  }

  /** Whether the peer's forwarded headers are believed. */
  trusts(peerIp: string): boolean {
    return this.settings.forwardedHeaders.insecure || this.#trusted.has(peerIp);
  }

  /** An upgrade with a body, or a WebSocket handshake that is none, would be understood differently by servers. */
  checkUpgrade(head: RequestHead): boolean {
    if (head.upgrade === undefined) return true;
    if (!this.#upgrades.has(head.upgrade)) {
      head.upgrade = undefined;
      return true;
    }
    if (head.contentLength >= 0 || head.chunked) head.fail("bad-upgrade", "upgrade with a body");
    else if (head.upgrade === "websocket" && !isWebSocketHandshake(head)) {
      head.fail("bad-upgrade", "WebSocket handshake");
    }
    return head.fault === undefined;
  }

  /** The time for Date headers, made at most twice a second. */
  date(): string {
    if (this.limits.nowMs < this.#dateUntilMs) return this.#date;
    this.#date = new Date().toUTCString();
    this.#dateUntilMs = this.limits.nowMs + 500;
    return this.#date;
  }
}
