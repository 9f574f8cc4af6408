import assert from "node:assert/strict";
import { Resolver } from "node:dns/promises";
import { test } from "node:test";
import { systemClock } from "../../src/acme/clock.ts";
import { Variables } from "../../src/acme/dns/provider.ts";
import { rfc2136 } from "../../src/acme/dns/rfc2136.ts";
import type { AcmeOptions } from "../../src/model/resolver-settings.ts";
import { SECRET, startBind } from "./bind9.ts";
import { resolverOptions, scratch, startAcme } from "./helpers.ts";
import { hasPebble, startPebble, until } from "./pebble.ts";

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
