import { spawn, spawnSync } from "node:child_process";
import { Resolver } from "node:dns/promises";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { freePort } from "../free-port.ts";
import { until } from "./pebble.ts";

/** Of the key `waybill` that may change its zones. */
export const SECRET = Buffer.from("a key of thirty-two bytes, really").toString("base64");

/** A real bind9 with the zone example.com, changed by a signed key, and acme.example.net for delegation. */
export async function startBind(t: TestContext): Promise<{ port: number; server: string } | undefined> {
  if (spawnSync("which", ["named"]).status !== 0) {
    if (process.env["CI"] === "true") throw new Error("bind9 is not installed");
    t.skip("bind9 is not installed");
    return undefined;
  }
  const folder = mkdtempSync(join(tmpdir(), "waybill-bind-"));
  const port = await freePort();
  const zone = (name: string) =>
    `zone "${name}" { type master; file "${name}.zone"; allow-update { key waybill; }; };`;
  writeFileSync(
    join(folder, "named.conf"),
    `options { directory "${folder}"; pid-file none; session-keyfile none; listen-on port ${port} { 127.0.0.1; };
       listen-on-v6 { none; }; recursion yes; dnssec-validation no; };
     controls {};
     key waybill { algorithm hmac-sha256; secret "${SECRET}"; };
     ${zone("example.com")} ${zone("example.net")}`,
  );
  const head = "$TTL 60\n@ SOA ns.example.com. root.example.com. 1 60 60 600 60\n@ NS ns.example.com.\n";
  const delegated = "_acme-challenge.delegated CNAME delegated.acme.example.net.\n";
  writeFileSync(join(folder, "example.com.zone"), `${head}ns A 127.0.0.1\n* A 127.0.0.1\n${delegated}`);
  writeFileSync(join(folder, "example.net.zone"), head);
  const named = spawn("named", ["-f", "-c", join(folder, "named.conf")], { stdio: "ignore" });
  t.after(() => {
    named.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  });
  const resolver = new Resolver({ timeout: 500, tries: 1 });
  resolver.setServers([`127.0.0.1:${port}`]);
  await until(async () => (await resolver.resolve4("ns.example.com")).length === 1);
  return { port, server: `127.0.0.1:${port}` };
}
