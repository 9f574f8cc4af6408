import { NO_BODY } from "../../src/model/body.ts";
import { type Connection, Exchange } from "../../src/model/exchange.ts";

const connection: Connection = {
  entryPoint: "web",
  peerIp: "192.0.2.7",
  peerPort: 40123,
  localPort: 80,
  tls: undefined,
};

/** An exchange that has been answered by a server, with whatever is different this time. */
export function answered(
  change: Partial<Record<keyof Exchange, unknown>> = {},
  headers: string[] = [],
): Exchange {
  const client = { inform() {}, send() {}, takeOver: () => assertNever(), abort() {} };
  const target = ["GET", "http", "app.localhost:8080", "app.localhost", "/items", "page=2"] as const;
  const [method, scheme, authority, host, path, query] = target;
  const started = performance.now() - 12;
  const exchange = new Exchange(
    client,
    connection,
    started,
    11,
    method,
    scheme,
    authority,
    host,
    path,
    query,
    headers,
    NO_BODY,
    undefined,
    false,
  );
  const route = {
    name: "app@docker",
    rule: "Host(`app.localhost`)",
    hooks: [],
    service: { name: "app@docker" },
    tlsOptions: undefined,
    accessLog: true,
    metrics: true,
    tracing: false,
  };
  const facts = {
    route,
    service: "app@docker",
    server: "http://172.18.0.3:80",
    status: 200,
    replyBytes: 42,
    attempts: 1,
  };
  const times = { sentAtMs: started + 1, repliedAtMs: started + 11 };
  return Object.assign(exchange, facts, times, change);
}

function assertNever(): never {
  throw new Error("nobody takes this over");
}
