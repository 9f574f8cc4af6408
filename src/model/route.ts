import type { Exchange } from "./exchange.ts";
import type { Hooks } from "./middleware.ts";
import type { Service } from "./service.ts";

/** A router, compiled: where a matched request goes and what happens on its way. */
export interface Route {
  /** `app@docker`. */
  readonly name: string;
  readonly rule: string;
  /** In the order of the request; replies walk them backwards. */
  readonly hooks: readonly Hooks[];
  readonly service: Service;
  /** Name of the TLS options its hosts must have been connected with (421 otherwise); undefined without TLS. */
  readonly tlsOptions: string | undefined;
  readonly accessLog: boolean;
  /** Share of the requests; undefined for that of the settings. */
  readonly accessLogSampleRate?: number | undefined;
  readonly metrics: boolean;
  readonly tracing: boolean;
  /**
   * Set for a parent of other routers: after its hooks the exchange is matched here, `service` is not asked, and no
   * match is `no-route`. The route found has the hooks of this one first, so that going on means going on after
   * those that have run.
   */
  readonly children?: RouteTable;
}

export interface RouteTable {
  match(exchange: Exchange): Route | undefined;
}
