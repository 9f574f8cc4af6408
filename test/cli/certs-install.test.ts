import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { installRoot, type Machine } from "../../src/cli/certs-install.ts";
import { selfSigned } from "../acme/pebble.ts";

const DEBIAN = "usr/local/share/ca-certificates";

function machineWith(t: TestContext, folders: readonly string[], run: Machine["run"] = () => {}): Machine {
  const root = mkdtempSync(join(tmpdir(), "waybill-root-"));
  t.after(() => rmSync(root, { recursive: true }));
  for (const folder of folders) mkdirSync(join(root, folder), { recursive: true });
  return { platform: "linux", root, run };
}

for (const [system, folder, command] of [
  ["Debian", DEBIAN, "update-ca-certificates"],
  ["Fedora", "etc/pki/ca-trust/source/anchors", "update-ca-trust"],
  ["Arch", "etc/ca-certificates/trust-source/anchors", "update-ca-trust"],
] as const) {
  test(`certs trust --install puts the root where ${system} keeps its own, and makes it count`, (t) => {
    const ran: string[] = [];
    const machine = machineWith(t, [folder], (one) => void ran.push(one));
    const said = installRoot("a root", machine);
    const file = join(machine.root, folder, "waybill-internal.crt");
    assert.equal(readFileSync(file, "utf8"), "a root");
    assert.deepEqual(ran, [command]);
    assert.ok(said.startsWith(`${file} is trusted now. Firefox and Chromium`));
  });
}

test("certs trust --install on Debian makes OpenSSL trust what the root has signed", async (t) => {
  const tool = "/usr/sbin/update-ca-certificates";
  if (!existsSync(tool)) {
    assert.notEqual(process.env["CI"], "true", `${tool} is missing`);
    return t.skip(`needs ${tool}`);
  }
  const { certificate } = await selfSigned(["Waybill Local Authority"]);
  const certs = "etc/ssl/certs";
  const machine = machineWith(t, [DEBIAN, certs, "none"], (command) => {
    const at = (folder: string) => join(machine.root, folder);
    const places = ["--localcertsdir", at(DEBIAN), "--etccertsdir", at(certs), "--hooksdir", at("none")];
    execFileSync(`/usr/sbin/${command}`, places, { stdio: "ignore" });
  });
  installRoot(certificate, machine);
  const bundle = join(machine.root, certs, "ca-certificates.crt");
  const verified = execFileSync("openssl", ["verify", "-CAfile", bundle], { input: certificate });
  assert.match(String(verified), /OK/);
});

test("certs trust --install says what to do where it cannot", (t) => {
  assert.throws(() => installRoot("a root", machineWith(t, [])), /save `waybill certs trust` to a file/);
  const machine = machineWith(t, [DEBIAN], () => {
    throw new Error("EACCES");
  });
  assert.throws(() => installRoot("a root", machine), /EACCES; run this as root/);
});
