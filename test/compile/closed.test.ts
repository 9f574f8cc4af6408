import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually, startProduct } from "../e2e/harness.ts";

// `ping@internal` stands for the application: whoever gets its 200 has got through.
const file = (admin: string) => `
http:
  routers:
    app: { rule: "Host(\`app.test\`)", service: "ping@internal" }
    admin: { rule: "Host(\`app.test\`) && PathPrefix(\`/admin\`)", service: "ping@internal", middlewares: [ auth ] }
  middlewares: { auth: ${admin} }
`;
const REFUSES = "{ ipAllowList: { sourceRange: [ 192.0.2.1 ] } }";
const BROKEN = "{ ipAllowList: { sourceRange: [ nowhere ] } }";

test("no request reaches a guarded path by a broader router when the guard is declared wrongly", async () => {
  await using product = await startProduct({
    threads: 1,
    flags: ["--ping", "--entryPoints.traefik.address=127.0.0.1:0"],
    file: file(BROKEN),
  });
  const refused = await product.get("app.test", "/admin/x", { headers: { accept: "application/json" } });
  assert.equal(refused.status, 503);
  assert.equal(JSON.parse(refused.body).code, "misconfigured");
  assert.doesNotMatch(refused.body, /nowhere|auth/, "the reason is for the operator");
  assert.equal((await product.get("app.test", "/")).status, 200, "others go on");

  product.write(file(REFUSES));
  await eventually(async () => assert.equal((await product.get("app.test", "/admin")).status, 403));
  product.write(file(BROKEN));
  await eventually(() =>
    assert.ok(product.runtime.report().problems.some(({ severity }) => severity === "error")),
  );
  assert.equal((await product.get("app.test", "/admin")).status, 403, "the last good guard stays");
});

test("the same by label, and a container cannot close another project's host by a mistake where hosts are exclusive", async () => {
  const container = (name: string, project: string, labels: Record<string, string>) => ({
    name,
    labels: { "com.docker.compose.project": project, "com.docker.compose.service": name, ...labels },
  });
  const shop = container("shop", "first", {
    "traefik.http.routers.shop.rule": "Host(`shop.test`)",
    "traefik.http.routers.admin.rule": "Host(`shop.test`) && PathPrefix(`/admin`)",
    "traefik.http.routers.admin.middlewares": "auth",
    "traefik.http.middlewares.auth.basicauth.users": "nonsense",
  });
  const thief = container("thief", "second", {
    "traefik.http.routers.thief.rule": "Host(`shop.test`) && PathPrefix(`/`)",
    "traefik.http.routers.thief.middlewares": "nobody",
  });
  await using product = await startProduct({
    threads: 1,
    containers: [shop, thief].map((spec, i) => ({ ...spec, created: 1000 + i })),
    flags: ["--providers.docker.exclusiveHosts=true"],
  });
  assert.equal((await product.get("shop.test", "/admin")).status, 503);
  assert.equal((await product.get("shop.test", "/")).status, 200);
});
