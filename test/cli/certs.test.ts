import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import type { Shell } from "../../src/cli/command.ts";
import { main } from "../../src/cli/main.ts";
import { kept, openShelf, scratch } from "../acme/helpers.ts";

async function certs(...args: string[]) {
  const out: string[] = [];
  const err: string[] = [];
  const shell: Shell = {
    env: new Map(),
    cwd: "/",
    readFile: (path) => readFileSync(path, "utf8"),
    out: (text) => void out.push(text),
    err: (text) => void err.push(text),
    askSecret: async () => "",
  };
  const code = await main(["certs", ...args], shell);
  return { code, out: out.join(""), err: err.join("") };
}

const storedAt = (storage: string) => `--certificatesResolvers.le.acme.storage=${storage}`;

test("certs list shows what is kept, certs export writes it, certs trust shows the root", async (t) => {
  const storage = scratch(t);
  const { shelf } = await openShelf(storage);
  await shelf.saveCertificate(await kept("app.example.com"));
  await shelf.vault.close();

  const listed = await certs("list", storedAt(storage));
  assert.equal(listed.code, 0, listed.err);
  const [head, row] = listed.out.split("\n");
  assert.match(head!, /^NAMES +RESOLVER +ISSUER +ENDS$/);
  assert.match(row!, /^app\.example\.com +le +app\.example\.com +\d{4}-\d\d-\d\d \d\d:\d\d \(0 days\)$/);

  const target = join(storage, "..", "out");
  const written = await certs("export", "pem", target, storedAt(storage));
  assert.equal(written.out, `1 certificate written to ${target}\n`);
  assert.match(readFileSync(join(target, "app.example.com", "privkey.pem"), "utf8"), /PRIVATE KEY/);
  const file = join(storage, "..", "acme.json");
  assert.equal((await certs("export", "traefik", file, storedAt(storage))).code, 0);
  assert.equal(JSON.parse(readFileSync(file, "utf8")).le.Certificates[0].domain.main, "app.example.com");

  const root = await certs("trust", storedAt(storage));
  assert.ok(new X509Certificate(root.out).ca);
  assert.equal((await certs("trust", storedAt(storage))).out, root.out, "it is made once");
});

test("certs list --api says how a running Waybill gets on", async (t) => {
  const view = { names: ["a.test"], resolver: "le", state: "failed", reason: "no address", nextTryAtMs: 0 };
  const server = createServer((_, response) => response.end(JSON.stringify([view])));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const { code, out } = await certs("list", "--api", `127.0.0.1:${port}`);
  assert.equal(code, 0);
  assert.match(out, /^a\.test +le +failed +no address$/m);
});

test("certs says what it expected", async () => {
  assert.match((await certs("lst")).err, /expected list, export or trust, found "lst"/);
  assert.match((await certs("export", "zip")).err, /expected pem or traefik/);
  assert.match((await certs("export", "pem")).err, /expected a folder/);
});
