import type { Duplex } from "node:stream";
import type { Connection, Exchange } from "./exchange.ts";
import type { Fault } from "./fault.ts";
import type { Headers } from "./headers.ts";

/**
 * The client's side of one exchange: how the gateway answers. `listen/` implements it once a protocol; the gateway
 * does not know which one it is.
 */
export interface Client {
  /** An interim reply (103), sent at once. 100 is sent by the body's source when it first flows. */
  inform(exchange: Exchange, status: number, headers: Headers): void;
  /**
   * Sends `status`, `replyHeaders` and `replyBody` of the exchange, adds the framing its protocol needs, and tells
   * the gateway when the last byte has left or cannot leave any more. Called at most once.
   */
  send(exchange: Exchange): void;
  /** Sends 101 (or 200 for RFC 8441) with `replyHeaders` and gives the raw stream for tunnelling; `early` bytes already read go first. */
  takeOver(exchange: Exchange): Duplex;
  /** Cuts the reply short in the way that the protocol shows as truncation. */
  abort(exchange: Exchange): void;
}

/** What `listen/` knows of the gateway, whatever the protocol. */
export interface Gateway {
  /** A head has arrived. The gateway calls `send`, `takeOver` or `abort` of the exchange's client in the end. */
  handle(exchange: Exchange): void;
  /** The client went away before the reply was complete. `done` follows. */
  left(exchange: Exchange): void;
  /** Exactly once for every handled exchange: the last byte of the reply has left, or none will any more. */
  done(exchange: Exchange): void;
  /** A request was refused before it became an exchange. For logs and metrics only: it has been answered. */
  refused(connection: Connection, fault: Fault, detail: string): void;
}
