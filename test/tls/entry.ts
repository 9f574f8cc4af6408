import { once } from "node:events";
import { type AddressInfo, connect as connectTcp, createServer, type Server, type Socket } from "node:net";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import type { ConnectionTls } from "../../src/model/exchange.ts";
import type { TlsAcceptor, TlsCaller, TlsRefusal } from "../../src/model/tls-acceptor.ts";

export interface Secured {
  readonly tls: ConnectionTls;
  readonly protocol: string;
  readonly socket: TLSSocket;
}

/** A listening port in front of an acceptor: says on every secured connection who it is for, and remembers it. */
export class Entry {
  readonly secured: Secured[] = [];
  readonly refused: TlsRefusal[] = [];
  readonly port: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
  }

  static async open(acceptor: TlsAcceptor, handshakeTimeoutMs = 5000): Promise<Entry> {
    const server = createServer({ noDelay: true });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const entry = new Entry(server);
    const caller: TlsCaller = {
      handshakeTimeoutMs,
      secured: (socket, tls, protocol) => {
        entry.secured.push({ socket, tls, protocol });
        socket.write(`${tls.serverName} ${tls.options}`);
        socket.on("data", (bytes) => socket.write(bytes));
      },
      refused: (reason) => entry.refused.push(reason),
    };
    server.on("connection", (socket) => {
      entry.#sockets.add(socket);
      socket.on("close", () => entry.#sockets.delete(socket));
      acceptor.accept(socket, Buffer.alloc(0), caller);
    });
    return entry;
  }

  get open(): number {
    return this.#sockets.size;
  }

  /** Connects and waits for the greeting. Rejects with the alert. */
  async talk(options: ConnectionOptions = {}): Promise<Talk> {
    const socket = connect({ port: this.port, host: "127.0.0.1", rejectUnauthorized: false, ...options });
    const session = new Promise<Buffer>((resolve) => socket.once("session", resolve));
    const [greeting] = await Promise.race([
      once(socket, "data"),
      once(socket, "close").then(() => Promise.reject(new Error("closed"))),
    ]);
    return { socket, greeting: String(greeting), session };
  }

  raw(): Socket {
    return connectTcp(this.port, "127.0.0.1");
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

export interface Talk {
  readonly socket: TLSSocket;
  readonly greeting: string;
  readonly session: Promise<Buffer>;
}

/** Everything the other side sends until it closes. */
export async function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  socket.on("error", () => {});
  if (!socket.closed) await once(socket, "close").catch(() => {});
  return Buffer.concat(chunks);
}
