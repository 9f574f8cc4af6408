import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { NO_BODY } from "../../src/model/body.ts";
import type { Exchange } from "../../src/model/exchange.ts";
import type { Hooks, Middleware } from "../../src/model/middleware.ts";
import type { Options } from "../../src/schema/option.ts";
import { answer, fakeHost, make, problemsOf, request } from "./harness.ts";

const FOLDER = new URL("../../src/middleware/", import.meta.url);

const files = readdirSync(FOLDER).filter((file) => file.endsWith(".ts"));
const middlewares: { file: string; middleware: Middleware }[] = [];
for (const file of files) {
  const module: { default: Middleware } = await import(new URL(file, FOLDER).href);
  middlewares.push({ file, middleware: module.default });
}

/** The least that a person has to write: examples of what is required, or of the first option if nothing is. */
function least(options: Options): Record<string, unknown> {
  const written: Record<string, unknown> = {};
  for (const [name, { about, kind }] of Object.entries(options)) {
    if (!about.required) continue;
    assert.ok(about.example !== undefined || kind.form === "group", `${name} is required and has no example`);
    written[name] = about.example ?? {};
  }
  return written;
}

/** What the options need beyond their declarations, in as few words as possible. */
const NEEDED: Record<string, Record<string, unknown>> = {
  basicAuth: { users: "admin:$2y$05$GqS2mlGBaBlDVMmGMXDMCuJdUnsoy6E1fA2FcYSoz5yR5VIcjzXd6" },
  digestAuth: { users: "test:traefik:a2688e031edb4be6a3797f3882655c05" },
  headers: { frameDeny: "true", accessControlAllowOriginList: "*" },
  retry: {},
};

function writtenFor(middleware: Middleware): Record<string, unknown> {
  return { ...least(middleware.options), ...NEEDED[middleware.name] };
}

for (const { file, middleware } of middlewares) {
  const name = middleware.name;

  test(`${name} is in the file of its name and has the form that all have`, () => {
    assert.equal(file, `${name.replace(/[A-Z]+(?![a-z])|[A-Z]/g, (c) => `-${c.toLowerCase()}`)}.ts`);
    const source = readFileSync(new URL(file, FOLDER), "utf8");
    const places = ["name", "summary", "options", "check", "create"]
      .map((key) => new RegExp(`^  (?:async )?${key}(?:[:(,]|<)`, "m").exec(source)?.index)
      .filter((at) => at !== undefined);
    assert.deepEqual(
      places,
      places.toSorted((a, b) => a - b),
      "name, summary, options, check, create in that order",
    );
    assert.match(source, /^export default middleware\(/m);
    assert.match(middleware.summary, /^[A-Z].*\.$/);
  });

  test(`${name} documents every option in a sentence`, () => {
    const undocumented: string[] = [];
    const walk = (options: Options, prefix: string) => {
      for (const [option, { about, kind }] of Object.entries(options)) {
        if (about.obsolete === undefined && about.refused === undefined && !/^\S.*\.$/.test(about.doc))
          undocumented.push(`${prefix}${option}`);
        if (kind.options) walk(kind.options, `${prefix}${option}.`);
        if (kind.of?.options) walk(kind.of.options, `${prefix}${option}[].`);
      }
    };
    walk(middleware.options, "");
    assert.deepEqual(undocumented, []);
  });

  test(`${name} is made from its defaults, with and without shared memory`, () => {
    const written = writtenFor(middleware);
    assert.deepEqual(problemsOf(middleware, written), []);
    make(middleware, written).close?.();
    make(middleware, written, { ...fakeHost(), shared: undefined }).close?.();
  });

  test(`${name} survives hostile exchanges`, async () => {
    for (const exchange of hostile()) {
      const hooks = make(middleware, writtenFor(middleware));
      await walkThrough(hooks, exchange);
      hooks.close?.();
    }
  });
}

async function walkThrough(hooks: Hooks, exchange: Exchange): Promise<void> {
  const outcome = (await hooks.outer?.onRequest?.(exchange)) ?? (await hooks.onRequest?.(exchange));
  assert.match(exchange.path, /^\//, "the path stays a path");
  assert.doesNotMatch(exchange.path, /\/\.\.?(?:\/|$)/, "the path stays normal");
  if (outcome === undefined) answer(exchange, 200, ["Content-Type", "text/html; charset"], "<p>hello");
  else answer(exchange, outcome.status, [...outcome.headers], outcome.body);
  for (const value of exchange.replyHeaders) assert.doesNotMatch(value, /[\r\n\0]/, "no header can be split");
  await hooks.onResponse?.(exchange);
  await hooks.outer?.onResponse?.(exchange);
  hooks.onDone?.(exchange);
  hooks.outer?.onDone?.(exchange);
  for (const value of [...exchange.replyHeaders, ...exchange.headers]) assert.doesNotMatch(value, /[\r\n\0]/);
}

function* hostile(): Generator<Exchange> {
  yield request();
  yield request({ url: "http:///", method: "OPTIONS" });
  yield request({ url: "http://[::1]:65535/", peerIp: "2001:db8::1" });
  yield request({ path: "/%00/%FF%FE/%2F%2F/%25", url: "http://a.test/?%00=%0d%0a&=&&a;b" });
  yield request({ path: `/${"a/".repeat(4000)}`, method: "POST", body: "x".repeat(100_000) });
  yield request({ method: "__PROTO__", headers: many(100) });
  yield request({ headers: ["__proto__", "constructor", "constructor", "__proto__", "hasOwnProperty", ""] });
  yield request({ headers: ["Authorization", `Basic ${"A".repeat(20_000)}`] });
  yield request({ headers: ["Authorization", `Digest ${'a="\\'.repeat(900)}`] });
  yield request({ headers: ["Authorization", "Digest", "Authorization", "Basic", "Origin", "null"] });
  yield request({
    headers: [
      "X-Forwarded-For",
      ",,, ,\u00ff,[::1,unknown,1.2.3.4:99999",
      "Accept-Encoding",
      "*;q=x,,;,=,gzip;q=9",
    ],
  });
  yield request({
    method: "OPTIONS",
    headers: ["Origin", "\u00ff", "Access-Control-Request-Method", "\u00e9\t"],
  });
  yield request({
    upgrade: "websocket",
    headers: ["Content-Type", "application/grpc-web-text"],
    body: "AAAA",
  });
  yield request({
    method: "POST",
    headers: ["Content-Type", "application/grpc-web-text+proto"],
    body: "%%%",
  });
  yield request({
    body: { length: -1, flow: (sink) => sink.end(["X-User", "x"]), resume() {}, cancel() {} },
  });
  yield request({ tls: { peerCertificates: () => [Buffer.from("no certificate")] }, body: NO_BODY });
}

function many(count: number): string[] {
  return Array.from({ length: count }, (_, i) => [`X-${i}`, "\u00e9".repeat(200)]).flat();
}
