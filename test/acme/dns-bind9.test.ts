import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { Resolver } from "node:dns/promises";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { systemClock } from "../../src/acme/clock.ts";
import { Variables } from "../../src/acme/dns/provider.ts";
import { rfc2136 } from "../../src/acme/dns/rfc2136.ts";
import type { AcmeOptions } from "../../src/model/settings.ts";
import { resolverOptions, scratch, startAcme } from "./helpers.ts";
import { freePort, hasPebble, startPebble, until } from "./pebble.ts";

const SECRET = Buffer.from("a key of thirty-two bytes, really").toString("base64");

/** A real bind9 with the zone example.com, changed by a signed key, and acme.example.net for delegation. */
async function startBind(t: TestContext): Promise<{ port: number; server: string } | undefined> {
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

function dnsOptions(
  server: string,
  credentials: Record<string, string>,
): NonNullable<AcmeOptions["dnsChallenge"]> {
  return {
    provider: "rfc2136",
    credentials: new Map(Object.entries({ RFC2136_NAMESERVER: server, ...credentials })),
    resolvers: [server],
    propagation: { delayBeforeChecks: 0, disableChecks: false, disableANSChecks: false, requireAllRNS: true },
    delayBeforeCheck: undefined,
    disablePropagationCheck: undefined,
  };
}

const KEY = { RFC2136_TSIG_KEY: "waybill", RFC2136_TSIG_SECRET: SECRET };

test("a wildcard and its domain are proved together by RFC 2136 at a real name server", async (t) => {
  if (!hasPebble(t)) return;
  const bind = await startBind(t);
  if (bind === undefined) return;
  const pebble = await startPebble(t, { dnsPort: bind.port });
  const options = resolverOptions({
    caServer: pebble.directory,
    caCertificates: [pebble.roots],
    storage: scratch(t),
    dnsChallenge: dnsOptions(bind.server, KEY),
  });
  const { acme, certificates } = await startAcme(t, { le: options }, { authorityPort: bind.port });
  acme.want([
    { resolver: "le", names: ["example.com", "*.example.com"], owner: "app@docker" },
    { resolver: "le", names: ["delegated.example.com"], owner: "other@docker" },
  ]);
  await until(() => certificates().length === 2, 30_000);
  const names = certificates()
    .map((spec) => [...spec.names].sort().join(" "))
    .sort();
  assert.deepEqual(names, ["*.example.com example.com", "delegated.example.com"]);

  const resolver = new Resolver();
  resolver.setServers([bind.server]);
  await assert.rejects(
    resolver.resolveTxt("_acme-challenge.example.com"),
    "the records are taken away again",
  );

  acme.want([
    { resolver: "le", names: ["example.com", "*.example.com"], owner: "app@docker" },
    { resolver: "le", names: ["shop.example.com"], owner: "shop@docker" },
  ]);
  await until(() =>
    acme.status().some(({ names, state }) => names[0] === "shop.example.com" && state === "covered"),
  );
  assert.equal(acme.counts.get("le")!.orders, 2, "the wildcard is reused");
});

test("a wrong key is refused by the name server and said so", async (t) => {
  const bind = await startBind(t);
  if (bind === undefined) return;
  const wrong = {
    RFC2136_NAMESERVER: bind.server,
    ...KEY,
    RFC2136_TSIG_SECRET: Buffer.from("wrong").toString("base64"),
  };
  const provider = rfc2136.create(new Variables(new Map(Object.entries(wrong)), {}), { clock: systemClock });
  const record = {
    name: "_acme-challenge.example.com",
    value: "x",
    domain: "example.com",
    token: "",
    keyAuthorization: "",
  };
  await assert.rejects(provider.present(record), /name server|zone/);
});
