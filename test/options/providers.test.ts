import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { gather, routersOf } from "../control/gather.ts";
import { eventually, startProduct } from "../e2e/harness.ts";

/** What providers can be told, where their own tests do not show it with the whole product. */

const app = (name: string, labels: Record<string, string> = {}) => ({ name, labels });
const rule = (name: string, text: string) => ({ [`traefik.http.routers.${name}.rule`]: text });

test("providersThrottleDuration: a change soon after another waits for its time", async () => {
  await using product = await startProduct({
    threads: 1,
    containers: [app("one", rule("one", "Host(`one.test`)"))],
    flags: ["--providers.providersThrottleDuration=700ms"],
  });
  const begun = performance.now();
  await product.demo.engine.add(app("two", rule("two", "Host(`two.test`)")));
  await eventually(async () => assert.equal((await product.get("two.test")).status, 200));
  await product.demo.engine.add(app("three", rule("three", "Host(`three.test`)")));
  await eventually(async () => assert.equal((await product.get("three.test")).status, 200));
  // Not before 700 ms after the second, which came after we began.
  assert.ok(performance.now() - begun > 600);
});

test("precedence: among equal priorities the first provider's router is tried first", () => {
  const yaml = 'http: { routers: { app: { rule: "Host(`a.test`)", service: noop@internal } } }';
  const first = (flags: string[]) => {
    const routers = routersOf(
      gather({ file: yaml, redis: yaml }, ["--entryPoints.web.address=:80", ...flags]),
    );
    return routers.toSorted((a, b) => a.precedence - b.precedence)[0]!.provider;
  };
  assert.equal(first([]), "file");
  assert.equal(first(["--providers.precedence=redis,file"]), "redis");
});

test("exposedByDefault, defaultRule and constraints: which containers are routed, and how", async () => {
  await using product = await startProduct({
    threads: 1,
    containers: [
      app("shown", { "traefik.enable": "true", stage: "production" }),
      app("hidden", { stage: "production" }),
      app("other", { "traefik.enable": "true", stage: "test" }),
    ],
    flags: [
      "--providers.docker.exposedByDefault=false",
      "--providers.docker.defaultRule=Host(`{{ normalize .Name }}.own.test`)",
      "--providers.docker.constraints=Label(`stage`, `production`)",
    ],
  });
  assert.equal((await product.get("shown.own.test")).status, 200);
  assert.equal((await product.get("hidden.own.test")).status, 404);
  assert.equal((await product.get("other.own.test")).status, 404);
});

test("exclusiveHosts: a host belongs to the project that named it first", async () => {
  const of = (project: string) =>
    app(project, {
      "com.docker.compose.project": project,
      "com.docker.compose.service": "app",
      ...rule(project, "Host(`same.test`)"),
    });
  const disabled = async (flags: string[]) => {
    await using product = await startProduct({ threads: 1, containers: [of("first"), of("second")], flags });
    const { routers } = product.runtime.report();
    return [...routers.values()].filter(({ status }) => status === "disabled").length;
  };
  assert.equal(await disabled([]), 0);
  assert.equal(await disabled(["--providers.docker.exclusiveHosts=true"]), 1);
});

test("secrets.directories and secrets.variables: what labels and files may read, and nothing else", async () => {
  const folder = mkdtempSync(join(tmpdir(), "waybill-secrets-"));
  const users = join(folder, "users");
  writeFileSync(users, "test:$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/\n");
  const guarded = async (reference: string, flags: string[]) => {
    await using product = await startProduct({
      threads: 1,
      env: { HOUSE_USERS: "test:$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/" },
      flags,
      file: `
http:
  routers: { app: { rule: "Host(\`app.test\`)", service: "ping@internal", middlewares: [ auth ] } }
  middlewares: { auth: { basicAuth: { users: "${reference}" } } }
`,
    });
    return (await product.get("app.test", "/", { headers: { authorization: `Basic ${btoa("test:test")}` } }))
      .status;
  };
  try {
    assert.notEqual(await guarded(`file:${users}`, []), 200);
    assert.equal(await guarded(`file:${users}`, [`--secrets.directories=${folder}`]), 200);
    assert.notEqual(await guarded("env:HOUSE_USERS", []), 200);
    assert.equal(await guarded("env:HOUSE_USERS", ["--secrets.variables=HOUSE_*"]), 200);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("core.defaultRuleSyntax: the language of rules that do not say", async () => {
  const containers = [app("old", rule("old", "Host(`a.test`, `b.test`)"))];
  await using product = await startProduct({
    threads: 1,
    containers,
    flags: ["--core.defaultRuleSyntax=v2"],
  });
  assert.equal((await product.get("b.test")).status, 200);
});
