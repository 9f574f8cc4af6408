import type { Duplex } from "node:stream";
import type { Exchange } from "./exchange.ts";
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
