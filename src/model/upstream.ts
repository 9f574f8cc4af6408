import type { Duplex } from "node:stream";
import type { BodySource } from "./body.ts";
import type { Exchange } from "./exchange.ts";
import type { Fault } from "./fault.ts";
import type { Headers } from "./headers.ts";
import type { Server } from "./service.ts";

/** Sends requests to servers of one transport: connection pools, HTTP/1.1, HTTP/2, TLS. One a transport and thread. */
export interface Upstream {
  /** Sends the exchange's request to the server. The call ends with exactly one of `replied`, `switched` or `failed`. */
  send(exchange: Exchange, server: Server, events: UpstreamEvents): UpstreamCall;
  /** These servers are gone: their idle connections are destroyed now, the others when their request is over. */
  forget(serverIds: readonly string[]): void;
  close(): void;
}

/** One object a forwarding, so that no closure is made per request. */
export interface UpstreamEvents {
  /** 1xx other than 100 and 101. */
  informed(status: number, headers: Headers): void;
  /** Headers are without hop-by-hop ones. The body does not flow before `flow` is called. */
  replied(status: number, headers: Headers, body: BodySource): void;
  /** A real 101 to an upgrade that was asked for. `early` holds what the server sent after its head. */
  switched(headers: Headers, end: TunnelEnd, early: Buffer): void;
  /** No reply will come. `requestSent`: whether any byte of the request may have reached the application. */
  failed(fault: Fault, detail: string, reused: boolean, requestSent: boolean): void;
}

/** The server's end of a tunnel. Nothing is read before `stream.resume()`. */
export interface TunnelEnd {
  readonly stream: Duplex;
  /** Its bytes go to the taker, and not to listeners of `data`. */
  readInto(taker: ByteTaker): void;
}

export interface ByteTaker {
  /** The bytes are the taker's from now on. False: no more come before `stream.resume()`. */
  take(bytes: Buffer): boolean;
}

export interface UpstreamCall {
  /** The client has gone: stop, and destroy the connection if a request is half sent. */
  cancel(): void;
  /** The exchange is over; told once, whatever came of it. */
  over?(): void;
}
