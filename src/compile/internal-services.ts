import type { Exchange, Reply } from "../model/exchange.ts";
import { reply } from "../model/exchange.ts";

/** What the answers of a thread depend on. */
export interface ThreadState {
  /** We are going away: ping says so before anything else changes. */
  terminating: boolean;
  readonly terminatingStatus: number;
  challenge(token: string): string | undefined;
}

const CHALLENGE_PATH = "/.well-known/acme-challenge/";
const PLAIN = ["Content-Type", "text/plain; charset=utf-8"];
const OK = reply(200, "ping", PLAIN, "OK");

/** Services that a thread answers by itself, by name. */
export function internalServices(state: ThreadState): ReadonlyMap<string, (exchange: Exchange) => Reply> {
  const going = reply(state.terminatingStatus, "shutting down");
  return new Map([
    ["ping@internal", () => (state.terminating ? going : OK)],
    ["noop@internal", () => reply(418, "noop")],
    ["acme-http@internal", (exchange: Exchange) => answerChallenge(exchange, state)],
  ]);
}

// The route is there for live tokens only; this one may have ended meanwhile.
function answerChallenge({ path }: Exchange, state: ThreadState): Reply {
  const token = path.slice(CHALLENGE_PATH.length);
  const authorization = /^[\w-]{1,256}$/.test(token) ? state.challenge(token) : undefined;
  if (authorization === undefined) return reply(404, "no such challenge");
  return reply(200, "acme challenge", ["Content-Type", "application/octet-stream"], authorization);
}
