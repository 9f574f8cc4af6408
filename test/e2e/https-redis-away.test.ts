import assert from "node:assert/strict";
import { test } from "node:test";
import { hasPebble, startPebble } from "../acme/pebble.ts";
import { eventually, type Product } from "./harness.ts";
import { issuedIn, resolverFlags, scratchFolder, secureApp, secureGet, startFor } from "./https.ts";
import { makeRedis, withoutRedis } from "./redis-server.ts";

const stateOf = (product: Product, host: string) =>
  product.runtime.issuance().find(({ names }) => names.includes(host));

test("RD-01 RD-03 the product serves while the Redis of its certificates is away, and goes on when it comes", {
  skip: withoutRedis(),
}, async (t) => {
  if (!hasPebble(t)) return;
  const pebble = await startPebble(t);
  const redis = await makeRedis(t);
  const plain = {
    name: "plain",
    labels: {
      "traefik.http.routers.plain.rule": "Host(`plain.example.com`)",
      "traefik.http.routers.plain.entrypoints": "web",
    },
  };
  const product = await startFor(t, {
    flags: resolverFlags(pebble, `redis://${redis.endpoint}`, ["httpChallenge.entryPoint=web"]),
    env: { WAYBILL_STORAGE_KEY: "secret", WAYBILL_STORAGE_COPY: scratchFolder(t) },
    containers: [plain, secureApp("app.example.com")],
  });
  const ca = await pebble.root(0);
  const verified = async (host: string) =>
    assert.equal((await secureGet(pebble.tlsPort, host, { ca })).status, 200);

  // Nothing of it has ever been there: everything is served, HTTPS with the certificate that no CA has signed.
  assert.equal((await product.get("plain.example.com")).status, 200);
  assert.equal((await secureGet(pebble.tlsPort, "app.example.com")).status, 200);
  await assert.rejects(verified("app.example.com"), /self-signed|unable to verify/);
  assert.match(stateOf(product, "app.example.com")!.reason, new RegExp(`redis://${redis.endpoint}`));
  assert.equal(issuedIn(product), 0);

  await redis.start();
  await eventually(() => verified("app.example.com"), 30);

  // What there is stays; what is new waits.
  await redis.kill();
  await product.demo.engine.add(secureApp("late.example.com"));
  await eventually(() => assert.equal(stateOf(product, "late.example.com")?.state, "failed"), 30);
  assert.match(stateOf(product, "late.example.com")!.reason, new RegExp(`redis://${redis.endpoint}`));
  await verified("app.example.com");
  assert.equal((await product.get("plain.example.com")).status, 200);

  // It comes back empty, as one without a disk does.
  await redis.start();
  await eventually(() => verified("late.example.com"), 30);
  await verified("app.example.com");
  assert.equal(issuedIn(product), 2, "no certificate is got a second time");
});
