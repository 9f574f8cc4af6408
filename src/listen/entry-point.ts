import { readFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { CidrSet } from "../lib/cidr.ts";
import type { TimeLimits } from "../lib/time-limits.ts";
import type { BodySource } from "../model/body.ts";
import type { Client, Gateway } from "../model/client.ts";
import { type EntryPointSettings, parseAddress } from "../model/entry-point.ts";
import type { Connection, ConnectionTls, Exchange } from "../model/exchange.ts";
import type { TlsAcceptor } from "../model/tls-acceptor.ts";
import type { HeadLimits } from "../wire/limits.ts";
import type { RequestHead } from "../wire/request-head.ts";
import { Arrival } from "./arrival.ts";
import { Http1Client, type Owner } from "./http1-client.ts";
import { Http2Connection, type Http2Site } from "./http2.ts";
import { Http2Backlog } from "./http2-backlog.ts";
import { Outbox } from "./http2-writer.ts";
import { Site } from "./site.ts";

export interface EntryPointDeps {
  readonly name: string;
  readonly settings: EntryPointSettings;
  readonly gateway: Gateway;
  readonly limits: TimeLimits;
  /** Undefined: TLS is not spoken here. */
  readonly tls: TlsAcceptor | undefined;
  /** X-Forwarded-Server. */
  readonly serverName: string;
  /** Threads that listen on the same address, this one included. */
  readonly threads: number;
  /** Connections that were closed at once because there were too many. */
  readonly dropped?: { add(n: number): void };
}

const BACKLOG = 4096;
const KEEP_ALIVE_DELAY_MS = 60_000;

/** One address that clients connect to, in one thread: counts its connections and finds out what they speak. */
export class EntryPoint implements Owner, Http2Site {
  readonly name: string;
  readonly site: Site;
  readonly tls: TlsAcceptor | undefined;
  readonly gateway: Gateway;
  readonly limits: TimeLimits;
  readonly settings: EntryPointSettings;
  readonly headLimits: HeadLimits;
  readonly backlog: Http2Backlog;
  readonly outbox: Outbox;
  readonly #deps: EntryPointDeps;
  readonly #server: Server;
  readonly #connections: Set<Arrival | Http1Client | Http2Connection>;
  readonly #byIp: Map<string, number>;
  readonly #connectionsMax: number;
  readonly #perIpMax: number;
  readonly #proxies: CidrSet | undefined;
  #held: Http1Client[];
  readonly #release: () => void;

  constructor(deps: EntryPointDeps) {
    const { settings, threads } = deps;
    const { maxConnections, maxConnectionsPerIP } = settings.transport;
    this.name = deps.name;
    this.#deps = deps;
    this.tls = deps.tls;
    this.gateway = deps.gateway;
    this.limits = deps.limits;
    this.settings = settings;
    this.site = new Site(deps.name, settings, deps.gateway, deps.limits, deps.serverName);
    this.headLimits = this.site.headLimits;
    this.backlog = new Http2Backlog(threads);
    this.outbox = new Outbox();
    this.#connections = new Set();
    this.#byIp = new Map();
    this.#connectionsMax = Math.ceil((maxConnections || filesMax() * 0.8) / threads);
    // The kernel spreads an address's connections over the threads evenly, but not exactly.
    this.#perIpMax =
      maxConnectionsPerIP === 0
        ? Number.POSITIVE_INFINITY
        : Math.ceil((maxConnectionsPerIP / threads) * (threads > 1 ? 1.1 : 1));
    this.#proxies =
      settings.proxyProtocol === undefined ? undefined : new CidrSet(settings.proxyProtocol.trustedIPs);
    this.#held = [];
    this.#release = () => this.#releaseHeads();
    this.#server = createServer(
      { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS },
      (socket) => this.#arrived(socket),
    );
  }

  /** Resolves to the port, which the system chose if the settings say 0. Rejects when the address cannot be had. */
  listen(): Promise<number> {
    const address = parseAddress(this.settings.address);
    if (address === undefined) return Promise.reject(new Error(`not an address: ${this.settings.address}`));
    const reusePort = this.#deps.threads > 1 || this.settings.reusePort;
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ host: address.host, port: address.port, backlog: BACKLOG, reusePort }, () => {
        this.#server.off("error", reject);
        this.#server.on("error", () => {});
        resolve((this.#server.address() as AddressInfo).port);
      });
    });
  }

  get open(): number {
    return this.#connections.size;
  }

  #arrived(socket: Socket): void {
    // A socket without an error listener takes the process down; what there is to know, `close` tells.
    socket.on("error", () => {});
    const ip = plainIp(socket.remoteAddress);
    const count = this.#byIp.get(ip) ?? 0;
    if (this.#connections.size >= this.#connectionsMax || count >= this.#perIpMax || ip === "") {
      this.#deps.dropped?.add(1);
      socket.destroy();
      return;
    }
    this.#byIp.set(ip, count + 1);
    socket.on("close", () => this.#uncount(ip));
    const believed = this.settings.proxyProtocol?.insecure === true || this.#proxies?.has(ip) === true;
    this.#connections.add(new Arrival(socket, this, ip, believed));
  }

  #uncount(ip: string): void {
    const count = this.#byIp.get(ip)!;
    if (count > 1) this.#byIp.set(ip, count - 1);
    else this.#byIp.delete(ip);
  }

  // --- What the connection turned out to speak.

  http1(arrival: Arrival, socket: Socket, info: Connection, bytes: Buffer): void {
    this.#connections.delete(arrival);
    const client = new Http1Client(socket, this.site, info, this);
    this.#connections.add(client);
    client.begin(bytes);
  }

  http2(arrival: Arrival, socket: Socket, info: Connection, bytes: Buffer): void {
    this.#connections.delete(arrival);
    const connection = new Http2Connection(this, socket, info);
    this.#connections.add(connection);
    connection.begin(bytes);
  }

  info(peerIp: string, peerPort: number, localPort: number, tls: ConnectionTls | undefined): Connection {
    return {
      entryPoint: this.name,
      peerIp,
      peerPort,
      localPort,
      tls,
      notAppendForwardedFor: this.site.notAppendForwardedFor,
      tunnelIdleMs: this.settings.transport.respondingTimeouts.tunnelIdleTimeout,
    };
  }

  closed(connection: Arrival | Http1Client | Http2Connection): void {
    this.#connections.delete(connection);
  }

  exchange(
    head: RequestHead,
    client: Client,
    connection: Connection,
    body: BodySource,
    startedAtMs: number,
  ): Exchange | undefined {
    return this.site.exchange(head, client, connection, body, startedAtMs);
  }

  holdHead(client: Http1Client): void {
    if (this.#held.length === 0) setImmediate(this.#release);
    this.#held.push(client);
  }

  #releaseHeads(): void {
    const held = this.#held;
    this.#held = [];
    for (const client of held) client.releaseHead();
  }

  // --- The end.

  /** Takes no more connections and requests; those under way are finished. */
  drain(): void {
    this.site.draining = true;
    this.#server.close();
    for (const connection of [...this.#connections]) connection.drain();
  }

  /** Closes everything at once. */
  close(): void {
    this.#server.close();
    for (const connection of [...this.#connections]) connection.destroy();
  }
}

/** Without a zone, and IPv4 as IPv4. */
function plainIp(address: string | undefined): string {
  if (address === undefined) return "";
  const zone = address.indexOf("%");
  const ip = zone < 0 ? address : address.slice(0, zone);
  return ip.startsWith("::ffff:") && ip.includes(".") ? ip.slice(7) : ip;
}

/** How many files this process may have open. */
function filesMax(): number {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"));
    if (soft !== null) return Number(soft[1]);
  } catch {
    // Not Linux.
  }
  return 10_000;
}
