import { group, list } from "../schema/composites.ts";
import { bool, count, duration, text } from "../schema/kinds.ts";
import type { Values } from "../schema/option.ts";

/**
 * How a Redis that several machines share is reached. The names are Traefik's, the time limits ours: 40 ms and what a
 * busy thread adds stay below the 50 ms that a dead Redis may cost a request.
 */
export const sharedLimitOptions = {
  endpoints: list(text)({
    doc: "Addresses, host:port. Several are the nodes of a cluster, or the sentinels if there is a sentinel.",
    default: "127.0.0.1:6379",
  }),
  username: text({ doc: "User.", default: "" }),
  password: text({ doc: "Password.", default: "", secret: true }),
  db: count({ doc: "Number of the database; a cluster has only 0.", default: "0" }),
  poolSize: count({ doc: "Connections that each thread keeps open; 0 for one.", default: "0" }),
  minIdleConns: count({ doc: "At least so many connections.", default: "0" }),
  maxActiveConns: count({ doc: "At most so many connections; 0 for no limit.", default: "0" }),
  readTimeout: duration({
    doc: "Longest wait for a decision; after it this machine's own limit decides.",
    default: "40ms",
  }),
  writeTimeout: duration({ doc: "The same: the shorter of the two counts.", default: "40ms" }),
  dialTimeout: duration({
    doc: "Longest wait for a connection; requests do not wait for it.",
    default: "1s",
  }),
  tls: group(
    {
      ca: text({ doc: "Authority that is trusted: a path, or PEM.", default: "" }),
      cert: text({ doc: "Client certificate: a path, or PEM.", default: "" }),
      key: text({ doc: "Its private key: a path, or PEM.", default: "", secret: true }),
      insecureSkipVerify: bool({ doc: "Do not verify the server's certificate.", default: "false" }),
    },
    { enabler: true },
  )({ doc: "TLS towards Redis." }),
  sentinel: group({
    masterName: text({ doc: "Name of the master that the sentinels watch.", required: true }),
    username: text({ doc: "User at the sentinels.", default: "" }),
    password: text({ doc: "Password at the sentinels.", default: "", secret: true }),
  })({ doc: "Find the master through sentinels, whose addresses the endpoints are.", added: true }),
};
export type SharedLimitOptions = Values<typeof sharedLimitOptions>;

/** `tls` holds PEM by now. */
export interface SharedLimitSpec {
  readonly options: SharedLimitOptions;
  readonly perSecond: number;
  readonly burst: number;
  readonly delayMsMax: number;
}

export interface Taken {
  /** Milliseconds until the token is there; above `delayMsMax` it was not taken. */
  readonly waitMs: number;
  /** Milliseconds until the bucket is full. */
  readonly fullMs: number;
}

/** Token buckets that machines share. */
export interface SharedLimit {
  /**
   * Takes a token: undefined at once while nothing answers, a promise of undefined when no answer came in time. The
   * caller then decides by itself. Never rejects.
   */
  take(name: string): Promise<Taken | undefined> | undefined;
  readonly state: "up" | "down";
  close(): void;
}

const ENDPOINT = /^(?:\[([0-9a-f:.]+)\]|([^\s:/@[\]]+))(?::(\d{1,5}))?$/i;

export function readEndpoint(endpoint: string): { readonly host: string; readonly port: number } | undefined {
  const found = ENDPOINT.exec(endpoint);
  const port = Number(found?.[3] ?? 6379);
  if (found === null || port < 1 || port > 65535) return undefined;
  return { host: (found[1] ?? found[2])!, port };
}

const CONNECTIONS_MAX = 64;

/** How many connections each thread keeps. */
export function connectionsOf({ poolSize, minIdleConns, maxActiveConns }: SharedLimitOptions): number {
  return Math.min(Math.max(1, poolSize, minIdleConns), maxActiveConns || Number.POSITIVE_INFINITY);
}

/** What is wrong with them together, or undefined. */
export function whyNoSharedLimit(options: SharedLimitOptions): string | undefined {
  const { endpoints, sentinel, db, readTimeout, writeTimeout, dialTimeout, tls } = options;
  if (endpoints.length === 0) return "needs at least one endpoint";
  const odd = endpoints.find((endpoint) => readEndpoint(endpoint) === undefined);
  if (odd !== undefined) return `endpoints: expected host:port, found "${odd.replace(/^.*@/, "***@")}"`;
  if (sentinel === undefined && endpoints.length > 1 && db !== 0)
    return "db: a cluster (several endpoints) has no database but 0";
  if (Math.min(readTimeout, writeTimeout, dialTimeout) <= 0) return "its timeouts must be more than 0";
  if (connectionsOf(options) > CONNECTIONS_MAX)
    return `poolSize: at most ${CONNECTIONS_MAX} connections a thread`;
  if (tls !== undefined && (tls.cert === "") !== (tls.key === "")) return "tls: cert and key belong together";
  return undefined;
}
