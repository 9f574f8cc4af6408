import { FAULTS } from "../model/fault.ts";
import type { Server } from "../model/service.ts";
import type { Http2Call } from "./http2-call.ts";
import { Http2Session } from "./http2-session.ts";
import type { Transport } from "./transport.ts";

const WAITING_MAX = 1024;
/** Connections to one server when the transport sets no limit: each carries a hundred requests and more. */
const SESSIONS_MAX = 32;

/** The HTTP/2 connections of one server. The first with room is used, so that the others may fall idle and go. */
export class Http2Pool {
  readonly server: Server;
  readonly transport: Transport;
  readonly #fallBack: (pool: Http2Pool, calls: readonly Http2Call[]) => void;
  readonly #sessions: Http2Session[] = [];
  readonly #waiting: Http2Call[] = [];

  /** `fallBack` is given the calls of a server that speaks HTTP/1.1 only. */
  constructor(
    server: Server,
    transport: Transport,
    fallBack: (pool: Http2Pool, calls: readonly Http2Call[]) => void,
  ) {
    this.server = server;
    this.transport = transport;
    this.#fallBack = fallBack;
  }

  get open(): number {
    return this.#sessions.length;
  }

  send(call: Http2Call): void {
    const session = this.#withRoom(call);
    if (session !== undefined) session.send(call);
    else if (this.#waiting.length < WAITING_MAX) {
      this.#waiting.push(call);
      call.waitForRoom();
    } else call.failed(FAULTS["pool-full"], `${WAITING_MAX} requests waiting`, false, false);
  }

  #withRoom(call: Http2Call): Http2Session | undefined {
    for (const session of this.#sessions) if (session.hasRoom) return session;
    const most = this.transport.connectionsMax || SESSIONS_MAX;
    if (this.#sessions.length >= most) return undefined;
    const connectMs = call.exchange.leaf?.limits?.connectMs || this.transport.connectMs;
    const session = new Http2Session(this, connectMs);
    this.#sessions.push(session);
    return session;
  }

  /** A request has ended or the server lets more through. */
  roomChanged(): void {
    while (this.#waiting.length > 0) {
      const call = this.#waiting[0]!;
      const session = call.isOver ? undefined : this.#withRoom(call);
      if (!call.isOver && session === undefined) return;
      this.#waiting.shift();
      session?.send(call);
    }
  }

  /** The connection takes no more requests. */
  gone(session: Http2Session): void {
    const index = this.#sessions.indexOf(session);
    if (index >= 0) this.#sessions.splice(index, 1);
    this.roomChanged();
  }

  speaksHttp1(calls: readonly Http2Call[]): void {
    const all = [...calls, ...this.#waiting.splice(0)].filter((call) => !call.isOver);
    this.#fallBack(this, all);
  }

  close(): void {
    for (const session of [...this.#sessions]) session.close();
    for (const call of this.#waiting.splice(0)) {
      call.failed(FAULTS["connect-failed"], "server removed", false, false);
    }
  }
}
