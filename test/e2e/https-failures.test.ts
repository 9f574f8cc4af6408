import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { hasPebble, startPebble } from "../acme/pebble.ts";
import { eventually, type Product } from "./harness.ts";
import { resolverFlags, scratchFolder, secureApp, secureGet, startFor } from "./https.ts";

const NOWHERE = "127.0.0.9";

const counted = (product: Product, what: string) =>
  Number(
    new RegExp(`^waybill_certificate_${what}_total\\{resolver="le"\\} (\\d+)$`, "m").exec(
      product.runtime.metrics(),
    )?.[1],
  );

test("AC-08 50 dead names and a good one: the good one is served within 10 s, and the CA is asked once for each", async (t) => {
  if (!hasPebble(t)) return;
  const pebble = await startPebble(t);
  const dead = Array.from({ length: 50 }, (_, i) => `dead${i}.example.com`);
  for (const host of dead) await pebble.dns("/add-a", { host, addresses: [NOWHERE] });
  const product = await startFor(t, {
    flags: resolverFlags(pebble, join(scratchFolder(t), "store"), ["httpChallenge.entryPoint=web"]),
    containers: [...dead, "good.example.com"].map((host) => secureApp(host)),
  });
  const ca = await pebble.root(0);
  await eventually(async () => {
    assert.equal((await secureGet(pebble.tlsPort, "good.example.com", { ca })).status, 200);
  }, 10);
  await eventually(() => assert.equal(counted(product, "failures"), dead.length), 60);
  // Patience: the next tries are a minute away.
  await wait(3000);
  assert.equal(counted(product, "orders"), dead.length + 1);
  const states = product.runtime.issuance().filter(({ state }) => state === "failed");
  assert.equal(states.length, dead.length);
  for (const { reason, failures, nextTryAtMs } of states) {
    assert.match(reason, /The CA could not reach this host; check the firewall/);
    assert.equal(failures, 1);
    assert.ok(nextTryAtMs! > Date.now());
  }
});
