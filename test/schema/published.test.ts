import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Ajv2020, type ErrorObject } from "ajv/dist/2020.js";
import { getStaticTOMLValue, parseTOML } from "toml-eslint-parser";
import { parse as parseYaml } from "yaml";
import { complaintsOf, gather } from "../control/gather.ts";

/** The schemas that editors are given, held by a validator of others' against what the readers say. */

const root = join(import.meta.dirname, "../..");
const schemaOf = (name: string) =>
  JSON.parse(readFileSync(join(root, `docs/reference/${name}.schema.json`), "utf8")) as Schema;

interface Schema {
  readonly [key: string]: unknown;
}

const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, allErrors: true });
const dynamic = schemaOf("dynamic");
const settings = schemaOf("settings");
const isDynamic = ajv.compile(dynamic);
const isSettings = ajv.compile(settings);
const wrongs = (errors: readonly ErrorObject[] | null | undefined) =>
  (errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`).join("\n");

const GOOD: Readonly<Record<string, string>> = {
  "a router, a service and a middleware": `
http:
  routers: { app: { rule: "Host(\`app.test\`)", service: app, middlewares: [ auth ], priority: 7, tls: true } }
  services: { app: { loadBalancer: { sticky: { cookie: true }, servers: [ { url: "http://10.0.0.1:80", weight: 2 } ] } } }
  middlewares: { auth: { basicAuth: { users: [ "anna:$2y$05$GqS2mlGBaBlDVMmGMXDMCuJdUnsoy6E1fA2FcYSoz5yR5VIcjzXd6" ] } } }`,
  "groups that their bare name switches on": `
http:
  routers: { app: { rule: "Path(\`/\`)", service: app, tls: {} } }
  services: { app: { loadBalancer: { healthCheck: {}, sticky: { cookie: {} }, servers: [] } } }
  middlewares: { zip: { compress: true }, type: { contentType: {} }, odd: { encodedCharacters: true } }`,
  "durations, sizes and numbers in all their forms": `
http:
  services:
    app:
      timeouts: { request: 1m30s, idle: 30 }
      limits: { body: 10MiB }
      loadBalancer: { passiveHealthCheck: { failureWindow: 10s, maxFailedAttempts: 3 }, servers: [ { url: "http://10.0.0.1" } ] }
  middlewares:
    some: { rateLimit: { average: 100, period: 1m, burst: 200, sourceCriterion: { ipStrategy: { depth: 1 } } } }
    buffer: { buffering: { maxRequestBodyBytes: 1048576, memRequestBodyBytes: 64KiB } }
    again: { retry: { attempts: 3, status: [ "502", "503-504" ] } }
    pages: { errors: { status: [ "500-599" ], statusRewrites: { "418": 404 }, service: app, query: "/{status}.html" } }`,
  "composite services": `
http:
  services:
    a: { loadBalancer: { servers: [ { url: "http://10.0.0.1" } ] } }
    b: { loadBalancer: { servers: [ { url: "http://10.0.0.2" } ] } }
    canary: { weighted: { services: [ { name: a, weight: 9 }, { name: b, header: X-Canary } ] } }
    copied: { mirroring: { service: a, mirrors: [ { name: b, percent: 10 } ] } }
    safe: { failover: { service: a, fallback: b, errors: { status: [ "500" ] } } }
    kept: { highestRandomWeight: { services: [ { name: a }, { name: b } ] } }`,
  "headers as a map, and TLS": `
http:
  middlewares: { marks: { headers: { customResponseHeaders: { X-A: a, X-B: "" }, stsSeconds: 31536000, frameDeny: true } } }
  serversTransports: { own: { insecureSkipVerify: true, forwardingTimeouts: { dialTimeout: 5s } } }
tls:
  options: { modern: { minVersion: VersionTLS13, sniStrict: true } }`,
};

for (const [what, yaml] of Object.entries(GOOD)) {
  test(`the schema of routes takes what is read without a problem: ${what}`, () => {
    const value = parseYaml(yaml) as unknown;
    assert.ok(isDynamic(value), wrongs(isDynamic.errors));
    assert.deepEqual(complaintsOf(gather({ file: yaml })), []);
    // JSON is YAML too.
    assert.deepEqual(complaintsOf(gather({ file: JSON.stringify(value) })), []);
  });
}

const WRONG: Readonly<Record<string, string>> = {
  "an option that is not there": `http: { routers: { app: { rule: "Path(\`/\`)", service: "noop@internal", middelwares: [ a ] } } }`,
  "a middleware that is not there": "http: { middlewares: { a: { addPrefx: { prefix: /x } } } }",
  "text for a truth": "http: { serversTransports: { a: { insecureSkipVerify: perhaps } } }",
  "a choice that is none": "http: { services: { a: { loadBalancer: { strategy: best, servers: [] } } } }",
  "an option that is missing": "http: { middlewares: { a: { addPrefix: {} } } }",
  "a section that is not there": "htpp: { routers: {} }",
};

for (const [what, yaml] of Object.entries(WRONG)) {
  test(`the schema of routes refuses what the reader complains of: ${what}`, () => {
    assert.equal(isDynamic(parseYaml(yaml)), false);
    assert.notDeepEqual(complaintsOf(gather({ file: yaml })), []);
  });
}

test("the schema of settings takes the example's file, in YAML and in TOML, and refuses a slip", () => {
  const file = parseYaml(readFileSync(join(root, "examples/settings-file/waybill.yml"), "utf8")) as Schema;
  assert.ok(isSettings(file), wrongs(isSettings.errors));
  const toml = getStaticTOMLValue(parseTOML('[entryPoints.web]\naddress = ":80"\n[log]\nformat = "json"\n'));
  assert.ok(isSettings(toml), wrongs(isSettings.errors));
  assert.equal(isSettings({ entryPoint: { web: { address: ":80" } } }), false);
  assert.equal(isSettings({ log: { format: "yaml" } }), false);
});

/** Every schema inside a schema, with where it is. */
function* inside(schema: unknown, path: string): Generator<[path: string, schema: Schema]> {
  if (schema === null || typeof schema !== "object" || Array.isArray(schema)) return;
  const one = schema as Schema;
  yield [path, one];
  for (const [name, below] of Object.entries((one["properties"] ?? {}) as Schema))
    yield* inside(below, `${path}.${name}`);
  yield* inside(one["additionalProperties"], `${path}.*`);
  yield* inside(one["items"], `${path}[]`);
}

for (const [name, schema] of [
  ["dynamic", dynamic],
  ["settings", settings],
] as const) {
  test(`every default and example in the schema of ${name} is one that it takes itself`, () => {
    const wrong: string[] = [];
    for (const [path, one] of inside(schema, name)) {
      const { default: usual, examples = [], $schema: _, ...rest } = one;
      const takes = ajv.compile(rest);
      const values = [...(usual === undefined ? [] : [usual]), ...(examples as unknown[])];
      for (const value of values) if (!takes(value)) wrong.push(`${path}: ${JSON.stringify(value)}`);
    }
    assert.deepEqual(wrong, []);
  });
}
