import assert from "node:assert/strict";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { SECRET, startBind } from "../acme/bind9.ts";
import { hasPebble, startPebble } from "../acme/pebble.ts";
import { eventually, startServer } from "./harness.ts";
import {
  assertNoErrors,
  issuedIn,
  namesOf,
  resolverFlags,
  scratchFolder,
  secureApp,
  secureGet,
  shown,
  startFor,
} from "./https.ts";

/** DNS-01 through the whole product: a wildcard by a real name server, and lego's two ways to bring one's own. */

const wildcard = (name: string) => ({
  [`traefik.http.routers.${name}.tls.domains[0].main`]: "example.com",
  [`traefik.http.routers.${name}.tls.domains[0].sans`]: "*.example.com",
});

test("a wildcard is proved by RFC 2136 at a real bind9, and serves hosts that come later", async (t) => {
  if (!hasPebble(t)) return;
  const bind = await startBind(t);
  if (bind === undefined) return;
  const pebble = await startPebble(t, { dnsPort: bind.port });
  const dns = "dnsChallenge";
  const options = [
    `${dns}.provider=rfc2136`,
    `${dns}.resolvers=${bind.server}`,
    // The name server is not on port 53.
    `${dns}.propagation.disableANSChecks=true`,
    `${dns}.propagation.requireAllRNS=true`,
    `${dns}.credentials.RFC2136_NAMESERVER=${bind.server}`,
    `${dns}.credentials.RFC2136_TSIG_KEY=waybill`,
    `${dns}.credentials.RFC2136_TSIG_SECRET=${SECRET}`,
  ];
  const product = await startFor(t, {
    flags: resolverFlags(pebble, join(scratchFolder(t), "store"), options),
    containers: [secureApp("app.example.com", wildcard("app"))],
  });
  const ca = await pebble.root(0);
  await eventually(async () => {
    assert.equal((await secureGet(pebble.tlsPort, "app.example.com", { ca })).status, 200);
  }, 30);
  assert.deepEqual(namesOf(await shown(pebble.tlsPort, "app.example.com")), ["*.example.com", "example.com"]);
  await product.demo.engine.add(secureApp("late.example.com"));
  await eventually(async () => {
    assert.equal((await secureGet(pebble.tlsPort, "late.example.com", { ca })).status, 200);
  });
  assert.equal(issuedIn(product), 1, "the wildcard covers it");
  assertNoErrors(product);
});

test("a program of one's own proves a wildcard as lego calls it", async (t) => {
  if (!hasPebble(t)) return;
  const pebble = await startPebble(t);
  const folder = scratchFolder(t);
  const calls = join(folder, "calls");
  await using records = await startServer((request, response) => {
    const [, action, host, value] = request.url!.split("/");
    const path = action === "present" ? "/set-txt" : "/clear-txt";
    const body = action === "present" ? { host, value } : { host };
    void pebble.dns(path, body).then(() => response.end());
  });
  const program = join(folder, "records.sh");
  const script = `#!/bin/sh\necho "$1 $2" >> ${calls}\nexec curl -sf "${records.url}/$1/$2/$3"\n`;
  writeFileSync(program, script);
  chmodSync(program, 0o755);
  const options = [
    "dnsChallenge.provider=exec",
    `dnsChallenge.credentials.EXEC_PATH=${program}`,
    "dnsChallenge.propagation.disableChecks=true",
  ];
  const flags = resolverFlags(pebble, join(folder, "store"), options);
  const only = { "traefik.http.routers.app.tls.domains[0].main": "*.example.com" };
  const product = await startFor(t, { flags, containers: [secureApp("app.example.com", only)] });
  await eventually(async () => {
    const ca = await pebble.root(0);
    assert.equal((await secureGet(pebble.tlsPort, "app.example.com", { ca })).status, 200);
  }, 30);
  assert.deepEqual(readFileSync(calls, "utf8").trim().split("\n"), [
    "present _acme-challenge.example.com.",
    "cleanup _acme-challenge.example.com.",
  ]);
  assertNoErrors(product);
});

test("a service of one's own proves a host with lego's two requests", async (t) => {
  if (!hasPebble(t)) return;
  const pebble = await startPebble(t);
  const asked: string[] = [];
  await using service = await startServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { fqdn, value } = JSON.parse(Buffer.concat(chunks).toString()) as { fqdn: string; value: string };
    asked.push(`${request.url} ${fqdn}`);
    if (request.url === "/present") await pebble.dns("/set-txt", { host: fqdn, value });
    else await pebble.dns("/clear-txt", { host: fqdn });
    response.end("{}");
  });
  const options = [
    "dnsChallenge.provider=httpreq",
    `dnsChallenge.credentials.HTTPREQ_ENDPOINT=${service.url}`,
    "dnsChallenge.propagation.disableChecks=true",
  ];
  const product = await startFor(t, {
    flags: resolverFlags(pebble, join(scratchFolder(t), "store"), options),
    containers: [secureApp("app.example.com")],
  });
  await eventually(async () => {
    const ca = await pebble.root(0);
    assert.equal((await secureGet(pebble.tlsPort, "app.example.com", { ca })).status, 200);
  }, 30);
  assert.deepEqual(asked, [
    "/present _acme-challenge.app.example.com.",
    "/cleanup _acme-challenge.app.example.com.",
  ]);
  assertNoErrors(product);
});
