import assert from "node:assert/strict";
import { test } from "node:test";
import { Middlewares, type Tools } from "../../src/compile/middlewares.ts";
import basicAuth from "../../src/middleware/basic-auth.ts";
import headers from "../../src/middleware/headers.ts";
import type { Exchange } from "../../src/model/exchange.ts";
import { getHeader } from "../../src/model/headers.ts";
import type { Hooks, Middleware } from "../../src/model/middleware.ts";
import type { MiddlewareSpec } from "../../src/model/snapshot.ts";
import { answer, fakeHost, optionsOf, request } from "./harness.ts";

const spec = (name: string, middleware: Middleware, written: unknown): MiddlewareSpec => ({
  name,
  type: middleware.name,
  options: optionsOf(middleware, written),
  shared: undefined,
});

const AUTH = spec("auth@test", basicAuth as unknown as Middleware, {
  users: "otto:{SHA}nU4eI71bcnBGqeO0t9tXvY1u5oQ=",
});
const CORS = spec("cors@test", headers as unknown as Middleware, {
  accessControlAllowOriginList: "https://a.test",
  accessControlAllowMethods: "PUT",
  customRequestHeaders: { "X-App": "1" },
});

function hooksOf(specs: readonly MiddlewareSpec[]): readonly Hooks[] {
  const host = fakeHost();
  const tools: Tools = {
    ...host,
    sharedLimit: (_middleware, spec) => host.sharedLimit(spec),
    broken: (_name, _owner, reason) => assert.fail(reason),
  };
  const registry = new Map<string, Middleware>([
    ["basicAuth", basicAuth as unknown as Middleware],
    ["headers", headers as unknown as Middleware],
  ]);
  return new Middlewares(registry, tools).hooksOf("app@test", specs);
}

/** As the gateway walks them; the application answers 200. */
async function walk(hooks: readonly Hooks[], exchange: Exchange): Promise<Exchange> {
  let reached = 0;
  answer(exchange, 200);
  for (const one of hooks) {
    reached++;
    const outcome = await one.onRequest?.(exchange);
    if (outcome === undefined) continue;
    answer(exchange, outcome.status, [...outcome.headers], outcome.body);
    break;
  }
  for (const one of hooks.slice(0, reached).toReversed()) await one.onResponse?.(exchange);
  return exchange;
}

test("CORS is answered before authentication, wherever it stands in the list, and marks its refusals", async () => {
  const hooks = hooksOf([AUTH, CORS]);
  const origin = ["Origin", "https://a.test"];
  const preflight = request({
    method: "OPTIONS",
    headers: [...origin, "Access-Control-Request-Method", "PUT"],
  });
  assert.equal((await walk(hooks, preflight)).status, 200);
  assert.equal(getHeader(preflight.replyHeaders, "access-control-allow-origin"), "https://a.test");
  const refused = await walk(hooks, request({ headers: [...origin] }));
  assert.equal(refused.status, 401);
  assert.equal(getHeader(refused.replyHeaders, "access-control-allow-origin"), "https://a.test");
  assert.equal(getHeader(refused.headers, "x-app"), undefined, "the rest of the middleware keeps its place");
});
