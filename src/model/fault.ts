/**
 * Why a request was not answered by the application: the only catalogue. The access log, the metrics, the error
 * page, the API and `waybill explain` use the same codes. `docs/faults.md` is generated from it.
 */
export interface Fault {
  readonly code: string;
  /** The status a client sees when nothing has been sent yet. 0: the connection is closed without a reply. */
  readonly status: number;
  readonly source: "client" | "proxy" | "upstream";
  /** Whether another try may help: `never`, `always` (nothing reached the application), `reused` (the connection was reused and the request is idempotent). */
  readonly retry: "never" | "always" | "reused";
  /** For the operator. Never sent to a client. */
  readonly meaning: string;
}

function fault(status: number, source: Fault["source"], retry: Fault["retry"], meaning: string) {
  return { status, source, retry, meaning };
}

const CATALOGUE = {
  // The client's doing.
  "bad-request": fault(400, "client", "never", "The request is not valid HTTP."),
  "bad-framing": fault(
    400,
    "client",
    "never",
    "Content-Length and Transfer-Encoding do not say clearly where the request ends.",
  ),
  "bad-header": fault(
    400,
    "client",
    "never",
    "A header name or value holds bytes that are not allowed there.",
  ),
  "bad-host": fault(400, "client", "never", "The Host header is missing, repeated or not a host name."),
  "bad-target": fault(
    400,
    "client",
    "never",
    "The request target holds characters or escapes that are not allowed.",
  ),
  "encoded-character": fault(
    400,
    "client",
    "never",
    "The path holds an encoded slash, backslash or NUL, which this entry point refuses.",
  ),
  "bad-version": fault(505, "client", "never", "The HTTP version is not supported."),
  "bad-upgrade": fault(400, "client", "never", "The upgrade request is not valid."),
  "bad-expectation": fault(417, "client", "never", "The Expect header is not 100-continue."),
  loop: fault(508, "client", "never", "The request came back to this proxy through its own routes."),
  "method-refused": fault(405, "client", "never", "TRACE is not allowed."),
  "connect-refused": fault(501, "client", "never", "CONNECT is not supported."),
  "coding-refused": fault(
    501,
    "client",
    "never",
    "The transfer coding is known but not supported in requests.",
  ),
  "uri-too-long": fault(414, "client", "never", "The request line is longer than the limit."),
  "headers-too-large": fault(431, "client", "never", "The headers are more or larger than the limit."),
  "body-too-large": fault(413, "client", "never", "The body is larger than the limit."),
  "request-timeout": fault(
    408,
    "client",
    "never",
    "The request did not arrive within the entry point's time.",
  ),
  "client-gone": fault(
    499,
    "client",
    "never",
    "The client closed the connection before the reply was complete.",
  ),
  "client-stalled": fault(0, "client", "never", "The client stopped reading the reply."),
  misdirected: fault(
    421,
    "client",
    "never",
    "The TLS connection was made for another host with other TLS options.",
  ),
  "plain-on-tls": fault(400, "client", "never", "Plain HTTP arrived on a TLS port."),

  // Our doing, or our operator's.
  "no-route": fault(404, "proxy", "never", "No router's rule matches the request."),
  "no-server": fault(503, "proxy", "never", "The service has no server that may take the request."),
  starting: fault(503, "proxy", "never", "The container is starting."),
  unhealthy: fault(503, "proxy", "never", "The container's health check fails."),
  paused: fault(503, "proxy", "never", "The container is paused."),
  stopped: fault(503, "proxy", "never", "The container is stopped."),
  "no-shared-network": fault(502, "proxy", "never", "The container shares no network with the proxy."),
  "no-address": fault(502, "proxy", "never", "The container has no address the proxy can use."),
  "no-port": fault(502, "proxy", "never", "The container exposes no port and no label names one."),
  "refused-by-middleware": fault(403, "proxy", "never", "A middleware refused the request."),
  "circuit-open": fault(
    503,
    "proxy",
    "never",
    "A circuit breaker is open: the service failed too often just before.",
  ),
  "auth-failed": fault(502, "proxy", "never", "The authentication service gave no usable answer."),
  "auth-timeout": fault(504, "proxy", "never", "The authentication service did not answer in time."),
  overloaded: fault(503, "proxy", "never", "The proxy is at one of its own limits."),
  "shutting-down": fault(503, "proxy", "never", "The proxy is shutting down."),
  misconfigured: fault(
    503,
    "proxy",
    "never",
    "The router, or a middleware or service that it needs, is declared wrongly; it refuses what it cannot guard.",
  ),
  internal: fault(500, "proxy", "never", "The proxy failed; the log has the stack."),

  // The application's doing, or its network's.
  "connect-failed": fault(
    502,
    "upstream",
    "always",
    "The server refused the connection or could not be reached.",
  ),
  "connect-timeout": fault(504, "upstream", "always", "The server did not accept the connection in time."),
  "dns-failed": fault(502, "upstream", "always", "The server's name could not be resolved."),
  "tls-failed": fault(
    502,
    "upstream",
    "always",
    "The TLS handshake with the server failed, or its certificate is not trusted.",
  ),
  "pool-full": fault(
    503,
    "upstream",
    "always",
    "The server has as many connections and waiting requests as it may have.",
  ),
  "upstream-closed": fault(502, "upstream", "reused", "The server closed the connection before replying."),
  "upstream-reset": fault(502, "upstream", "reused", "The server reset the connection before replying."),
  "upstream-timeout": fault(504, "upstream", "never", "The server did not start its reply in time."),
  "upstream-stalled": fault(
    504,
    "upstream",
    "never",
    "The server stopped sending in the middle of its reply.",
  ),
  "upstream-truncated": fault(502, "upstream", "never", "The server's reply ended before it was complete."),
  "bad-reply": fault(502, "upstream", "never", "The server's reply is not valid HTTP."),
  "reply-too-large": fault(
    502,
    "upstream",
    "never",
    "The server's reply headers are more or larger than the limit.",
  ),
  "bad-switch": fault(
    502,
    "upstream",
    "never",
    "The server switched protocols without being asked, or to another one.",
  ),
} as const;

export type FaultCode = keyof typeof CATALOGUE;

export const FAULTS = Object.fromEntries(
  Object.entries(CATALOGUE).map(([code, entry]) => [code, Object.freeze({ code, ...entry })]),
) as { readonly [C in FaultCode]: Fault & { readonly code: C } };
