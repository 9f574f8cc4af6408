import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { RedisVault } from "../../src/acme/redis-vault.ts";
import { Shelf } from "../../src/acme/shelf.ts";
import type { Want } from "../../src/acme/tickets.ts";
import { FakeCa } from "./fake-ca.ts";
import { resolverOptions, startAcme } from "./helpers.ts";
import { until } from "./pebble.ts";
import { startRedis } from "./redis-server.ts";

const want = (...names: string[]): Want => ({ resolver: "le", names, owner: "app@docker" });

test("AC-17 two machines with one Redis order each name once, and any of them answers a proof", async (t) => {
  const redis = await startRedis(t);
  if (redis === undefined) return;
  const ca = await new FakeCa().listen(t);
  const options = resolverOptions({ caServer: ca.directory, storage: redis.url });
  const [one, two] = await Promise.all(
    ["one", "two"].map((machine) =>
      startAcme(t, { le: options }, { environment: redis.environment(machine) }),
    ),
  );
  let answeredByBoth = 0;
  ca.validate = async () => {
    await until(() => one!.responder.live.tokens.size > 0 && two!.responder.live.tokens.size > 0, 30_000);
    answeredByBoth++;
    return undefined;
  };
  const wants = Array.from({ length: 8 }, (_, i) => want(`n${i}.example.com`));
  one!.acme.want(wants);
  two!.acme.want(wants);
  await until(() => [one, two].every((each) => each!.certificates().length === 8));
  assert.equal(ca.orders.length, 8);
  assert.equal(ca.issued, 8);
  assert.equal(answeredByBoth, 8);
});

test("RD-09 values in Redis are sealed, and changed or exchanged ones do not open", async (t) => {
  const started = await startRedis(t);
  if (started === undefined) return;
  const { url, redis, environment } = started;
  const vault = await RedisVault.open(url, environment("one"));
  t.after(() => vault.close());
  await vault.put("orders/ca/a.json", "a private key");
  await vault.put("orders/ca/b.json", "another");
  const key = "waybill:acme:orders/ca/a.json";
  const sealed = (await redis.getBuffer(key))!;
  assert.ok(!sealed.includes("private"));
  assert.equal((await vault.get("orders/ca/a.json"))!.toString(), "a private key");

  await redis.set(key, (await redis.getBuffer("waybill:acme:orders/ca/b.json"))!);
  await assert.rejects(vault.get("orders/ca/a.json"), /does not open: it was changed/);
  await redis.set(key, "junk");
  await assert.rejects(vault.get("orders/ca/a.json"), /does not open/);
  await assert.rejects(RedisVault.open(url, {}), /needs WAYBILL_STORAGE_KEY/);
});

test("RD-07 what Redis has lost comes back from the copy on disk", async (t) => {
  const started = await startRedis(t);
  if (started === undefined) return;
  const { url, redis, environment } = started;
  const ca = await new FakeCa().listen(t);
  const options = resolverOptions({ caServer: ca.directory, storage: url });
  const first = await startAcme(t, { le: options }, { environment: environment("one") });
  first.acme.want([want("a.example.com")]);
  await until(() => first.certificates().length === 1);
  await until(async () => (await redis.keys("waybill:acme:certs/*")).length === 3);
  await first.acme.close();
  await redis.flushall();

  const second = await startAcme(t, { le: options }, { environment: environment("one") });
  second.acme.want([want("a.example.com")]);
  await until(() => second.certificates().length === 1);
  assert.equal(ca.orders.length, 1);
  assert.equal((await redis.keys("waybill:acme:certs/*")).length, 3);
});

test("RD-01 without Redis the copy on disk is served, and no certificate is ordered", async (t) => {
  const started = await startRedis(t);
  if (started === undefined) return;
  const { url, server, environment } = started;
  const ca = await new FakeCa().listen(t);
  const options = resolverOptions({ caServer: ca.directory, storage: url });
  const first = await startAcme(t, { le: options }, { environment: environment("one") });
  first.acme.want([want("a.example.com")]);
  await until(() => first.certificates().length === 1 && first.acme.status()[0]!.state === "valid");
  await first.acme.close();
  server.kill("SIGKILL");

  const second = await startAcme(t, { le: options }, { environment: environment("one") });
  second.acme.want([want("a.example.com"), want("b.example.com")]);
  await until(() => second.certificates().length === 1, 30_000);
  await until(() => second.acme.status()[1]!.state === "failed", 30_000);
  assert.match(second.acme.status()[1]!.reason, /redis:\/\/127\.0\.0\.1/);
  assert.equal(ca.orders.length, 1);
});

test("AC-18 a lock in Redis belongs to one holder, who learns when he has lost it", async (t) => {
  const started = await startRedis(t);
  if (started === undefined) return;
  const { url, redis, environment } = started;
  const [one, two] = await Promise.all(
    ["one", "two"].map((machine) => RedisVault.open(url, environment(machine))),
  );
  t.after(() => Promise.all([one!.close(), two!.close()]));
  const lock = (await one!.tryLock("a"))!;
  assert.equal(await two!.tryLock("a"), undefined);
  const ttl = await redis.pttl("waybill:acme:locks/a");
  assert.ok(ttl > 20_000 && ttl <= 30_000, "a dead holder's lock ends by itself");
  await redis.del("waybill:acme:locks/a");
  const later = (await two!.tryLock("a"))!;
  assert.equal(await lock.held(), false);
  await lock.release();
  assert.equal(await later.held(), true, "releasing a lost lock takes nobody else's");
});

test("RD-01 RD-03 with a Redis that takes connections and says nothing the copy is served after one wait", async (t) => {
  const started = await startRedis(t);
  if (started === undefined) return;
  const { url, server, environment } = started;
  const ca = await new FakeCa().listen(t);
  const options = resolverOptions({ caServer: ca.directory, storage: url });
  const first = await startAcme(t, { le: options }, { environment: environment("one") });
  first.acme.want([want("a.example.com"), want("b.example.com"), want("c.example.com")]);
  await until(() => first.acme.status().every(({ state }) => state === "valid"));
  await first.acme.close();
  server.kill("SIGSTOP");
  t.after(() => server.kill("SIGCONT"));
  const vault = await RedisVault.open(url, environment("one"));
  t.after(() => vault.close());
  const fromRedis = vault.get("orders/none");
  await assert.rejects(fromRedis, /not connected/);
  let turns = 0;
  const counting = setInterval(() => turns++, 500);
  for (const path of await vault.list("certs")) assert.ok(await vault.get(path));
  clearInterval(counting);
  // Each of the nine would wait three turns.
  assert.ok(turns < 10, "nobody waits a second time");
});

test("RD-09 keys that somebody else has put into Redis lead to no file outside the copy", async (t) => {
  const started = await startRedis(t);
  if (started === undefined) return;
  const { url, redis, environment } = started;
  const mine = environment("one");
  const outside = join(mine["WAYBILL_STORAGE_COPY"]!, "..", "outside");
  mkdirSync(outside, { recursive: true });
  writeFileSync(join(outside, "precious"), "mine", { mode: 0o600 });
  for (const key of ["certs/../../outside/meta", "certs/./a", "certs//b", "certs/a b/c", "certs/ok/.."])
    await redis.set(`waybill:acme:${key}`, "foreign");
  await redis.rpush("waybill:acme:certs/ca.test/a.example.com/key.pem", "a list");
  const vault = await RedisVault.open(url, mine);
  t.after(() => vault.close());
  assert.deepEqual(await vault.list("certs"), ["certs/ca.test/a.example.com/key.pem"]);
  const reports: string[] = [];
  const shelf = new Shelf(vault, Date.now, (entry, message) => reports.push(`${entry}: ${message}`));
  assert.deepEqual((await shelf.loadCertificates()).kept, []);
  assert.equal(readFileSync(join(outside, "precious"), "utf8"), "mine");
});
