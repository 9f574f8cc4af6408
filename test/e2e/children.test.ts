import assert from "node:assert/strict";
import { test } from "node:test";
import { startProduct, startServer } from "./harness.ts";

test("a router with parents continues what its parent has begun", async () => {
  await using backend = await startServer((request, response) =>
    response.end(`${request.headers["x-parent"]} ${request.headers["x-child"]}`),
  );
  await using product = await startProduct({
    file: `
http:
  routers:
    shop: { rule: "Host(\`shop.test\`)", middlewares: [ parent ] }
    admin: { rule: "PathPrefix(\`/admin\`)", parentRefs: [ shop ], middlewares: [ child ], service: app }
    guests: { rule: "HeaderRegexp(\`X-Parent\`, \`yes\`) && Path(\`/\`)", parentRefs: [ shop ], service: app }
  middlewares:
    parent: { headers: { customRequestHeaders: { X-Parent: "yes" } } }
    child: { headers: { customRequestHeaders: { X-Child: "yes" } } }
  services: { app: { loadBalancer: { servers: [ { url: "${backend.url}" } ] } } }
`,
  });
  const bodyOf = async (path: string) => (await product.get("shop.test", path)).body;
  assert.equal(await bodyOf("/admin/x"), "yes yes");
  assert.equal(await bodyOf("/"), "yes undefined");
  assert.equal((await product.get("shop.test", "/elsewhere")).status, 404);
  assert.equal((await product.get("other.test", "/admin")).status, 404);
});
