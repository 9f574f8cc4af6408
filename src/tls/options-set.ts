import { createHash, hkdfSync } from "node:crypto";
import { createServer, type Server, type TLSSocket } from "node:tls";
import type { TlsOptionsOptions } from "../model/dynamic.ts";
import type { CertificateSpec } from "../model/snapshot.ts";
import { clientAuthOf, protocolsOf, serverOptions } from "./options.ts";

const TICKET_KEY_BYTES = 48;
const SESSION_TIMEOUT_S = 6 * 3600;
/** Contexts kept at once; one takes some 30 KB, and making it again takes a millisecond. */
const SERVERS_MAX = 2000;

/**
 * One set of TLS options and the Node servers that apply it, one a certificate, made when they are first needed. They
 * never listen: connections are given to them.
 */
export class OptionsSet {
  readonly name: string;
  readonly sniStrict: boolean;
  readonly #options: TlsOptionsOptions;
  readonly #fingerprint: string;
  readonly #servers = new Map<string, Server>();
  readonly #secured: (socket: TLSSocket) => void;
  readonly #failed: (error: Error, socket: TLSSocket) => void;
  #ticketSecret = "";
  #ticketKeys: Buffer = Buffer.alloc(TICKET_KEY_BYTES);

  constructor(
    name: string,
    options: TlsOptionsOptions,
    secured: (socket: TLSSocket) => void,
    failed: (error: Error, socket: TLSSocket) => void,
  ) {
    this.name = name;
    this.sniStrict = options.sniStrict;
    this.#options = options;
    this.#fingerprint = fingerprintOf(name, options);
    this.#secured = secured;
    this.#failed = failed;
  }

  isFor(options: TlsOptionsOptions): boolean {
    return this.#fingerprint === fingerprintOf(this.name, options);
  }

  /** Forgets the servers of certificates that are not in use any more. Handshakes under way are not disturbed. */
  keepOnly(certificateIds: ReadonlySet<string>): void {
    for (const id of this.#servers.keys()) if (!certificateIds.has(id)) this.#servers.delete(id);
  }

  /**
   * Keys come from the secret and the options together: all threads have the same, and a session that was begun under
   * other options (without a client certificate, say) cannot be resumed here.
   */
  sealTickets(secret: string): void {
    if (secret === this.#ticketSecret) return;
    this.#ticketSecret = secret;
    this.#ticketKeys = Buffer.from(hkdfSync("sha256", secret, "", this.#fingerprint, TICKET_KEY_BYTES));
    for (const server of this.#servers.values()) server.setTicketKeys(this.#ticketKeys);
  }

  serverFor(certificate: CertificateSpec): Server {
    let server = this.#servers.get(certificate.id);
    if (server === undefined) server = this.#createServer(certificate);
    else this.#servers.delete(certificate.id);
    this.#servers.set(certificate.id, server);
    if (this.#servers.size > SERVERS_MAX) this.#servers.delete(this.#servers.keys().next().value!);
    return server;
  }

  #createServer(certificate: CertificateSpec): Server {
    const server = createServer({
      ...serverOptions(this.#options),
      ...(certificate.challenge ? { requestCert: false } : {}),
      cert: certificate.chain,
      key: certificate.key,
      ALPNProtocols: certificate.challenge ? ["acme-tls/1"] : protocolsOf(this.#options),
      ticketKeys: this.#ticketKeys,
      sessionIdContext: this.#fingerprint.slice(0, 32),
      sessionTimeout: SESSION_TIMEOUT_S,
    });
    server.on("secureConnection", this.#secured);
    server.on("tlsClientError", this.#failed);
    return server;
  }

  /** What Node does not check by itself, once the handshake is complete. */
  accepts(socket: TLSSocket): boolean {
    const auth = clientAuthOf(this.#options);
    if (auth === "RequireAnyClientCert") return socket.getPeerX509Certificate() !== undefined;
    if (auth === "VerifyClientCertIfGiven")
      return socket.authorized || socket.getPeerX509Certificate() === undefined;
    return auth !== "RequireAndVerifyClientCert" || socket.authorized;
  }
}

function fingerprintOf(name: string, options: TlsOptionsOptions): string {
  return createHash("sha256")
    .update(JSON.stringify([name, options]))
    .digest("hex");
}
