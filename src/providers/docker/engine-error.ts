import type { Endpoint } from "./endpoint.ts";

/** Why the engine could not be asked, in words for the operator. */
export class EngineError extends Error {
  /** HTTP status, if the engine or a proxy before it answered. */
  readonly status: number | undefined;

  constructor(message: string, status?: number) {
    super(message);
    this.status = status;
  }
}

// Names that Tecnativa's socket proxy, and those after its example, give to the endpoints that we ask for.
const SWITCHES: [RegExp, string][] = [
  [/^\/containers/, "CONTAINERS=1"],
  [/^\/events/, "EVENTS=1"],
  [/^\/_ping/, "PING=1"],
  [/^\/version/, "VERSION=1"],
];

const NOT_TRUSTED =
  "its certificate is not trusted: name the authority that signed it in providers.docker.tls.ca";

const REASONS: Record<string, string> = {
  ENOENT: "there is no such socket: is Docker running, and is the socket mounted?",
  EACCES:
    "permission denied: run Waybill with the group that owns the socket, or put a socket proxy before it",
  ECONNREFUSED: "nobody is listening there: is Docker running?",
  ECONNRESET: "the connection was cut",
  ENOTFOUND: "there is no such host",
  EHOSTUNREACH: "the host cannot be reached",
  ENETUNREACH: "the host cannot be reached",
  ETIMEDOUT: "nobody answers there",
  EPROTO:
    "it does not speak TLS there: leave providers.docker.tls out, or name the port that does (often 2376)",
  DEPTH_ZERO_SELF_SIGNED_CERT: NOT_TRUSTED,
  SELF_SIGNED_CERT_IN_CHAIN: NOT_TRUSTED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: NOT_TRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: NOT_TRUSTED,
  CERT_HAS_EXPIRED: "its certificate has expired",
};

export function explainEngineError(error: unknown, path: string, endpoint: Endpoint): EngineError {
  const { statusCode, code, name, message } = error as NodeJS.ErrnoException & { statusCode?: number };
  const asked = `GET ${path.replace(/\?.*$/, "")}`;
  if (statusCode === 401 || statusCode === 403) {
    const switched = SWITCHES.find(([prefix]) => prefix.test(path))?.[1];
    return new EngineError(
      `${asked} is denied (${statusCode}): a socket proxy must allow it, often by ${switched}`,
      statusCode,
    );
  }
  if (statusCode !== undefined) return new EngineError(`${asked} failed: ${message.trim()}`, statusCode);
  if (name === "AbortError" || name === "TimeoutError")
    return new EngineError(`${asked} was not answered in time`);
  if (endpoint.isSsh && /verif/i.test(message)) {
    return new EngineError(`the host key is not in ~/.ssh/known_hosts: connect once with ssh and accept it`);
  }
  return new EngineError(REASONS[code ?? ""] ?? message.trim());
}
