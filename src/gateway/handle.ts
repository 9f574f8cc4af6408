import type { Exchange, Reply } from "../model/exchange.ts";
import { FAULTS } from "../model/fault.ts";
import type { Outcome } from "../model/middleware.ts";
import type { Route, RouteTable } from "../model/route.ts";
import type { Service } from "../model/service.ts";
import { viaHits } from "../wire/forwarded.ts";
import { forward } from "./forward.ts";
import type { HttpGateway } from "./gateway.ts";
import { runRequestHooks } from "./hooks.ts";
import { answer, fail, refuse } from "./respond.ts";

/** Often enough for any chain of proxies that makes sense, seldom enough for a loop to end at once. */
const VIA_MAX = 8;

/** The life of one exchange, top to bottom. Nothing here waits unless a hook does. */
export function handle(exchange: Exchange, table: RouteTable, gateway: HttpGateway): void {
  try {
    if (viaHits(exchange.headers) >= VIA_MAX) return refuse(exchange, FAULTS.loop, "Via", gateway);
    const route = table.match(exchange);
    if (route === undefined) return refuse(exchange, FAULTS["no-route"], exchange.host, gateway);
    const { tls } = exchange.connection;
    if (tls !== undefined && route.tlsOptions !== undefined && route.tlsOptions !== tls.options) {
      exchange.route = route;
      return refuse(exchange, FAULTS.misdirected, `${tls.options} instead of ${route.tlsOptions}`, gateway);
    }
    take(exchange, route, gateway);
  } catch (error) {
    fail(exchange, error, gateway);
  }
}

/** The route's hooks, except those that its parent had first and that have run. */
function take(exchange: Exchange, route: Route, gateway: HttpGateway): void {
  exchange.route = route;
  const outcome = runRequestHooks(exchange, route.hooks, exchange.hooksRun);
  if (!(outcome instanceof Promise)) return serve(exchange, outcome, route, gateway);
  outcome
    .then((reply) => serve(exchange, reply, route, gateway))
    .catch((error) => fail(exchange, error, gateway));
}

/** The route's hooks have let the request through, or one has answered it. */
function serve(exchange: Exchange, reply: Outcome, route: Route, gateway: HttpGateway): void {
  if (exchange.clientLeft) return;
  if (reply !== undefined) return answer(exchange, reply, gateway);
  if (route.children === undefined) return toService(exchange, route.service, gateway);
  const child = route.children.match(exchange);
  if (child === undefined) return refuse(exchange, FAULTS["no-route"], `below ${route.name}`, gateway);
  take(exchange, child, gateway);
}

/** The service's own part: the leaf it chooses, the leaf's hooks, and one of its servers. */
export function toService(exchange: Exchange, service: Service, gateway: HttpGateway): void {
  const leaf = service.choose(exchange);
  exchange.leaf = leaf;
  exchange.service = leaf.name;
  const outcome = leaf.hooks.length === 0 ? undefined : runRequestHooks(exchange, leaf.hooks, 0);
  if (!(outcome instanceof Promise)) return toServer(exchange, outcome, gateway);
  outcome
    .then((reply) => toServer(exchange, reply, gateway))
    .catch((error) => fail(exchange, error, gateway));
}

function toServer(exchange: Exchange, outcome: Outcome, gateway: HttpGateway): void {
  if (exchange.clientLeft) return;
  if (outcome !== undefined) return answer(exchange, outcome, gateway);
  const leaf = exchange.leaf!;
  if (leaf.answer === undefined) return forward(exchange, leaf, gateway);
  const reply: Reply | Promise<Reply> = leaf.answer(exchange);
  if (!(reply instanceof Promise)) return answer(exchange, reply, gateway);
  reply.then((late) => answer(exchange, late, gateway)).catch((error) => fail(exchange, error, gateway));
}
