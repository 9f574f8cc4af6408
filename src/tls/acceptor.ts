import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import type { Server, TLSSocket } from "node:tls";
import type { ConnectionTls } from "../model/exchange.ts";
import type { CertificateSpec, TlsSpec } from "../model/snapshot.ts";
import type { TlsAcceptor, TlsCaller, TlsRefusal } from "../model/tls-acceptor.ts";
import { type ClientHello, normalServerName, parseClientHello } from "../wire/client-hello.ts";
import { CertificateTable, wildcardOf } from "./certificate-table.ts";
import { OptionsSet } from "./options-set.ts";

/**
 * The serving side of TLS. Node chooses certificates by a callback that comes too late to choose anything else, so
 * the ClientHello is read here first, put back, and the connection given to the `tls.Server` that has exactly the
 * options and the certificate the name asks for.
 */

const NO_BYTES = Buffer.alloc(0);
const ACME_PROTOCOL = "acme-tls/1";
const TICKET_SECRET_LIFE_MS = 12 * 3_600_000;

const ALERT = { handshakeFailure: 40, unrecognizedName: 112, noApplicationProtocol: 120 } as const;

const PLAIN_HTTP = /^(?:[A-Z]{3,10} |PRI \*)/;
const PLAIN_TEXT = "This port speaks HTTPS, and the request was plain HTTP.\n";
const PLAIN_REPLY =
  "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n" +
  `Content-Length: ${PLAIN_TEXT.length}\r\n\r\n${PLAIN_TEXT}`;

export interface AcceptorLimits {
  /** Handshakes under way. Past it the oldest is dropped: an honest one takes a fraction of a second. */
  readonly handshakesMax: number;
  /** Handshakes begun in one turn of the event loop: each costs up to a millisecond that other requests wait for. */
  readonly startsPerTurn: number;
}

const LIMITS: AcceptorLimits = { handshakesMax: 4000, startsPerTurn: 8 };

export class Acceptor implements TlsAcceptor {
  readonly #limits: AcceptorLimits;
  readonly #nowMs: () => number;
  /** By the connection below TLS, oldest first. */
  readonly #handshakes = new Map<Socket, Handshake>();
  readonly #ready: Handshake[] = [];
  #startsLeft: number;
  #table: CertificateTable;
  #hosts: ReadonlyMap<string, string> = new Map();
  #sets = new Map<string, OptionsSet>();
  #ownSecret = randomBytes(32).toString("hex");
  #ownSecretAtMs: number;
  #usesOwnSecret = true;

  constructor(spec: TlsSpec, limits: Partial<AcceptorLimits> = {}, nowMs: () => number = Date.now) {
    this.#limits = { ...LIMITS, ...limits };
    this.#startsLeft = this.#limits.startsPerTurn;
    this.#nowMs = nowMs;
    this.#ownSecretAtMs = nowMs();
    this.#table = new CertificateTable(spec);
    this.update(spec);
  }

  get handshaking(): number {
    return this.#handshakes.size;
  }

  update(spec: TlsSpec): void {
    const inUse = new Set(spec.certificates.map(({ id }) => id));
    const sets = new Map<string, OptionsSet>();
    for (const [name, options] of spec.options) {
      const old = this.#sets.get(name);
      const set = old?.isFor(options) ? old : new OptionsSet(name, options, this.#secured, this.#failed);
      set.keepOnly(inUse);
      sets.set(name, set);
    }
    this.#sets = sets;
    this.#hosts = spec.hosts ?? new Map();
    this.#table = new CertificateTable(spec);
    this.#usesOwnSecret = spec.ticketSecret === undefined;
    this.#sealTickets(spec.ticketSecret ?? this.#ownSecret);
  }

  #sealTickets(secret: string): void {
    for (const set of this.#sets.values()) set.sealTickets(secret);
  }

  #renewTicketSecret(): void {
    if (!this.#usesOwnSecret || this.#nowMs() - this.#ownSecretAtMs < TICKET_SECRET_LIFE_MS) return;
    this.#ownSecretAtMs = this.#nowMs();
    this.#ownSecret = randomBytes(32).toString("hex");
    this.#sealTickets(this.#ownSecret);
  }

  accept(socket: Socket, head: Buffer, caller: TlsCaller): void {
    if (this.#handshakes.size >= this.#limits.handshakesMax) {
      const [oldest] = this.#handshakes.values();
      oldest?.refuse("busy");
    }
    const handshake = new Handshake(socket, caller, this.#read, this.#over);
    this.#handshakes.set(socket, handshake);
    handshake.begin(head);
  }

  readonly #over = (handshake: Handshake) => {
    this.#handshakes.delete(handshake.socket);
  };

  /** Looks at the bytes so far. False: there must be more. */
  readonly #read = (handshake: Handshake): boolean => {
    const hello = parseClientHello(handshake.bytes);
    if (hello === undefined) return false;
    if (hello === null) handshake.refusePlain();
    else this.#choose(handshake, hello);
    return true;
  };

  #choose(handshake: Handshake, hello: ClientHello): void {
    if (hello.protocols.includes(ACME_PROTOCOL)) this.#showChallenge(handshake, hello.serverName);
    else this.#showCertificate(handshake, hello.serverName);
  }

  /** An ordinary certificate here would let a validator see one that the challenge did not make. */
  #showChallenge(handshake: Handshake, name: string | undefined): void {
    const challenge = name === undefined ? undefined : this.#table.challenge(name);
    if (challenge === undefined) handshake.alert(ALERT.noApplicationProtocol, "no-protocol");
    else this.#enqueue(handshake, this.#sets.get("default"), challenge, name);
  }

  #showCertificate(handshake: Handshake, name: string | undefined): void {
    const set = this.#sets.get(this.#optionsFor(name));
    const found = this.#table.find(name ?? plainIp(handshake.socket.localAddress), this.#nowMs());
    if (set === undefined || (found === undefined && set.sniStrict))
      handshake.alert(ALERT.unrecognizedName, "unknown-name");
    else this.#enqueue(handshake, set, found ?? this.#table.default, name);
  }

  #optionsFor(name: string | undefined): string {
    if (name === undefined || this.#hosts.size === 0) return "default";
    return this.#hosts.get(name) ?? this.#hosts.get(wildcardOf(name)) ?? "default";
  }

  #enqueue(
    handshake: Handshake,
    set: OptionsSet | undefined,
    certificate: CertificateSpec | undefined,
    serverName: string | undefined,
  ): void {
    if (set === undefined || certificate === undefined) {
      handshake.alert(ALERT.handshakeFailure, "handshake-failed");
      return;
    }
    handshake.choose(set, certificate, serverName);
    this.#ready.push(handshake);
    if (this.#ready.length === 1 && this.#startsLeft > 0) this.#startSome();
  }

  #startSome(): void {
    this.#renewTicketSecret();
    if (this.#startsLeft === this.#limits.startsPerTurn) setImmediate(this.#nextTurn);
    while (this.#startsLeft > 0 && this.#ready.length > 0) {
      this.#startsLeft--;
      this.#ready.shift()!.start();
    }
  }

  readonly #nextTurn = () => {
    this.#startsLeft = this.#limits.startsPerTurn;
    if (this.#ready.length > 0) this.#startSome();
  };

  readonly #secured = (socket: TLSSocket) => {
    this.#of(socket)?.finish(socket);
  };

  readonly #failed = (error: NodeJS.ErrnoException, socket: TLSSocket) => {
    const gone = error.code === "ECONNRESET" && socket.authorizationError === null;
    this.#of(socket)?.refuse(gone ? "closed" : "handshake-failed");
    socket.destroy();
  };

  /** Node has no public way from a TLS socket to the connection it was made of; `_parent` has been there since 0.12. */
  #of(socket: TLSSocket): Handshake | undefined {
    const below = (socket as TLSSocket & { readonly _parent?: Socket })._parent;
    return below === undefined ? undefined : this.#handshakes.get(below);
  }
}

/** One connection from its first byte to the end of its handshake. */
class Handshake {
  readonly socket: Socket;
  bytes: Buffer = NO_BYTES;
  readonly #caller: TlsCaller;
  readonly #read: (handshake: Handshake) => boolean;
  readonly #over: (handshake: Handshake) => void;
  readonly #timer: NodeJS.Timeout;
  #set: OptionsSet | undefined;
  #server: Server | undefined;
  #serverName: string | undefined;
  #isOver = false;

  constructor(
    socket: Socket,
    caller: TlsCaller,
    read: (handshake: Handshake) => boolean,
    over: (handshake: Handshake) => void,
  ) {
    this.socket = socket;
    this.#caller = caller;
    this.#read = read;
    this.#over = over;
    this.#timer = setTimeout(() => this.refuse("timeout"), caller.handshakeTimeoutMs);
    socket.on("error", this.#closed);
    socket.on("close", this.#closed);
  }

  begin(head: Buffer): void {
    // A socket that flows would lose what is put back.
    this.socket.pause();
    this.bytes = head;
    if (head.length > 0 && this.#read(this)) return;
    this.socket.on("data", this.#gather);
    this.socket.on("end", this.#closed);
    this.socket.resume();
  }

  readonly #gather = (chunk: Buffer) => {
    this.bytes = this.bytes.length === 0 ? chunk : Buffer.concat([this.bytes, chunk]);
    // Whatever comes next is for OpenSSL, or for nobody: it stays in the socket until then.
    this.socket.pause();
    if (!this.#read(this)) this.socket.resume();
  };

  readonly #closed = () => this.refuse("closed");

  choose(set: OptionsSet, certificate: CertificateSpec, serverName: string | undefined): void {
    this.#set = set;
    this.#serverName = serverName;
    try {
      this.#server = set.serverFor(certificate);
    } catch {
      // The control plane has checked it; what it could not foresee ends here and not in the event loop.
      this.alert(ALERT.handshakeFailure, "handshake-failed");
    }
  }

  start(): void {
    if (this.#isOver || this.#server === undefined) return;
    this.socket.off("data", this.#gather);
    this.socket.off("end", this.#closed);
    this.socket.unshift(this.bytes);
    this.bytes = NO_BYTES;
    this.#server.emit("connection", this.socket);
  }

  finish(socket: TLSSocket): void {
    socket.on("error", ignore);
    const refusal = this.#refusal(socket);
    if (refusal === undefined) {
      this.#end();
      const protocol = socket.alpnProtocol === "h2" ? "h2" : "http/1.1";
      this.#caller.secured(socket, describe(socket, this.#serverName, this.#set!.name), protocol);
    } else if (refusal === "challenge-shown") {
      this.#end();
      this.#caller.refused(refusal);
      socket.destroySoon();
    } else this.refuse(refusal);
  }

  #refusal(socket: TLSSocket): TlsRefusal | undefined {
    if (socket.alpnProtocol === ACME_PROTOCOL) return "challenge-shown";
    // Two readings of one hello must agree, or options would be chosen by one name and requests served for another.
    // After a resumption under TLS 1.2 OpenSSL does not say what it read.
    const { servername } = socket;
    const agrees = !servername || normalServerName(servername) === this.#serverName;
    if (!agrees) return "handshake-failed";
    return this.#set!.accepts(socket) ? undefined : "handshake-failed";
  }

  /** A fatal alert of ours, for what OpenSSL never gets to see. */
  alert(description: number, reason: TlsRefusal): void {
    this.#sayAndClose(Buffer.from([21, 3, 3, 0, 2, 2, description]), reason);
  }

  refusePlain(): void {
    if (PLAIN_HTTP.test(this.bytes.toString("latin1", 0, 16))) this.#sayAndClose(PLAIN_REPLY, "not-tls");
    else this.refuse("not-tls");
  }

  #sayAndClose(bytes: string | Buffer, reason: TlsRefusal): void {
    if (this.#isOver) return;
    this.#end();
    this.socket.on("error", ignore);
    this.socket.off("data", this.#gather);
    // A reset would overtake the bytes if some of the client's were left unread.
    this.socket.resume();
    this.socket.end(bytes);
    setTimeout(() => this.socket.destroy(), 1000).unref();
    this.#caller.refused(reason);
  }

  refuse(reason: TlsRefusal): void {
    if (this.#isOver) return;
    this.#end();
    this.socket.on("error", ignore);
    this.socket.destroy();
    this.#caller.refused(reason);
  }

  #end(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.socket.off("error", this.#closed);
    this.socket.off("close", this.#closed);
    this.#over(this);
  }
}

function describe(socket: TLSSocket, serverName: string | undefined, options: string): ConnectionTls {
  let certificates: readonly Buffer[] | undefined;
  return {
    serverName,
    options,
    version: socket.getProtocol()?.replace("TLSv", "") ?? "",
    cipher: socket.getCipher().standardName,
    peerCertificates: () => {
      certificates ??= peerCertificates(socket);
      return certificates;
    },
  };
}

function peerCertificates(socket: TLSSocket): Buffer[] {
  const chain: Buffer[] = [];
  for (let next = socket.getPeerX509Certificate(); next !== undefined; next = next.issuerCertificate) {
    chain.push(next.raw);
    if (next.issuerCertificate === next || chain.length === 16) break;
  }
  return chain;
}

function plainIp(ip = ""): string {
  return ip.startsWith("::ffff:") ? ip.slice(7) : ip;
}

function ignore(): void {}
