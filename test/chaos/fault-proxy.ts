import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** What happens to the bytes of one direction of one connection. */
export type Trouble =
  | { readonly kind: "none" }
  /** The connection is reset after so many bytes. */
  | { readonly kind: "reset"; readonly after: number }
  /** It ends, politely, after so many bytes. */
  | { readonly kind: "truncate"; readonly after: number }
  /** Nothing passes any more after so many bytes. */
  | { readonly kind: "stall"; readonly after: number }
  /** One byte at a time. */
  | { readonly kind: "drip" }
  /** Nonsense is put in after so many bytes. */
  | { readonly kind: "garbage"; readonly after: number };

/** A TCP proxy that spoils what goes through it, so that a test can see what the other side makes of it. */
export class FaultProxy {
  port = 0;
  #next: () => { readonly up: Trouble; readonly down: Trouble };
  readonly #server = createServer({ allowHalfOpen: true }, (client) => this.#carry(client));
  readonly #sockets = new Set<Socket>();
  readonly #to: number;

  constructor(to: number, next: () => { readonly up: Trouble; readonly down: Trouble }) {
    this.#to = to;
    this.#next = next;
  }

  async start(): Promise<this> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    this.port = (this.#server.address() as AddressInfo).port;
    return this;
  }

  #carry(client: Socket): void {
    const { up, down } = this.#next();
    const server = connect({ port: this.#to, host: "127.0.0.1", allowHalfOpen: true });
    for (const [from, to, trouble] of [
      [client, server, up],
      [server, client, down],
    ] as const) {
      this.#sockets.add(from);
      let passed = 0;
      from.on("error", () => to.destroy());
      from.on("close", () => {
        this.#sockets.delete(from);
        to.destroy();
      });
      from.on("end", () => to.end());
      from.on("data", (chunk: Buffer) => {
        passed = this.#pass(chunk, passed, from, to, trouble);
      });
    }
  }

  #pass(chunk: Buffer, passed: number, from: Socket, to: Socket, trouble: Trouble): number {
    const total = passed + chunk.length;
    if (trouble.kind === "drip") for (const byte of chunk) to.write(Buffer.of(byte));
    else if (trouble.kind === "none" || total <= trouble.after) to.write(chunk);
    else if (passed <= trouble.after) {
      to.write(chunk.subarray(0, trouble.after - passed), () => {
        if (trouble.kind === "reset") {
          to.resetAndDestroy();
          from.destroy();
        } else if (trouble.kind === "truncate") to.end();
        else if (trouble.kind === "garbage") to.write("\0garbage\r\n\r\n");
      });
    }
    return total;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}
