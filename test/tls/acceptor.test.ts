import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type ConnectionOptions, connect } from "node:tls";
import type { TlsSpec } from "../../src/model/snapshot.ts";
import { Acceptor, type AcceptorLimits } from "../../src/tls/acceptor.ts";
import { makeCertificate, specOf, type TestCertificate, tlsSpec } from "./certificates.ts";
import { Entry, readAll } from "./entry.ts";
import { helloOf } from "./hello.ts";

const standard = await makeCertificate({ names: ["default.test"] });
const app = await makeCertificate({ names: ["app.example.com"] });
const wildcard = await makeCertificate({ names: ["*.example.com"] });
const spec = tlsSpec([specOf(standard), specOf(app), specOf(wildcard)]);

let entry: Entry;
before(async () => {
  entry = await Entry.open(new Acceptor(spec));
});
after(() => entry.close());

const shown = (raw: Buffer) => new X509Certificate(raw).fingerprint256.replaceAll(":", "").toLowerCase();

async function certificateFor(servername: string, to = entry) {
  const { socket, greeting } = await to.talk({ servername });
  const id = shown(socket.getPeerCertificate().raw);
  socket.destroy();
  return { id, greeting };
}

test("TL-17 an exact name is preferred to a wildcard, a wildcard to the default", async () => {
  assert.equal((await certificateFor("app.example.com")).id, specOf(app).id);
  assert.equal((await certificateFor("other.example.com")).id, specOf(wildcard).id);
  assert.equal((await certificateFor("a.b.example.com")).id, specOf(standard).id);
  assert.equal((await certificateFor("example.com")).id, specOf(standard).id);
});

test("TL-02 server names are compared without case", async () => {
  const { id, greeting } = await certificateFor("APP.Example.COM");
  assert.equal(id, specOf(app).id);
  assert.equal(greeting, "app.example.com default");
});

test("TL-01 without a server name the default certificate is shown", async () => {
  const { socket, greeting } = await entry.talk();
  assert.equal(shown(socket.getPeerCertificate().raw), specOf(standard).id);
  assert.equal(greeting, "undefined default");
  socket.destroy();
});

test("bytes travel both ways after the hello was read ahead", async () => {
  const { socket } = await entry.talk({ servername: "app.example.com" });
  const bytes = Buffer.alloc(1_000_000, "x");
  socket.write(bytes);
  let got = 0;
  for await (const chunk of socket) {
    got += chunk.length;
    if (got >= bytes.length) break;
  }
  assert.equal(got, bytes.length);
});

test("h2 is agreed on when the client offers it", async () => {
  const { socket } = await entry.talk({ ALPNProtocols: ["h2", "http/1.1"] });
  assert.equal(socket.alpnProtocol, "h2");
  assert.equal(entry.secured.at(-1)?.protocol, "h2");
  socket.destroy();
  await once(socket, "close");
});

const extra: Entry[] = [];
after(() => {
  for (const one of extra) one.close();
});

async function serve(other: TlsSpec, limits: Partial<AcceptorLimits> = {}, handshakeTimeoutMs?: number) {
  const acceptor = new Acceptor(other, limits);
  const own = await Entry.open(acceptor, handshakeTimeoutMs);
  extra.push(own);
  return { acceptor, entry: own };
}

/** The alert a client is shown, or what else went wrong. */
async function failure(to: Entry, options: ConnectionOptions): Promise<string> {
  try {
    const { socket } = await to.talk(options);
    socket.destroy();
    return "none";
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? (error as Error).message;
  }
}

test("TL-01 odd server names get the default certificate or an alert, and hurt nobody", async () => {
  for (const name of [
    "127.0.0.1",
    "a".repeat(300),
    "a\0b.test",
    "\xfcmlaut.test",
    "",
    "..",
    "*.example.com",
  ]) {
    const socket = entry.raw();
    socket.write(helloOf({ serverName: name }));
    const bytes = await Promise.race([
      readAll(socket),
      once(socket, "data").then(([chunk]) => chunk as Buffer),
    ]);
    assert.ok(bytes.length === 0 || bytes[0] === 21 || bytes[0] === 22, JSON.stringify(name));
    socket.destroy();
  }
  assert.equal((await certificateFor("app.example.com")).id, specOf(app).id);
});

test("TL-01 strict options refuse names without a certificate, and no name at all", async () => {
  const { entry: strict } = await serve(
    tlsSpec([specOf(standard), specOf(app)], { default: { sniStrict: true } }),
  );
  assert.match(await failure(strict, { servername: "unknown.test" }), /UNRECOGNIZED_NAME/);
  assert.match(await failure(strict, {}), /UNRECOGNIZED_NAME/);
  assert.equal((await certificateFor("app.example.com", strict)).id, specOf(app).id);
  assert.deepEqual(strict.refused, ["unknown-name", "unknown-name"]);
});

test("TL-01 a client without a server name gets the certificate for the address it came to", async () => {
  const ip = await makeCertificate({ ips: ["127.0.0.1"] });
  const { entry: byIp } = await serve(tlsSpec([specOf(standard), specOf(ip)]));
  const { socket } = await byIp.talk();
  assert.equal(shown(socket.getPeerCertificate().raw), specOf(ip).id);
  socket.destroy();
});

test("TL-03 without a known protocol there is an alert, without any HTTP/1.1, and a hundred are no harm", async () => {
  assert.match(await failure(entry, { ALPNProtocols: ["spdy/3", "h3"] }), /NO_APPLICATION_PROTOCOL/);
  const plain = await entry.talk();
  assert.equal(entry.secured.at(-1)?.protocol, "http/1.1");
  const many = await entry.talk({ ALPNProtocols: [...Array(100).keys()].map((i) => `p${i}`).concat("h2") });
  assert.equal(many.socket.alpnProtocol, "h2");
  plain.socket.destroy();
  many.socket.destroy();
});

test("TL-03 acme-tls/1 without a challenge is refused, and never shown an ordinary certificate", async () => {
  const before = entry.refused.length;
  for (const servername of ["app.example.com", "unknown.test"]) {
    for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
      const options = { servername, ALPNProtocols: ["acme-tls/1"], minVersion: version, maxVersion: version };
      assert.match(await failure(entry, options), /NO_APPLICATION_PROTOCOL/);
    }
  }
  assert.deepEqual(entry.refused.slice(before), Array(4).fill("no-protocol"));
});

test("TL-03 a live challenge is shown to acme-tls/1 clients of TLS 1.2 and 1.3, and to nobody else", async () => {
  const challenge = await makeCertificate({ names: ["new.test"] });
  const { entry: acme, acceptor } = await serve(tlsSpec([specOf(standard), specOf(challenge, true)]));
  for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
    const socket = connect({
      port: acme.port,
      servername: "new.test",
      ALPNProtocols: ["acme-tls/1"],
      minVersion: version,
      maxVersion: version,
      rejectUnauthorized: false,
    });
    await once(socket, "secureConnect");
    assert.equal(socket.alpnProtocol, "acme-tls/1");
    assert.equal(shown(socket.getPeerCertificate().raw), specOf(challenge).id);
    socket.resume();
    await once(socket, "close");
  }
  assert.equal((await certificateFor("new.test", acme)).id, specOf(standard).id);
  assert.deepEqual(acme.refused, ["challenge-shown", "challenge-shown"]);
  acceptor.update(tlsSpec([specOf(standard)]));
  assert.match(
    await failure(acme, { servername: "new.test", ALPNProtocols: ["acme-tls/1"] }),
    /NO_APPLICATION_PROTOCOL/,
  );
});

test("TL-04 TLS 1.0 and 1.1 are refused", async () => {
  for (const version of ["TLSv1", "TLSv1.1"] as const) {
    const options = { minVersion: version, maxVersion: version, ciphers: "DEFAULT:@SECLEVEL=0" };
    assert.match(await failure(entry, options), /PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL/);
  }
});

test("TL-05 weak ciphers are refused", async () => {
  const rsa = await makeCertificate({ names: ["rsa.test"], rsaBits: 2048 });
  const { entry: both } = await serve(tlsSpec([specOf(rsa)]));
  for (const ciphers of [
    "AES128-SHA",
    "AES256-GCM-SHA384",
    "ECDHE-RSA-AES128-SHA",
    "DHE-RSA-AES128-GCM-SHA256",
  ]) {
    assert.match(await failure(both, { ciphers, maxVersion: "TLSv1.2" }), /HANDSHAKE_FAILURE/, ciphers);
  }
  assert.equal(
    await failure(both, { ciphers: "ECDHE-RSA-AES128-GCM-SHA256", maxVersion: "TLSv1.2" }),
    "none",
  );
});

test("TL-06 renegotiation is refused", async () => {
  const { socket } = await entry.talk({ servername: "app.example.com", maxVersion: "TLSv1.2" });
  const error = await new Promise<Error | null>((resolve) => {
    socket.on("error", resolve);
    socket.on("close", () => resolve(new Error("closed")));
    socket.renegotiate({ rejectUnauthorized: false }, resolve);
  });
  assert.notEqual(error, null);
  socket.destroy();
});

test("TL-07 plain HTTP gets a 400, other bytes get nothing", async () => {
  const http = entry.raw();
  http.write("GET / HTTP/1.1\r\nHost: app.example.com\r\n\r\n");
  assert.match(String(await readAll(http)), /^HTTP\/1\.1 400 Bad Request\r\n.*HTTPS/s);
  const other = entry.raw();
  other.write("SSH-2.0-OpenSSH_9.2\r\n");
  assert.equal((await readAll(other)).length, 0);
  assert.deepEqual(entry.refused.slice(-2), ["not-tls", "not-tls"]);
});

const authority = await makeCertificate({ commonName: "authority", authority: true });
const known = await makeCertificate({ commonName: "client", issuer: authority });
const expired = await makeCertificate({ commonName: "client", issuer: authority, from: -10, to: -1 });
const stranger = await makeCertificate({ commonName: "stranger" });
const MODES = [
  "NoClientCert",
  "RequestClientCert",
  "RequireAnyClientCert",
  "VerifyClientCertIfGiven",
  "RequireAndVerifyClientCert",
] as const;

test("TL-08 all five modes of client certificates, under TLS 1.2 and 1.3", async () => {
  const accepted: Record<(typeof MODES)[number], string[]> = {
    NoClientCert: ["none", "known", "stranger", "expired"],
    RequestClientCert: ["none", "known", "stranger", "expired"],
    RequireAnyClientCert: ["known", "stranger", "expired"],
    VerifyClientCertIfGiven: ["none", "known"],
    RequireAndVerifyClientCert: ["known"],
  };
  const clients: Record<string, TestCertificate | undefined> = { none: undefined, known, stranger, expired };
  const options = Object.fromEntries(
    MODES.map((mode) => [mode, { clientAuth: { clientAuthType: mode, caFiles: [authority.chain] } }]),
  );
  const hosts = Object.fromEntries(MODES.map((mode) => [`${mode.toLowerCase()}.test`, mode]));
  const { entry: mutual } = await serve(tlsSpec([specOf(standard)], options, hosts));
  for (const mode of MODES) {
    for (const [who, client] of Object.entries(clients)) {
      for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
        const credentials = client === undefined ? {} : { cert: client.chain, key: client.key };
        const result = await failure(mutual, { servername: `${mode}.test`, maxVersion, ...credentials });
        assert.equal(
          result === "none",
          accepted[mode].includes(who),
          `${mode} ${who} ${maxVersion}: ${result}`,
        );
      }
    }
  }
  assert.ok(
    mutual.secured.every(({ tls }) => tls.options.toLowerCase() === tls.serverName?.replace(".test", "")),
  );
});

test("TL-08 the client's certificates can be read, leaf first", async () => {
  const options = { default: { clientAuth: { clientAuthType: "" as const, caFiles: [authority.chain] } } };
  const { entry: mutual } = await serve(tlsSpec([specOf(standard)], options));
  const { socket } = await mutual.talk({ cert: known.chain + authority.chain, key: known.key });
  const [leaf, issuer] = mutual.secured[0]!.tls.peerCertificates();
  assert.deepEqual(leaf, new X509Certificate(known.chain).raw);
  assert.deepEqual(issuer, new X509Certificate(authority.chain).raw);
  socket.destroy();
  const plain = await entry.talk();
  assert.deepEqual(entry.secured.at(-1)?.tls.peerCertificates(), []);
  plain.socket.destroy();
});

test("TL-09 a session of one set of options is not resumed under another", async () => {
  const strict = {
    clientAuth: { clientAuthType: "RequireAndVerifyClientCert" as const, caFiles: [authority.chain] },
  };
  const { entry: mixed } = await serve(tlsSpec([specOf(standard)], { strict }, { "strict.test": "strict" }));
  for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
    const first = await mixed.talk({ servername: "open.test", maxVersion });
    const session = await first.session;
    first.socket.destroy();
    const again = await mixed.talk({ servername: "open.test", maxVersion, session });
    assert.equal(again.socket.isSessionReused(), true, maxVersion);
    again.socket.destroy();
    assert.notEqual(await failure(mixed, { servername: "strict.test", maxVersion, session }), "none");
    const credentials = { cert: known.chain, key: known.key };
    const mutual = await mixed.talk({ servername: "strict.test", maxVersion, session, ...credentials });
    assert.equal(mutual.socket.isSessionReused(), false);
    mutual.socket.destroy();
  }
});

test("TL-09 a client certificate is still known after its session was resumed", async () => {
  const options = { default: { clientAuth: { clientAuthType: "" as const, caFiles: [authority.chain] } } };
  const { entry: mutual } = await serve(tlsSpec([specOf(standard)], options));
  const credentials = { cert: known.chain, key: known.key };
  const first = await mutual.talk(credentials);
  const session = await first.session;
  first.socket.destroy();
  const again = await mutual.talk({ ...credentials, session });
  assert.equal(again.socket.isSessionReused(), true);
  assert.deepEqual(mutual.secured[1]!.tls.peerCertificates()[0], new X509Certificate(known.chain).raw);
  again.socket.destroy();
});

test("TL-10 threads with one secret open each other's tickets, and a new secret ends old ones", async () => {
  const shared = { ...tlsSpec([specOf(standard)]), ticketSecret: "secret one" };
  const one = await serve(shared);
  const two = await serve(shared);
  const first = await one.entry.talk();
  const session = await first.session;
  first.socket.destroy();
  const resumed = await two.entry.talk({ session });
  assert.equal(resumed.socket.isSessionReused(), true);
  resumed.socket.destroy();
  two.acceptor.update({ ...shared, ticketSecret: "secret two" });
  const anew = await two.entry.talk({ session });
  assert.equal(anew.socket.isSessionReused(), false);
  anew.socket.destroy();
});

test("TL-10 a thread without a shared secret makes a new one every twelve hours", async () => {
  let now = Date.now();
  const acceptor = new Acceptor(spec, {}, () => now);
  const own = await Entry.open(acceptor);
  extra.push(own);
  const first = await own.talk();
  const session = await first.session;
  first.socket.destroy();
  now += 13 * 3_600_000;
  const later = await own.talk({ session });
  assert.equal(later.socket.isSessionReused(), false);
  later.socket.destroy();
});

test("TL-10 no tickets are given where they are switched off", async () => {
  const { entry: none } = await serve(
    tlsSpec([specOf(standard)], { default: { disableSessionTickets: true } }),
  );
  const first = await none.talk({ maxVersion: "TLSv1.2" });
  assert.equal(first.socket.getTLSTicket(), undefined);
  first.socket.destroy();
});

/** What `openssl s_client` says until it has the server's greeting, which follows the tickets. */
async function speakOpenssl(port: number, args: readonly string[]): Promise<string> {
  const target = ["-connect", `127.0.0.1:${port}`, "-tls1_3", "-noservername"];
  const child = spawn("openssl", ["s_client", ...target, ...args], { timeout: 10_000 });
  let said = "";
  child.stdout.on("data", (chunk) => {
    said += String(chunk);
    if (said.includes("undefined default")) child.kill();
  });
  await once(child, "exit");
  return said;
}

test("TL-11 tickets promise no early data, and so a client that has some does not send it early", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "waybill-tls-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const [session, early] = [join(folder, "session.pem"), join(folder, "early")];
  writeFileSync(early, "GET /early HTTP/1.1\r\n\r\n");
  await speakOpenssl(entry.port, ["-sess_out", session]);
  const text = execFileSync("openssl", ["sess_id", "-in", session, "-noout", "-text"], { encoding: "utf8" });
  assert.match(text, /Max Early Data: 0\b/);
  const again = await speakOpenssl(entry.port, ["-sess_in", session, "-early_data", early]);
  assert.match(again, /^Reused, TLSv1\.3/m);
  assert.match(again, /^Early data was not sent/m);
});

test("TL-12 certificates are swapped 200 times under load: no handshake fails, and the new one is shown at once", async () => {
  const pair = [
    await makeCertificate({ names: ["swap.test"] }),
    await makeCertificate({ names: ["swap.test"] }),
  ];
  const specs = pair.map((one) => tlsSpec([specOf(one)]));
  const { entry: swapped, acceptor } = await serve(specs[0]!);
  const old = await swapped.talk({ servername: "swap.test" });
  let stop = false;
  let handshakes = 0;
  const load = Array.from({ length: 4 }, async () => {
    while (!stop) {
      const { socket } = await swapped.talk({ servername: "swap.test" });
      socket.destroy();
      handshakes++;
    }
  });
  for (let i = 1; i <= 200; i++) {
    acceptor.update(specs[i % 2]!);
    if (i % 20 === 0) assert.equal((await certificateFor("swap.test", swapped)).id, specOf(pair[i % 2]!).id);
    else await sleep(2);
  }
  stop = true;
  await Promise.all(load);
  assert.ok(handshakes > 100);
  assert.deepEqual(
    swapped.refused.filter((reason) => reason !== "closed"),
    [],
  );
  old.socket.write("still here");
  assert.equal(String((await once(old.socket, "data"))[0]), "still here");
  old.socket.destroy();
});

test("TL-14 10,000 certificates are ready in less than two seconds, and served from the first request on", async () => {
  const one = specOf(app);
  const many = Array.from({ length: 10_000 }, (_, i) => ({ ...one, id: `${i}`, names: [`host-${i}.test`] }));
  const tookMs: number[] = [];
  // Other work of the machine takes time, too, so the best of three counts.
  for (let round = 0; round < 3; round++) {
    const start = performance.now();
    const { entry: large } = await serve(tlsSpec([specOf(standard), ...many]));
    tookMs.push(performance.now() - start);
    assert.equal((await certificateFor("host-9999.test", large)).id, one.id);
  }
  assert.ok(Math.min(...tookMs) < 2000, `${tookMs.map(Math.round)} ms`);
});

test("TL-15 past the limit of handshakes the oldest one gives way", async () => {
  const { entry: small } = await serve(spec, { handshakesMax: 3, startsPerTurn: 1 });
  const stalled = [small.raw(), small.raw(), small.raw()];
  for (const socket of stalled) socket.on("error", () => {});
  while (small.open < 3) await sleep(5);
  const { socket } = await small.talk();
  assert.deepEqual(small.refused, ["busy"]);
  socket.destroy();
  const talks = await Promise.all([small.talk(), small.talk()]);
  for (const talk of talks) talk.socket.destroy();
  for (const one of stalled) one.destroy();
});

test("TL-15 a flood of handshakes leaves room for others in each turn: a connection that is open waits for a few only", async () => {
  const { entry: flooded } = await serve(spec, { startsPerTurn: 4 });
  const { socket } = await flooded.talk();
  const flood = Array.from({ length: 200 }, () => flooded.talk());
  const waits: number[] = [];
  let isOver = false;
  void Promise.all(flood).then(() => {
    isOver = true;
  });
  while (!isOver) {
    const before = flooded.secured.length;
    socket.write("still here");
    await once(socket, "data");
    waits.push(flooded.secured.length - before);
  }
  for (const talk of await Promise.all(flood)) talk.socket.destroy();
  socket.destroy();
  waits.sort((a, b) => a - b);
  const p99 = waits[Math.floor(waits.length * 0.99)]!;
  // Without a limit per turn it would be answered after most of the 200.
  assert.ok(p99 < 60, `answered after ${p99} handshakes`);
  assert.ok(waits.length > 4, "it was answered while the flood went on");
});

test("TL-16 clients that leave at any byte of the handshake leave nothing behind", async () => {
  const { entry: left, acceptor } = await serve(spec);
  const hello = helloOf({ serverName: "app.example.com" });
  for (let length = 0; length <= hello.length; length += 7) {
    const socket = left.raw();
    await once(socket, "connect");
    socket.write(hello.subarray(0, length));
    if (length % 2 === 0) socket.end();
    else socket.resetAndDestroy();
    socket.on("error", () => {});
  }
  while (left.open > 0 || acceptor.handshaking > 0) await sleep(10);
  assert.equal(left.secured.length, 0);
  assert.equal((await certificateFor("app.example.com", left)).id, specOf(app).id);
});

test("SL-06 SL-07 SL-08 a handshake that stalls, at whatever point, is ended in time", async () => {
  const { entry: slow, acceptor } = await serve(spec, {}, 150);
  const hello = helloOf({ serverName: "app.example.com" });
  const acme = helloOf({ serverName: "app.example.com", protocols: ["acme-tls/1"] });
  for (const bytes of [
    hello.subarray(0, 0),
    hello.subarray(0, 1),
    hello.subarray(0, 60),
    hello,
    acme.subarray(0, 80),
  ]) {
    const socket = slow.raw();
    await once(socket, "connect");
    socket.write(bytes);
    socket.on("error", () => {});
    socket.resume();
  }
  while (slow.refused.length < 5) await sleep(10);
  assert.deepEqual(slow.refused, Array(5).fill("timeout"));
  while (slow.open > 0) await sleep(10);
  assert.equal(acceptor.handshaking, 0);
});

test("H1-33 a hello in pieces of one byte is understood all the same", async () => {
  const { entry: pieces } = await serve(spec);
  const socket = pieces.raw();
  socket.setNoDelay(true);
  const hello = helloOf({ serverName: "app.example.com" });
  for (const byte of hello) {
    socket.write(Buffer.from([byte]));
    await new Promise(setImmediate);
  }
  const [reply] = (await once(socket, "data")) as [Buffer];
  assert.equal(reply[0], 22);
  socket.destroy();
});

test("options that do not exist end the connection", async () => {
  const { entry: missing } = await serve(tlsSpec([specOf(standard)], {}, { "a.test": "gone@file" }));
  assert.match(await failure(missing, { servername: "a.test" }), /UNRECOGNIZED_NAME/);
});

test("options of a wildcard host hold for its names, and exact ones come first", async () => {
  const { entry: hosts } = await serve(
    tlsSpec([specOf(standard)], { one: {}, two: {} }, { "*.a.test": "one", "b.a.test": "two" }),
  );
  assert.equal((await certificateFor("x.a.test", hosts)).greeting, "x.a.test one");
  assert.equal((await certificateFor("b.a.test", hosts)).greeting, "b.a.test two");
  assert.equal((await certificateFor("a.test", hosts)).greeting, "a.test default");
});

test("a key that OpenSSL refuses ends only its own handshakes", async () => {
  const broken = { ...specOf(app), id: "broken", key: "garbage" };
  const { entry: half } = await serve(tlsSpec([specOf(standard), broken]));
  assert.match(await failure(half, { servername: "app.example.com" }), /HANDSHAKE_FAILURE/);
  assert.equal((await certificateFor("other.test", half)).id, specOf(standard).id);
});
