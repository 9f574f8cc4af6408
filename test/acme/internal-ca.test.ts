import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { connect, createServer } from "node:tls";
import { resolverOptions, scratch, startAcme } from "./helpers.ts";
import { until } from "./pebble.ts";

test("names of the internal resolver have short certificates at once that a client trusting the root accepts", async (t) => {
  const storage = scratch(t);
  const { acme, certificates } = await startAcme(t, { le: resolverOptions({ storage }) });
  acme.want([
    { resolver: "internal", names: ["app.localhost"], owner: "app@docker" },
    { resolver: "internal", names: ["*.home.lan", "192.168.1.2"], owner: "nas@docker" },
  ]);
  await until(() => certificates().length === 2);
  const root = readFileSync(join(storage, "internal", "root.pem"), "utf8");
  const spec = certificates().find(({ names }) => names.includes("app.localhost"))!;
  assert.ok(spec.notAfterMs - Date.now() <= 7 * 86_400_000);

  const server = createServer({ cert: spec.chain, key: spec.key });
  t.after(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const socket = connect({ port, host: "127.0.0.1", servername: "app.localhost", ca: root });
  await new Promise<void>((resolve, reject) => socket.once("secureConnect", resolve).once("error", reject));
  assert.equal(socket.authorized, true);
  socket.destroy();
  assert.equal(new X509Certificate(root).ca, true);
});

test("the internal authority is the same after a restart, and a broken one is set aside", async (t) => {
  const storage = scratch(t);
  const { InternalCa } = await import("../../src/acme/internal-ca.ts");
  const { FileVault } = await import("../../src/acme/file-vault.ts");
  const vault = await FileVault.open(storage);
  const first = await InternalCa.open(vault, Date.now());
  assert.equal((await InternalCa.open(vault, Date.now())).root, first.root);
  await vault.put("internal/root.pem", "nonsense");
  const second = await InternalCa.open(vault, Date.now());
  assert.notEqual(second.root, first.root);
  assert.ok((await vault.list("quarantine")).some((path) => path.endsWith("internal/root.key")));
});
