import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { loadCatalogue } from "../../src/compile/catalogue.ts";
import { declareInternals } from "../../src/control/internal.ts";
import { loadSettings } from "../../src/settings/load.ts";
import {
  ACK,
  CODE,
  GET as GET_FIELDS,
  headers,
  ping,
  RawClient,
  reset,
  TYPE,
} from "../conformance/http2-frames.ts";
import { type Product, startProduct } from "../e2e/harness.ts";
import { OK, Plane, RawBackend, replies, replying, TestServer, talk } from "../gateway/plane.ts";

/** What an entry point can be told, seen by a client: each option by its name. */

const open: { close(): void }[] = [];
after(() => {
  for (const one of open) one.close();
});

const { middlewares: registry } = await loadCatalogue();
const GET = "GET /x HTTP/1.1\r\nHost: a.example\r\n\r\n";
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function plane(entryPoint: Record<string, string>, backend = replying(OK)): Promise<Plane> {
  open.push(await backend.start());
  const started = await new Plane({ entryPoint, servers: [new TestServer(backend.port)] }).start();
  open.push(started);
  return started;
}

const statusOf = (text: string) => Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]);

test("address: it listens where it is told to, and nowhere else", async () => {
  const { port } = await plane({ address: "127.0.0.2:0" });
  const there = connect(port, "127.0.0.2");
  await once(there, "connect");
  there.destroy();
  await assert.rejects(once(connect(port, "127.0.0.3"), "connect"), /ECONNREFUSED/);
});

test("reusePort: two entry points listen on one port if both say so", async () => {
  const first = await plane({ reusePort: "true" });
  const address = `127.0.0.1:${first.port}`;
  assert.equal((await plane({ address, reusePort: "true" })).port, first.port);
  await assert.rejects(plane({ address }), /EADDRINUSE/);
});

test("maxConnections: connections over the limit are closed at once", async () => {
  const { port, entryPoint } = await plane({ "transport.maxConnections": "2" });
  const kept = [connect(port, "127.0.0.1"), connect(port, "127.0.0.1")];
  while (entryPoint.open < 2) await wait(5);
  assert.equal(await talk(port, GET, replies(1)).catch(() => ""), "");
  for (const socket of kept) socket.destroy();
});

test("maxConnectionsPerIP: one address has no more connections than it may", async () => {
  const { port, entryPoint } = await plane({ "transport.maxConnectionsPerIP": "1" });
  const kept = connect(port, "127.0.0.1");
  while (entryPoint.open < 1) await wait(5);
  assert.equal(await talk(port, GET, replies(1)).catch(() => ""), "");
  kept.destroy();
});

test("keepAliveMaxRequests: the last request that a connection may carry closes it", async () => {
  const { port } = await plane({ "transport.keepAliveMaxRequests": "1" });
  assert.match(await talk(port, GET.repeat(2)), /^HTTP\/1\.1 200[\s\S]*Connection: close[\s\S]*ok$/);
});

test("keepAliveMaxTime: an old connection is closed with the reply that it is carrying", async (t) => {
  const { port } = await plane({ "transport.keepAliveMaxTime": "1m" });
  const client = connect(port, "127.0.0.1");
  client.write(GET);
  assert.doesNotMatch(String(await once(client, "data")), /Connection: close/i);
  const now = performance.now.bind(performance);
  t.mock.method(performance, "now", () => now() + 61_000);
  await wait(30);
  client.write(GET);
  assert.match(String(await once(client, "data")), /Connection: close/i);
  await once(client, "close");
});

test("SL-03 bodyRateMin: a body that arrives too slowly after its first ten seconds is 408", {
  timeout: 30_000,
}, async (t) => {
  const silent = new RawBackend(() => {});
  const slow = await plane(timeoutsOf({ bodyRateMin: "1000", bodyIdleTimeout: "0" }), silent);
  const client = connect(slow.port, "127.0.0.1");
  // Enough for the default rate, and not for this one.
  client.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n${"x".repeat(5000)}`);
  const answer = once(client, "data");
  while (silent.text.length < 5000) await wait(5);
  // The clock of the limits, eleven seconds later.
  const now = performance.now.bind(performance);
  t.mock.method(performance, "now", () => now() + 11_000);
  await wait(30);
  client.write("x");
  assert.equal(statusOf(String(await answer)), 408);
  client.destroy();
});

test("SL-03 bodyRateMin: the time in which the server takes nothing is not the client's", {
  timeout: 30_000,
}, async (t) => {
  let isLazy = true;
  const lazy = new RawBackend((socket) => void (isLazy && socket.pause()));
  const { port, done } = await plane(timeoutsOf({ bodyRateMin: "100000000" }), lazy);
  const client = connect(port, "127.0.0.1");
  client.on("error", () => {});
  client.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n");
  client.write(Buffer.alloc(40e6));
  // Until the buffers on the way are full.
  for (let left = -1; client.writableLength !== left; await wait(200)) left = client.writableLength;
  const now = performance.now.bind(performance);
  t.mock.method(performance, "now", () => now() + 11_000);
  await wait(50);
  isLazy = false;
  lazy.sockets[0]!.resume();
  while (done.length === 0 && lazy.text.length < 20e6) await wait(20);
  assert.equal(done.length, 0);
  client.destroy();
});

test("readTimeout: a request that takes longer, however busily, is 408", async () => {
  const limits = { readTimeout: "100ms", bodyIdleTimeout: "0", bodyRateMin: "0" };
  const { port } = await plane(timeoutsOf(limits), new RawBackend(() => {}));
  assert.equal(statusOf(await talk(port, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx")), 408);
});

test("writeTimeout: a reply that takes longer is cut off", async () => {
  const limits = { writeTimeout: "100ms", writeStallTimeout: "0" };
  const endless = new RawBackend((socket) => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"));
  const { port } = await plane(timeoutsOf(limits), endless);
  assert.match(await talk(port, GET), /x$/);
});

const timeoutsOf = (limits: Record<string, string>) =>
  Object.fromEntries(
    Object.entries(limits).map(([name, value]) => [`transport.respondingTimeouts.${name}`, value]),
  );

test("tlsHandshakeTimeout: a handshake that does not go on is given up", async () => {
  await using product = await startProduct({
    threads: 1,
    flags: [
      "--entryPoints.web.http.tls=true",
      "--entryPoints.web.transport.respondingTimeouts.tlsHandshakeTimeout=100ms",
      "--entryPoints.web.transport.respondingTimeouts.headerTimeout=1m",
    ],
  });
  const socket = connect(product.ports.get("web")!, "127.0.0.1");
  socket.on("error", () => {});
  // A hello whose length says that more is to come.
  socket.write(Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252]));
  const timer = setTimeout(() => socket.destroy(new Error("still open")), 8000);
  const [hadError] = (await once(socket, "close")) as [boolean];
  clearTimeout(timer);
  assert.equal(hadError, false);
});

test("maxRequestLineBytes: a longer line is 414", async () => {
  const { port } = await plane({ "http.maxRequestLineBytes": "200" });
  assert.equal(statusOf(await talk(port, GET, replies(1))), 200);
  assert.equal(statusOf(await talk(port, GET.replace("/x", `/${"x".repeat(200)}`))), 414);
});

test("maxHeaderBytes: a longer head is 431", async () => {
  const { port } = await plane({ "http.maxHeaderBytes": "300" });
  const long = GET.replace("\r\n\r\n", `\r\nX-Long: ${"x".repeat(300)}\r\n\r\n`);
  assert.equal(statusOf(await talk(port, GET, replies(1))), 200);
  assert.equal(statusOf(await talk(port, long)), 431);
});

test("maxHeaders: more lines are 431", async () => {
  const { port } = await plane({ "http.maxHeaders": "3" });
  const many = GET.replace("\r\n\r\n", "\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n");
  assert.equal(statusOf(await talk(port, GET, replies(1))), 200);
  assert.equal(statusOf(await talk(port, many)), 431);
});

for (const [option, encoded, byDefault] of [
  ["allowEncodedSlash", "%2F", 400],
  ["allowEncodedBackSlash", "%5C", 400],
  ["allowEncodedNullCharacter", "%00", 400],
  ["allowEncodedSemicolon", "%3B", 200],
  ["allowEncodedPercent", "%25", 200],
  ["allowEncodedQuestionMark", "%3F", 200],
  ["allowEncodedHash", "%23", 200],
] as const) {
  test(`${option}: ${encoded} in a path is ${byDefault} unless it says otherwise`, async () => {
    const request = GET.replace("/x", `/x${encoded}y`);
    const usual = await plane({});
    assert.equal(statusOf(await talk(usual.port, request, replies(1))), byDefault);
    const changed = await plane({ [`http.encodedCharacters.${option}`]: String(byDefault === 400) });
    assert.equal(statusOf(await talk(changed.port, request, replies(1))), byDefault === 400 ? 200 : 400);
  });
}

test("upgrades: only these protocols are passed on", async () => {
  const ask = GET.replace("\r\n\r\n", "\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n");
  const heard = async (entryPoint: Record<string, string>) => {
    const backend = replying(OK);
    const { port } = await plane(entryPoint, backend);
    await talk(port, ask, replies(1));
    return /upgrade: chat/i.test(backend.text);
  };
  assert.equal(await heard({}), false);
  assert.equal(await heard({ "http.upgrades": "websocket,chat" }), true);
});

test("proxyProtocol.insecure: everybody may say in a PROXY header whom they speak for", async () => {
  const { port, done } = await plane({ "proxyProtocol.insecure": "true" });
  await talk(port, `PROXY TCP4 192.0.2.7 192.0.2.8 1 80\r\n${GET}`, replies(1));
  assert.equal(done[0]!.connection.peerIp, "192.0.2.7");
});

test("proxyProtocol.trustedIPs: these peers may, others may not", async () => {
  const trusting = await plane({ "proxyProtocol.trustedIPs": "127.0.0.0/8" });
  await talk(trusting.port, `PROXY TCP4 192.0.2.7 192.0.2.8 1 80\r\n${GET}`, replies(1));
  assert.equal(trusting.done[0]!.connection.peerIp, "192.0.2.7");
  const wary = await plane({ "proxyProtocol.trustedIPs": "192.0.2.1" });
  assert.equal(statusOf(await talk(wary.port, `PROXY TCP4 192.0.2.7 192.0.2.8 1 80\r\n${GET}`)), 400);
});

async function forwardedFor(entryPoint: Record<string, string>): Promise<string | undefined> {
  const backend = replying(OK);
  const { port } = await plane(entryPoint, backend);
  const request = GET.replace("\r\n\r\n", "\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n");
  await talk(port, request, replies(1));
  return /^x-forwarded-for: (.*)\r$/im.exec(backend.text)?.[1];
}

test("forwardedHeaders.insecure and .trustedIPs: whose X-Forwarded-For is believed", async () => {
  assert.equal(await forwardedFor({}), "127.0.0.1");
  assert.equal(await forwardedFor({ "forwardedHeaders.insecure": "true" }), "192.0.2.7, 127.0.0.1");
  assert.equal(await forwardedFor({ "forwardedHeaders.trustedIPs": "127.0.0.1" }), "192.0.2.7, 127.0.0.1");
  assert.equal(await forwardedFor({ "forwardedHeaders.trustedIPs": "192.0.2.0/24" }), "127.0.0.1");
});

test("forwardedHeaders.notAppendXForwardedFor: the peer is not added", async () => {
  const quiet = {
    "forwardedHeaders.insecure": "true",
    "forwardedHeaders.notAppendXForwardedFor": "true",
  };
  assert.equal(await forwardedFor(quiet), "192.0.2.7");
});

test("forwardedHeaders.connection: a client's Connection header cannot remove these", async () => {
  const heard = async (entryPoint: Record<string, string>) => {
    const backend = replying(OK);
    const { port } = await plane(entryPoint, backend);
    await talk(port, GET.replace("\r\n\r\n", "\r\nX-Keep: 1\r\nConnection: X-Keep\r\n\r\n"), replies(1));
    return /^x-keep: 1\r$/im.test(backend.text);
  };
  assert.equal(await heard({}), false);
  assert.equal(await heard({ "forwardedHeaders.connection": "X-Keep" }), true);
});

// --- What routers get from their entry point: the whole product.

const WHOAMI = { name: "app", labels: { "traefik.http.routers.app.rule": "Host(`app.test`)" } };

test("asDefault: routers that name no entry point are on these only", async () => {
  await using product = await startProduct({
    threads: 1,
    containers: [WHOAMI],
    flags: ["--entryPoints.other.address=127.0.0.1:0", "--entryPoints.other.asDefault=true"],
  });
  assert.equal((await product.get("app.test")).status, 404);
  assert.equal((await product.get("app.test", "/", { entryPoint: "other" })).status, 200);
});

test("global.notAppendXForwardedFor: it holds for every entry point", async () => {
  await using product = await startProduct({
    threads: 1,
    containers: [WHOAMI],
    flags: ["--global.notAppendXForwardedFor=true", "--entryPoints.web.forwardedHeaders.insecure=true"],
  });
  const { body } = await product.get("app.test", "/", { headers: { "x-forwarded-for": "192.0.2.7" } });
  assert.match(body, /^X-Forwarded-For: 192\.0\.2\.7$/im);
});

test("http.redirections.entryPoint: to, scheme, permanent and priority", async () => {
  const redirection = (name: string, to: string, ...more: string[]) => [
    `--entryPoints.${name}.address=127.0.0.1:0`,
    ...[`to=${to}`, ...more].map((text) => `--entryPoints.${name}.http.redirections.entryPoint.${text}`),
  ];
  await using product = await startProduct({
    threads: 1,
    containers: [
      {
        name: "app",
        labels: {
          "traefik.http.routers.app.rule": "Host(`app.test`)",
          "traefik.http.routers.app.priority": "100",
        },
      },
    ],
    flags: [
      ...redirection("usual", ":8443"),
      ...redirection("plain", ":8080", "scheme=http"),
      ...redirection("passing", ":8443", "permanent=false"),
      ...redirection("humble", ":8443", "priority=1"),
    ],
  });
  const ask = async (entryPoint: string) => {
    const { status, headers } = await product.get("app.test", "/x", { entryPoint });
    return `${status} ${headers["location"] ?? ""}`;
  };
  assert.equal(await ask("usual"), "301 https://app.test:8443/x");
  assert.equal(await ask("plain"), "301 http://app.test:8080/x");
  assert.equal(await ask("passing"), "302 https://app.test:8443/x");
  assert.equal(await ask("humble"), "200 ");
});

test("http.middlewares: every router of the entry point goes through them", async () => {
  await using product = await startProduct({
    threads: 1,
    containers: [WHOAMI],
    file: "http: { middlewares: { mark: { headers: { customResponseHeaders: { X-Mark: web } } } } }",
    flags: ["--entryPoints.web.http.middlewares=mark@file"],
  });
  assert.equal((await product.get("app.test")).headers["x-mark"], "web");
});

test("http.tls: options, certResolver and domains reach the routers that say nothing of TLS", async (t) => {
  const store = mkdtempSync(join(tmpdir(), "waybill-test-"));
  t.after(() => rmSync(store, { recursive: true, force: true }));
  await using product = await startProduct({
    threads: 1,
    containers: [WHOAMI],
    file: "tls: { options: { old: { maxVersion: VersionTLS12 } } }",
    flags: [
      "--entryPoints.web.http.tls.options=old@file",
      "--entryPoints.web.http.tls.certResolver=internal",
      "--entryPoints.web.http.tls.domains[0].main=all.test",
      "--entryPoints.web.http.tls.domains[0].sans=also.test",
      // The internal authority keeps its keys in the store of the first resolver.
      `--certificatesResolvers.unused.acme.storage=${store}/acme.json`,
      "--certificatesResolvers.unused.acme.httpChallenge.entryPoint=web",
    ],
  });
  const socket = await secure(product, "app.test");
  assert.equal(socket.getProtocol(), "TLSv1.2");
  socket.destroy();
  const tls = product.runtime.report().routers.get("app@docker")?.effective[0]?.tls;
  assert.equal(tls?.certResolver, "internal");
  assert.deepEqual(
    tls?.domains.map(({ main, sans }) => [main, ...sans]),
    [["all.test", "also.test"]],
  );
});

async function secure(product: Product, servername: string) {
  const port = product.ports.get("web")!;
  const socket = connectTls({ port, host: "127.0.0.1", servername, rejectUnauthorized: false });
  await once(socket, "secureConnect");
  return socket;
}

test("observability: accessLogs, accessLogSampleRate, metrics, tracing and traceVerbosity are what its routers get", async () => {
  await using product = await startProduct({
    threads: 1,
    containers: [WHOAMI],
    flags: [
      "--entryPoints.web.observability.accessLogs=false",
      "--entryPoints.web.observability.accessLogSampleRate=0.25",
      "--entryPoints.web.observability.metrics=false",
      "--entryPoints.web.observability.tracing=false",
      "--entryPoints.web.observability.traceVerbosity=detailed",
    ],
  });
  const router = product.runtime.report().routers.get("app@docker")!.effective[0]!;
  assert.deepEqual(
    [router.accessLog, router.accessLogSampleRate, router.metrics, router.tracing, router.detailedTraces],
    [false, 0.25, false, false, true],
  );
});

test("allowACMEByPass: routers may take the path of challenges, and the redirection spares it", () => {
  const flags = (allowed: boolean) => [
    "--entryPoints.web.address=:80",
    "--entryPoints.web.http.redirections.entryPoint.to=:443",
    `--entryPoints.web.allowACMEByPass=${allowed}`,
  ];
  const routers = (allowed: boolean) => {
    const { settings } = loadSettings({ argv: flags(allowed), env: new Map(), cwd: "/", readFile: () => "" });
    const made = declareInternals(settings, registry, {
      adminSocket: undefined,
      challengeEntryPoints: ["web"],
      challengeTokens: ["token"],
    });
    return [...made.routers.values()].map(({ value }) => `${value.rule} ${value.priority}`).join("; ");
  };
  assert.match(routers(false), /^HostRegexp\(`\^\.\+\$`\) \d+; Path\(\S+\) 9223372036854775807$/);
  assert.match(routers(true), /^HostRegexp\(\S+ && !PathPrefix\(\S+ \d+; Path\(\S+\) 0$/);
});

test("http2.connectionWindow: the unread bytes that a client may send on one connection", async () => {
  const windowAt = async (entryPoint: Record<string, string>) => {
    const { port } = await plane(entryPoint);
    const session = connectHttp2(`http://127.0.0.1:${port}`);
    await once(session, "remoteSettings");
    while (session.state.remoteWindowSize === 65_535) await wait(5);
    const { remoteWindowSize } = session.state;
    session.destroy();
    return remoteWindowSize;
  };
  assert.equal(await windowAt({}), 1024 * 1024);
  assert.equal(await windowAt({ "http2.connectionWindow": "256KiB" }), 256 * 1024);
});

test("http2: what a client is told of its options", async () => {
  const told = async (entryPoint: Record<string, string>) => {
    const client = await RawClient.open((await plane(entryPoint)).port);
    open.push(client);
    const { payload } = (await client.find(({ type }) => type === TYPE.settings))!;
    const entries = new Map<number, number>();
    for (let at = 0; at < payload.length; at += 6)
      entries.set(payload.readUInt16BE(at), payload.readUInt32BE(at + 2));
    return [1, 3, 4, 6, 8].map((id) => entries.get(id));
  };
  assert.deepEqual(await told({}), [4096, 100, 64 * 1024, 32 * 1024, 1]);
  const changed = {
    "http2.maxDecoderHeaderTableSize": "1024",
    "http2.maxConcurrentStreams": "7",
    "http2.streamWindow": "128KiB",
    "http.maxHeaderBytes": "16KiB",
    "http.upgrades": "h2c",
  };
  assert.deepEqual(await told(changed), [1024, 7, 128 * 1024, 16 * 1024, undefined]);
});

test("http2.maxEncoderHeaderTableSize: without a table every reply says everything again", async () => {
  const lengths = async (entryPoint: Record<string, string>) => {
    const reply = "HTTP/1.1 200 OK\r\nX-Same: again and again\r\nContent-Length: 2\r\n\r\nok";
    const client = await RawClient.open((await plane(entryPoint, replying(reply))).port);
    open.push(client);
    for (const id of [1, 3]) {
      client.send(headers(id, GET_FIELDS));
      await client.verdict(id);
    }
    return [1, 3].map(
      (id) =>
        client.frames.find(({ type, stream }) => type === TYPE.headers && stream === id)!.payload.length,
    );
  };
  const [first, second] = await lengths({});
  assert.ok(second! < first!);
  const [alone, again] = await lengths({ "http2.maxEncoderHeaderTableSize": "0" });
  // The first one says, too, that the table has no room.
  assert.equal(alone, again! + 1);
});

test("http2.maxHeaderPairs: a request with more fields is refused", async () => {
  const client = await RawClient.open((await plane({ "http2.maxHeaderPairs": "6" })).port);
  open.push(client);
  client.send(headers(1, [...GET_FIELDS, ["a", "1"], ["b", "2"]]));
  client.send(headers(3, [...GET_FIELDS, ["a", "1"], ["b", "2"], ["c", "3"]]));
  await Promise.all([client.verdict(1), client.verdict(3)]);
  assert.deepEqual([...client.statuses(1), ...client.statuses(3)], ["200", "431"]);
});

test("http2.streamResetBurst and streamResetRate: a client that cancels more loses its connection", async () => {
  const cancels = async (entryPoint: Record<string, string>, pauseMs: number) => {
    const client = await RawClient.open((await plane(entryPoint)).port);
    open.push(client);
    for (let id = 1; id <= 25; id += 2) {
      client.send(headers(id, GET_FIELDS, false), reset(id));
      await wait(pauseMs);
    }
    client.send(ping());
    const end = await client.find(
      ({ type, flags }) => type === TYPE.goaway || (type === TYPE.ping && flags === ACK),
    );
    return end!.type === TYPE.goaway ? end!.payload.readUInt32BE(4) : "goes on";
  };
  const burst = { "http2.streamResetBurst": "11" };
  assert.equal(await cancels({ ...burst, "http2.streamResetRate": "0" }, 0), CODE.calm);
  assert.equal(await cancels({ ...burst, "http2.streamResetBurst": "13" }, 0), "goes on");
  assert.equal(await cancels({ ...burst, "http2.streamResetRate": "1000" }, 20), "goes on");
});
