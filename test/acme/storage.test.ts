import assert from "node:assert/strict";
import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { exportCertificates, internalRoot, listCertificates } from "../../src/acme/commands.ts";
import { exportPem, exportTraefik, gatherForTraefik } from "../../src/acme/export.ts";
import { FileVault } from "../../src/acme/file-vault.ts";
import { storageOnDisk } from "../../src/acme/resolver.ts";
import { Shelf } from "../../src/acme/shelf.ts";
import type { Want } from "../../src/acme/tickets.ts";
import { parseLegacy } from "../../src/acme/traefik-file.ts";
import { type Vault, VaultError } from "../../src/acme/vault.ts";
import { keepMany } from "./crowd.ts";
import { FakeCa, FakeClock } from "./fake-ca.ts";
import { kept, openShelf, recorder, resolverOptions, scratch, startAcme } from "./helpers.ts";
import { selfSigned, until } from "./pebble.ts";

const want = (...names: string[]): Want => ({ resolver: "le", names, owner: "app@docker" });

async function fullShelf(t: TestContext) {
  const opened = await openShelf(scratch(t));
  const one = await kept("one.example.com");
  await opened.shelf.saveCertificate(one);
  await opened.shelf.saveCertificate(await kept("two.example.com"));
  return { ...opened, one, entry: join(opened.folder, "certs/ca.test/one.example.com") };
}

for (const [damage, spoil] of [
  ["an empty key", (entry: string) => truncateSync(join(entry, "key.pem"), 0)],
  ["a truncated chain", (entry: string) => truncateSync(join(entry, "chain.pem"), 200)],
  ["wrong JSON", (entry: string) => writeFileSync(join(entry, "meta.json"), "{")],
  ["a key of another certificate", (entry: string) => writeFileSync(join(entry, "key.pem"), "other")],
] as const) {
  test(`AC-13 ${damage} puts that entry aside, the others load`, async (t) => {
    const { shelf, entry, reports, folder } = await fullShelf(t);
    spoil(entry);
    const { kept: loaded } = await shelf.loadCertificates();
    assert.deepEqual(
      loaded.map(({ names }) => names[0]),
      ["two.example.com"],
    );
    assert.match(reports[0]!, /one\.example\.com: the certificate is broken and was moved to/);
    assert.ok(
      readdirSync(join(folder, "quarantine"), { recursive: true }).some((path) =>
        String(path).endsWith("meta.json"),
      ),
    );
  });

  test(`AC-13 AC-14 ${damage} after a renewal falls back to the version before`, async (t) => {
    const { shelf, one, entry, reports } = await fullShelf(t);
    await shelf.saveCertificate(await kept("one.example.com"));
    spoil(entry);
    const loaded = (await shelf.loadCertificates()).kept.find(({ names }) => names[0] === "one.example.com");
    assert.equal(loaded!.spec.id, one.spec.id);
    assert.match(reports[0]!, /the one before it is used/);
  });
}

test("AC-13 a key that others may read is refused, and its name is not ordered anew", async (t) => {
  const ca = await new FakeCa().listen(t);
  const storage = scratch(t);
  const options = resolverOptions({ caServer: ca.directory, storage });
  const first = await startAcme(t, { le: options });
  first.acme.want([want("a.example.com"), want("b.example.com")]);
  await until(() => first.certificates().length === 2);
  await first.acme.close();
  const entry = join(storage, "certs", readdirSync(join(storage, "certs"))[0]!, "a.example.com", "key.pem");
  chmodSync(entry, 0o644);

  const second = await startAcme(t, { le: options });
  second.acme.want([want("a.example.com"), want("b.example.com")]);
  await until(() => second.certificates().length === 1);
  const [a, b] = second.acme.status();
  assert.equal(a!.state, "blocked");
  assert.match(a!.reason, /may be read by others \(mode 644\); run chmod 600/);
  assert.equal(b!.state, "valid");
  assert.equal(ca.orders.length, 2);
});

test("AC-13 a key that may be read again is served without a restart, and no order is made for it", async (t) => {
  const clock = new FakeClock();
  const ca = await new FakeCa(clock).listen(t);
  const storage = scratch(t);
  const options = resolverOptions({ caServer: ca.directory, storage });
  const first = await startAcme(t, { le: options }, { clock });
  const names = ["a.example.com", "b.example.com", "c.example.com"];
  const wants = names.map((name) => want(name));
  first.acme.want(wants);
  await clock.until(() => first.acme.status().every(({ state }) => state === "valid"));
  await first.acme.close();
  const folder = join(storage, "certs", readdirSync(join(storage, "certs"))[0]!);
  for (const name of names) chmodSync(join(folder, name, "key.pem"), 0o644);

  const second = await startAcme(t, { le: options }, { clock });
  second.acme.want(wants);
  const states = () => second.acme.status().map(({ state }) => state);
  const mend = (name: string) => chmodSync(join(folder, name, "key.pem"), 0o600);
  assert.deepEqual(states(), ["blocked", "blocked", "blocked"]);
  mend("a.example.com");
  await clock.until(() => states()[0] === "valid" && second.certificates().length === 1);
  assert.deepEqual(states(), ["valid", "blocked", "blocked"]);
  mend("b.example.com");
  second.acme.retryFailed();
  await until(() => states()[1] === "valid", 5000);
  // Somebody who would rather have a new one takes the old one away.
  rmSync(join(folder, "c.example.com"), { recursive: true });
  assert.equal(ca.orders.length, 3);
  await clock.until(() => states()[2] === "valid");
  assert.equal(ca.orders.length, 4);
  const errors = second.log.lines.filter(({ level }) => level === "error");
  assert.equal(errors.length, 3, "each is said once");
});

test("AC-13 a directory that others may read is closed to them: a fresh volume is open to all", async (t) => {
  const storage = scratch(t);
  mkdirSync(storage);
  chmodSync(storage, 0o755);
  await FileVault.open(storage);
  assert.equal(statSync(storage).mode & 0o777, 0o700);
});

test("AC-13 a directory that cannot be used blocks its resolver with a reason, and no CA is asked", async (t) => {
  const storage = join(scratch(t), "below");
  writeFileSync(dirname(storage), "a file");
  const ca = await new FakeCa().listen(t);
  const { acme, log } = await startAcme(t, { le: resolverOptions({ caServer: ca.directory, storage }) });
  acme.want([want("a.example.com")]);
  assert.equal(acme.status()[0]!.state, "blocked");
  assert.match(acme.status()[0]!.reason, /ENOTDIR|EEXIST/);
  assert.equal(ca.calls.length, 0);
  assert.equal(log.lines.filter(({ level }) => level === "error").length, 1);
});

test("AC-14 files are private, and nothing temporary stays", async (t) => {
  const { folder } = await fullShelf(t);
  for (const path of readdirSync(folder, { recursive: true })) {
    const { mode } = statSync(join(folder, String(path)));
    assert.equal(mode & 0o077, 0, String(path));
    assert.ok(!String(path).endsWith(".tmp"));
  }
});

test("AC-14 a crash at any step of a write leaves the old certificate or the new one", async (t) => {
  const { shelf, folder } = await fullShelf(t);
  const before = await kept("crash.example.com");
  const after = await kept("crash.example.com");
  for (let step = 0; step < 12; step++) {
    await shelf.saveCertificate(before);
    const crashing = new Shelf(crashAt(shelf.vault, step), Date.now, () => {});
    await crashing.saveCertificate(after).catch(() => {});
    const found = await new Shelf(await FileVault.open(folder), Date.now, () => {}).loadCertificate(
      "ca.test",
      ["crash.example.com"],
    );
    assert.ok([before.spec.id, after.spec.id].includes(found?.spec.id ?? "none"), `step ${step}`);
  }
});

test("AC-14 a first version that a crash left half written is no broken one, and the next write completes it", async (t) => {
  const { shelf, reports, folder } = await openShelf(scratch(t));
  const one = await kept("crash.example.com");
  for (let step = 0; step < 3; step++) {
    const crashing = new Shelf(crashAt(shelf.vault, step), Date.now, () => {});
    await assert.rejects(crashing.saveCertificate(one), /power cut/);
    assert.deepEqual((await shelf.loadCertificates()).kept, []);
    assert.equal(await shelf.loadCertificate("ca.test", ["crash.example.com"]), undefined);
  }
  assert.deepEqual(reports, []);
  assert.ok(!readdirSync(folder).includes("quarantine"));
  await shelf.saveCertificate(one);
  assert.deepEqual((await shelf.loadCertificates()).kept, [one]);
});

/** The same vault, dying at its nth write. */
function crashAt(vault: Vault, step: number): Vault {
  let left = step;
  return Object.assign(Object.create(vault) as Vault, {
    get: vault.get.bind(vault),
    list: vault.list.bind(vault),
    async put(path: string, bytes: string | Buffer) {
      if (left-- === 0) throw new VaultError("unavailable", "power cut");
      await vault.put(path, bytes);
    },
  });
}

test("AC-15 a store that cannot be written keeps the certificate in memory, says so, and writes it later", async (t) => {
  const ca = await new FakeCa().listen(t);
  const storage = scratch(t);
  const options = resolverOptions({ caServer: ca.directory, storage });
  const { acme, certificates, log } = await startAcme(t, { le: options });
  // The folder of certificates is a file: nothing can be written below it.
  writeFileSync(join(storage, "certs"), "");
  acme.want([want("a.example.com")]);
  await until(() => certificates().length === 1);
  await until(() =>
    log.lines.some(({ level, message }) => level === "error" && message.includes("not saved yet")),
  );
  assert.equal(ca.issued, 1);
});

test("AC-16 an order is saved with its key before it costs anything, and resumed after a crash", async (t) => {
  const ca = await new FakeCa().listen(t);
  const storage = scratch(t);
  const options = resolverOptions({ caServer: ca.directory, storage });
  ca.trick = ({ kind }) => (kind === "cert" ? "hang" : undefined);
  const first = await startAcme(t, { le: options });
  first.acme.want([want("a.example.com")]);
  await until(() => ca.calls.some(({ kind }) => kind === "cert"));
  await first.acme.close();
  const saved = readdirSync(join(storage, "orders"), { recursive: true }).filter((path) =>
    String(path).endsWith(".json"),
  );
  assert.equal(saved.length, 1);

  ca.trick = () => undefined;
  const second = await startAcme(t, { le: options });
  second.acme.want([want("a.example.com")]);
  await until(() => second.certificates().length === 1);
  assert.deepEqual([ca.orders.length, ca.issued], [1, 1]);
  const { key } = second.certificates()[0]!;
  assert.ok(createPrivateKey(key));
});

test("AC-16 an order that has become the certificate is not resumed for its renewal", async (t) => {
  const clock = new FakeClock();
  const ca = await new FakeCa(clock).listen(t);
  const storage = scratch(t);
  const options = resolverOptions({ caServer: ca.directory, storage });
  const first = await startAcme(t, { le: options }, { clock });
  let order: [string, string] | undefined;
  ca.trick = ({ kind }) => {
    if (kind !== "cert") return undefined;
    const [name] = readdirSync(join(storage, "orders"), { recursive: true, encoding: "utf8" }).filter(
      (path) => path.endsWith(".json"),
    );
    const file = join(storage, "orders", name!);
    order ??= [file, readFileSync(file, "utf8")];
    return undefined;
  };
  first.acme.want([want("a.example.com")]);
  await clock.until(() => first.acme.status()[0]!.state === "valid");
  await first.acme.close();
  // As it is when we are killed between saving the certificate and taking the order away.
  writeFileSync(...order!, { mode: 0o600 });

  clock.advance(61 * 86_400_000);
  const second = await startAcme(t, { le: options }, { clock });
  second.acme.want([want("a.example.com")]);
  const said = () => second.log.lines.filter(({ message }) => message === "certificate issued").length;
  await clock.until(() => said() > 0);
  await clock.pass(600_000);
  assert.deepEqual([said(), ca.orders.length, ca.issued], [1, 2, 2]);
});

test("AC-17 two processes that share a directory order a name once, and both have it", async (t) => {
  const ca = await new FakeCa().listen(t);
  const storage = scratch(t);
  const options = resolverOptions({ caServer: ca.directory, storage });
  const both = await Promise.all([startAcme(t, { le: options }), startAcme(t, { le: options })]);
  for (const { acme } of both) acme.want(Array.from({ length: 10 }, (_, i) => want(`n${i}.example.com`)));
  await until(() => both.every(({ certificates }) => certificates().length === 10));
  assert.equal(ca.orders.length, 10);
  assert.equal(ca.issued, 10);
});

test("AC-17 a proof of one process is answered by the other", async (t) => {
  const ca = await new FakeCa().listen(t);
  const options = resolverOptions({ caServer: ca.directory, storage: scratch(t) });
  const [one, other] = [await startAcme(t, { le: options }), await startAcme(t, { le: options })];
  let seen = false;
  ca.validate = async () => {
    await until(() => other.responder.live.tokens.size === 1, 30_000);
    seen = true;
    return undefined;
  };
  one.acme.want([want("a.example.com")]);
  await until(() => one.certificates().length === 1);
  assert.ok(seen);
  await until(() => other.responder.live.tokens.size === 0, 30_000);
});

test("AC-18 the lock of a dead process is taken over, that of a living one is not", async (t) => {
  const storage = scratch(t);
  const vault = await FileVault.open(storage);
  const lock = (await vault.tryLock("a"))!;
  assert.equal(await vault.tryLock("a"), undefined);
  await lock.release();

  const file = join(storage, "locks", "b.lock");
  const { hostname } = await import("node:os");
  const dead = { host: hostname(), pid: 2 ** 22 - 1, life: "x", token: "x" };
  writeFileSync(file, JSON.stringify(dead));
  assert.ok(await vault.tryLock("b"), "its process is gone");

  const before = { host: hostname(), pid: process.pid, life: "of an earlier container", token: "x" };
  writeFileSync(join(storage, "locks", "c.lock"), JSON.stringify(before));
  assert.ok(await vault.tryLock("c"), "our own pid, of an earlier life");

  writeFileSync(join(storage, "locks", "d.lock"), JSON.stringify({ ...dead, host: "elsewhere" }));
  assert.equal(await vault.tryLock("d"), undefined, "of another machine nothing is known yet");
});

test("AC-18 whoever lost his lock may not save", async (t) => {
  const storage = scratch(t);
  const vault = await FileVault.open(storage);
  const lock = (await vault.tryLock("a"))!;
  assert.equal(await lock.held(), true);
  writeFileSync(join(storage, "locks", "a.lock"), JSON.stringify({ token: "somebody else" }));
  assert.equal(await lock.held(), false);
  await lock.release();
  assert.match(readFileSync(join(storage, "locks", "a.lock"), "utf8"), /somebody else/);
});

/** An acme.json as Traefik writes it: RSA account, PKCS #1, base64 of PEM. */
async function traefikFile(resolver: string, uri: string, ...names: string[]): Promise<string> {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const { certificate, key } = await selfSigned(names, [-86_400_000, 80 * 86_400_000]);
  const entry = {
    domain: { main: names[0], sans: names.slice(1) },
    certificate: Buffer.from(certificate).toString("base64"),
    key: Buffer.from(createPrivateKey(key).export({ type: "sec1", format: "pem" })).toString("base64"),
    Store: "default",
  };
  const account = {
    Email: "me@example.com",
    Registration: { body: { status: "valid" }, uri },
    PrivateKey: privateKey.export({ type: "pkcs1", format: "der" }).toString("base64"),
  };
  const broken = { domain: { main: "broken.example.com" }, certificate: "", key: "", Store: "default" };
  return JSON.stringify({ [resolver]: { Account: account, Certificates: [entry, broken] } }, null, 2);
}

test("an acme.json of Traefik is imported on the first start without a new order, and not a second time", async (t) => {
  const ca = await new FakeCa().listen(t);
  const storage = scratch(t);
  mkdirSync(dirname(storage), { recursive: true });
  const file = `${storage}.json`;
  const text = await traefikFile(
    "le",
    `${new URL(ca.directory).origin}/acct/7`,
    "www.example.com",
    "example.com",
  );
  writeFileSync(file, text, { mode: 0o600 });
  const options = resolverOptions({ caServer: ca.directory, storage: file, email: "me@example.com" });
  const { acme, certificates, log } = await startAcme(t, { le: options });
  acme.want([want("example.com"), want("www.example.com")]);
  await until(() => certificates().length === 1);
  await wait(50);
  assert.deepEqual(
    acme.status().map(({ state }) => state),
    ["covered", "covered"],
  );
  assert.equal(ca.calls.length, 0);
  assert.ok(log.lines.some(({ message }) => message.includes("broken.example.com")));
  assert.equal(readFileSync(file, "utf8"), text, "Traefik's file is left alone");

  acme.want([want("new.example.com")]);
  await until(() => certificates().length === 2);
  assert.equal(ca.count("account"), 0, "the account is Traefik's");
  await acme.close();
  const { shelf } = await openShelf(storage);
  assert.equal((await shelf.loadCertificates()).kept.length, 2);
});

test("certificates leave as PEM files, and as an acme.json that can be imported again", async (t) => {
  const { shelf, one } = await fullShelf(t);
  const out = scratch(t);
  const folders = await exportPem(shelf, out);
  assert.equal(folders.length, 2);
  assert.equal(readFileSync(join(out, "one.example.com", "fullchain.pem"), "utf8"), one.spec.chain);
  assert.equal(statSync(join(out, "one.example.com", "privkey.pem")).mode & 0o777, 0o600);

  await exportTraefik([await gatherForTraefik(shelf)], join(out, "acme.json"));
  const { resolvers, skipped } = parseLegacy(readFileSync(join(out, "acme.json"), "utf8"));
  assert.deepEqual(skipped, []);
  assert.deepEqual(resolvers[0]!.certificates.map(({ spec }) => spec.names[0]).sort(), [
    "one.example.com",
    "two.example.com",
  ]);
});

test("the commands list, export and show the root of a store, and one that nobody configured too", async (t) => {
  const { folder } = await fullShelf(t);
  const host = {
    resolvers: new Map([["le", resolverOptions({ storage: folder })]]),
    environment: {},
    log: recorder(),
  };
  const listed = await listCertificates(host);
  assert.deepEqual(listed.map(({ names }) => names[0]).sort(), ["one.example.com", "two.example.com"]);
  const out = scratch(t);
  assert.equal(await exportCertificates(host, "pem", out), 2);
  assert.equal(await exportCertificates(host, "traefik", join(out, "acme.json")), 2);
  assert.match(await internalRoot(host), /BEGIN CERTIFICATE/);
  assert.equal(await internalRoot(host), await internalRoot(host));
});

test("what a store needs on disk is known before it is opened", () => {
  assert.equal(storageOnDisk("/letsencrypt/acme.json", {}).directory, "/letsencrypt/acme");
  assert.equal(storageOnDisk("/letsencrypt/acme.json", {}).legacyFile, "/letsencrypt/acme.json");
  assert.equal(storageOnDisk("/data/certs", {}).directory, "/data/certs");
  assert.equal(storageOnDisk("redis://r:6379", { WAYBILL_STORAGE_COPY: "/copy" }).directory, "/copy");
});

test("TL-14 certificates are read at the start without parsing one of them, many files at a time", async (t) => {
  const { shelf, folder } = await openShelf(scratch(t));
  await shelf.vault.close();
  const one = await kept("n0.example.com");
  // Whatever looked inside would fail.
  await keepMany(folder, 600, (i) => `n${i}.example.com`, { ...one.spec, chain: "a chain", key: "a key" });
  let reads = 0;
  const getAll = shelf.vault.getAll.bind(shelf.vault);
  shelf.vault.getAll = (paths) => {
    reads += 1;
    return getAll(paths);
  };
  shelf.vault.get = () => assert.fail("nothing is read one by one");
  const { kept: found } = await shelf.loadCertificates();
  assert.equal(found.length, 600);
  assert.equal(reads, 3);
});

test("TL-14 what a certificate says is kept beside it, and read from itself where it is not", async (t) => {
  const { shelf, folder } = await openShelf(scratch(t));
  const one = await kept("app.example.com");
  await shelf.saveCertificate(one);
  assert.deepEqual((await shelf.loadCertificates()).kept, [one]);
  // As it was written by versions that did not keep it.
  const file = join(folder, "certs/ca.test/app.example.com/meta.json");
  const { facts: _, ...meta } = JSON.parse(readFileSync(file, "utf8"));
  writeFileSync(file, JSON.stringify(meta));
  assert.deepEqual((await shelf.loadCertificates()).kept, [one]);
});

test("whatever stands in an acme.json, reading it never throws", () => {
  for (const text of [
    "[]",
    "null",
    '{"a":1}',
    '{"a":{"Certificates":[1,null,{}]}}',
    '{"a":{"Account":{"PrivateKey":"x","Registration":{"uri":"x"}}}}',
    "{",
  ]) {
    assert.doesNotThrow(() => parseLegacy(text), text);
  }
});
