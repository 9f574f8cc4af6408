import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { after, test } from "node:test";
import {
  OK,
  Plane,
  type PlaneOptions,
  RawBackend,
  replies,
  replying,
  TestServer,
  talk,
} from "../gateway/plane.ts";
import { startDeaf } from "./deaf.ts";

const open: { close(): void }[] = [];
after(() => {
  for (const one of open) one.close();
});

async function backend(one: RawBackend): Promise<RawBackend> {
  open.push(one);
  return one.start();
}

async function plane(backends: readonly RawBackend[], options: PlaneOptions = {}): Promise<Plane> {
  const servers = backends.map(({ port }) => new TestServer(port));
  const one = await new Plane({ servers, ...options }).start();
  open.push(one);
  return one;
}

const GET = "GET /x HTTP/1.1\r\nHost: a.example\r\n\r\n";
const CLOSE = "GET /x HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n";
const status = (text: string) => Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]);

/** Replies with the text and then does something to the socket. */
const then = (reply: string, after: (backend: RawBackend) => void) =>
  new RawBackend((socket, _chunk, all, self) => {
    if (!all.endsWith("\r\n\r\n")) return;
    socket.write(reply, "latin1", () => after(self));
  });

const reset = (self: RawBackend) => self.sockets.at(-1)!.resetAndDestroy();
const end = (self: RawBackend) => self.sockets.at(-1)!.end();
const nothing = () => {};

test("BE-01 a refused connection is tried on the next server, whatever the method", async () => {
  const good = await backend(replying(OK));
  const dead = new TestServer(1);
  const p = await plane([], { servers: [dead, new TestServer(good.port)] });
  const text = await talk(
    p.port,
    "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi",
  );
  assert.equal(status(text), 200);
  assert.equal(p.done[0]!.attempts, 2);
});

test("BE-01 without another server a refused connection is 502, and says so in one word", async () => {
  const p = await plane([], { servers: [new TestServer(1)] });
  assert.equal(status(await talk(p.port, CLOSE)), 502);
  assert.equal(p.done[0]!.fault?.code, "connect-failed");
  assert.equal(p.done[0]!.status, 502);
});

test("BE-01 a name that cannot be resolved is 502", async () => {
  const p = await plane([], { servers: [new TestServer(80, { host: "no-such-host.invalid" })] });
  assert.equal(status(await talk(p.port, CLOSE, undefined, 20_000)), 502);
  assert.equal(p.done[0]!.fault?.code, "dns-failed");
});

test("BE-03 BE-16 a stale connection costs an idempotent request nothing", async () => {
  let first = true;
  const flaky = await backend(
    new RawBackend((socket, _chunk, all) => {
      const requests = all.split("\r\n\r\n").length - 1;
      if (requests === 1) socket.write(OK);
      else if (first) {
        first = false;
        socket.resetAndDestroy();
      }
    }),
  );
  const p = await plane([flaky]);
  const text = await talk(p.port, [GET, CLOSE].join(""));
  assert.equal(text.match(/HTTP\/1\.1 200/g)?.length, 2);
  assert.equal(p.done[1]!.attempts, 2);
  assert.equal(flaky.connections, 2);
});

test("BE-03 a stale connection under a POST is 502, because nobody knows what the server did", async () => {
  const flaky = await backend(
    new RawBackend((socket, _chunk, all) => {
      if (all.split("\r\n\r\n").length - 1 === 1) socket.write(OK);
      else socket.resetAndDestroy();
    }),
  );
  const p = await plane([flaky]);
  const post = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
  const text = await talk(p.port, GET + post);
  assert.deepEqual(
    [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map((m) => m[1]),
    ["200", "502"],
  );
});

test("BE-04 a reset before the reply on a fresh connection is tried once on another server", async () => {
  const bad = await backend(then("", reset));
  const good = await backend(replying(OK));
  const p = await plane([bad, good]);
  assert.equal(status(await talk(p.port, CLOSE)), 200);
  const alone = await plane([bad]);
  assert.equal(status(await talk(alone.port, CLOSE)), 502);
  // Nobody knows what the first one did with a POST.
  const before = good.received.length;
  const p2 = await plane([bad, good]);
  const post = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
  assert.equal(status(await talk(p2.port, post)), 502);
  assert.equal(good.received.length, before);
});

test("BE-16 a server that closes its kept connections whenever it likes costs no GET its answer", async () => {
  let turn = 0;
  const restless = await backend(
    new RawBackend((socket) => {
      socket.write(OK);
      const next = ++turn % 5;
      if (next === 0) socket.end();
      else if (next === 1) setImmediate(() => socket.end());
      else if (next === 2) setTimeout(() => socket.end(), 1);
    }),
  );
  const p = await plane([restless]);
  const statuses = new Set<number>();
  const client = connect(p.port, "127.0.0.1");
  for (let i = 0; i < 300; i++) {
    client.write(GET);
    statuses.add(status(String(await once(client, "data"))));
  }
  client.destroy();
  assert.deepEqual([...statuses], [200]);
  assert.ok(restless.connections > 50);
});

test("HD-11 hop-by-hop headers of a reply, and those it names, go no further", async () => {
  const hops =
    "Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: x\r\nProxy-Authenticate: Basic\r\nProxy-Authorization: x\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\nTrailer: x\r\n";
  const p = await plane([await backend(replying(OK.replace("\r\n", `\r\n${hops}X-End: 1\r\n`)))]);
  const text = await talk(p.port, GET, replies(1));
  assert.match(text, /X-End: 1/);
  assert.doesNotMatch(text, /hop|keep-alive|proxy-|upgrade|http2-settings|trailer/i);
});

for (const [name, reply] of [
  ["with a length", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"],
  ["in chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"],
] as const) {
  for (const [way, cut] of [
    ["reset", reset],
    ["end", end],
  ] as const) {
    test(`BE-05 a body ${name} that is cut by a ${way} is cut for the client too`, async () => {
      const p = await plane([await backend(then(reply, (self) => setTimeout(cut, 20, self)))]);
      const text = await talk(p.port, GET);
      assert.ok(text.includes("half") && !text.endsWith("0\r\n\r\n"));
      assert.equal(p.done[0]?.fault?.code ?? "upstream-truncated", "upstream-truncated");
    });
  }
}

test("BE-06 a server that never answers is 504", async () => {
  const p = await plane([await backend(new RawBackend(nothing))], {
    transport: { "forwardingTimeouts.responseHeaderTimeout": "50ms" },
  });
  assert.equal(status(await talk(p.port, CLOSE)), 504);
  assert.equal(p.done[0]!.fault?.code, "upstream-timeout");
});

test("BE-07 a body that stops is cut off, an event stream is not", async () => {
  const timeouts = { transport: { "forwardingTimeouts.idleReadTimeout": "60ms" } };
  const plain = await plane(
    [await backend(then("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", nothing))],
    timeouts,
  );
  assert.ok((await talk(plain.port, GET)).endsWith("half"));
  while (plain.done.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(plain.done[0]!.fault?.code, "upstream-stalled");
  const event =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n";
  const events = await backend(
    then(event, (self) => setTimeout(() => self.sockets[0]!.write("3\r\ntwo\r\n"), 250)),
  );
  const stream = await plane([events], timeouts);
  const text = await talk(stream.port, GET, (sofar) => sofar.includes("two"));
  assert.ok(text.includes("one"));
});

const MALFORMED = [
  ["BE-08", "garbage", "\x16\x03\x01 nonsense\r\n\r\n"],
  ["BE-08", "HTTP/0.9", "<html>hello</html>"],
  ["BE-08", "HTTP/2.0", "HTTP/2.0 200 OK\r\n\r\n"],
  ["BE-08", "a status of two digits", "HTTP/1.1 99 Low\r\n\r\n"],
  ["BE-08", "a status of letters", "HTTP/1.1 abc OK\r\n\r\n"],
  ["BE-08", "a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n"],
  ["BE-08", "no empty line", "HTTP/1.1 200 OK\r\nContent-Length 0\r\n\r\n"],
  ["BE-09", "a folded line", "HTTP/1.1 200 OK\r\nX-A: 1\r\n 2\r\nContent-Length: 0\r\n\r\n"],
  ["BE-09", "a bad length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"],
  [
    "BE-09",
    "both lengths",
    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
  ],
  ["BE-09", "two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n"],
  ["BE-09", "another coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"],
  ["BE-09", "bare line ends", "HTTP/1.1 200 OK\nContent-Length: 0\n\r\n\r\n"],
  ["BE-10", "a flood of interim replies", "HTTP/1.1 103 Early\r\n\r\n".repeat(40) + OK],
  [
    "BE-11",
    "101 that was not asked for",
    "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
  ],
  ["BE-12", "a head that is too large", `HTTP/1.1 200 OK\r\nX-A: ${"a".repeat(70_000)}\r\n\r\n`],
  ["BE-12", "too many headers", `HTTP/1.1 200 OK\r\n${"X-A: 1\r\n".repeat(201)}\r\n`],
  [
    "HD-19",
    "Connection that names Set-Cookie",
    "HTTP/1.1 200 OK\r\nConnection: Set-Cookie\r\nContent-Length: 0\r\n\r\n",
  ],
  ["HD-19", "CR in a value", "HTTP/1.1 200 OK\r\nX-A: a\rb\r\nContent-Length: 0\r\n\r\n"],
] as const;

for (const [row, about, reply] of MALFORMED) {
  test(`${row} a reply with ${about} is 502, and its connection is not used again`, async () => {
    const bad = await backend(then(reply, nothing));
    const p = await plane([bad]);
    const text = await talk(p.port, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", replies(1));
    const final = [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map((m) => m[1]).filter((s) => s !== "103");
    assert.deepEqual(final, ["502"]);
    assert.equal(p.upstream.open, 0);
  });
}

test("H1-33 a malformed reply has the same end wherever it is cut", { timeout: 120_000 }, async () => {
  let reply = "";
  let at = 0;
  const cut = await backend(
    new RawBackend((socket) => {
      socket.write(reply.slice(0, at), "latin1", () =>
        setImmediate(() => void (socket.destroyed || socket.write(reply.slice(at), "latin1"))),
      );
    }),
  );
  const p = await plane([cut]);
  const differ: string[] = [];
  const post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
  for (const [row, about, bytes] of MALFORMED) {
    if (bytes.length > 300) continue;
    for (at = 1; at < bytes.length; at++) {
      reply = bytes;
      const text = await talk(p.port, post);
      if (status(text) !== 502 || p.upstream.open > 0) differ.push(`${row} ${about} at ${at}`);
    }
  }
  assert.deepEqual(differ, []);
});

test("BE-09 a bad chunk after the head cuts the reply short", async () => {
  const p = await plane([
    await backend(then("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\nzz\r\n", nothing)),
  ]);
  const text = await talk(p.port, GET);
  assert.ok(!text.endsWith("0\r\n\r\n"));
  assert.equal(p.upstream.open, 0);
});

test("BE-10 103 is passed on, 100 is not", async () => {
  const early = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
  const p = await plane([await backend(replying(early + OK))]);
  const text = await talk(p.port, CLOSE);
  assert.match(text, /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a>\r\n\r\nHTTP\/1\.1 200 OK/);
});

for (const [about, request, reply] of [
  ["HEAD", "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"],
  ["204", GET, "HTTP/1.1 204 No Content\r\n\r\nhello"],
  ["304", GET, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello"],
] as const) {
  test(`BE-13 a body where ${about} allows none is dropped with its connection`, async () => {
    const p = await plane([await backend(replying(reply))]);
    const text = await talk(p.port, request, (sofar) => sofar.includes("\r\n\r\n"));
    assert.ok(!text.includes("hello"));
    assert.equal(p.upstream.open, 0);
  });
}

test("BE-14 bytes after a reply never reach the next request", async () => {
  const poison = await backend(replying(`${OK}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison`));
  const p = await plane([poison]);
  const text = await talk(p.port, [GET, GET, CLOSE].join(""));
  assert.ok(!text.includes("poison"));
  assert.equal(text.match(/200 OK/g)?.length, 3);
  assert.equal(poison.connections, 3);
});

test("BE-14 bytes on an idle connection destroy it", async () => {
  const talkative = await backend(then(OK, (self) => setTimeout(() => self.sockets[0]!.write(OK), 20)));
  const p = await plane([talkative]);
  await talk(p.port, GET, replies(1));
  while (p.upstream.open > 0) await new Promise((resolve) => setTimeout(resolve, 5));
});

test("BE-15 a reply before the request is read is passed on, and the connection is not used again", async () => {
  const hasty = await backend(
    new RawBackend((socket, _chunk, all) => {
      if (all.length < 1000) socket.write("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
    }),
  );
  const p = await plane([hasty]);
  const text = await talk(
    p.port,
    ["POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n", "x"],
    (sofar) => sofar.includes("\r\n\r\n"),
  );
  assert.equal(status(text), 413);
  assert.equal(p.upstream.open, 0);
});

for (const [about, reply] of [
  ["HTTP/1.0 without a length", "HTTP/1.0 200 OK\r\n\r\nhello"],
  ["Connection: close without a length", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello"],
] as const) {
  test(`BE-17 ${about} is read to the end and sent in chunks`, async () => {
    const p = await plane([await backend(then(reply, end))]);
    const text = await talk(p.port, GET, replies(1));
    assert.match(text, /Transfer-Encoding: chunked/);
    assert.ok(text.includes("hello") && text.endsWith("0\r\n\r\n"));
    assert.equal(p.upstream.open, 0);
  });
}

test("BE-18 trailers are passed on to a client that takes them, without those that frame or route", async () => {
  const reply =
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nGrpc-Status: 0\r\nContent-Length: 5\r\nX-Forwarded-For: 1\r\n\r\n";
  const p = await plane([await backend(replying(reply))]);
  const taken = await talk(
    p.port,
    CLOSE.replace("Connection: close", "Connection: close, TE\r\nTE: trailers"),
  );
  assert.ok(taken.endsWith("0\r\nGrpc-Status: 0\r\n\r\n"));
  assert.ok((await talk(p.port, CLOSE)).endsWith("0\r\n\r\n"));
});

test("BE-23 BE-24 the connections of a server that is gone are destroyed, those at work when they are done", async () => {
  let answer = () => {};
  const slow = await backend(
    new RawBackend((socket, _chunk, all) => {
      if (all.includes("/slow")) answer = () => socket.write(OK);
      else socket.write(OK);
    }),
  );
  const p = await plane([slow]);
  await talk(p.port, GET, replies(1));
  const under = talk(p.port, "GET /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  while (!slow.text.includes("/slow")) await new Promise((resolve) => setTimeout(resolve, 5));
  p.upstream.forget([`test:127.0.0.1:${slow.port}`]);
  answer();
  assert.equal(status(await under), 200);
  while (!slow.sockets.every((socket) => socket.destroyed || socket.readableEnded))
    await new Promise((resolve) => setTimeout(resolve, 5));
});

test("a server that is not there any more is not asked again on an old connection", async () => {
  const p = await plane([await backend(then(OK, (self) => setTimeout(end, 10, self)))]);
  await talk(p.port, GET, replies(1));
  while (p.upstream.open > 0) await new Promise((resolve) => setTimeout(resolve, 5));
});

// By default it is five seconds.
// Less than the limit without the option.
test("BE-02 a server that never accepts is 504, or another one is asked", { timeout: 4500 }, async () => {
  const deaf = await startDeaf();
  open.push(deaf);
  const { port } = deaf;
  const transport = { "forwardingTimeouts.dialTimeout": "80ms" };
  const p = await plane([], { servers: [new TestServer(port)], transport });
  assert.equal(status(await talk(p.port, CLOSE)), 504);
  assert.equal(p.done[0]!.fault?.code, "connect-timeout");
  const good = await backend(replying(OK));
  const two = await plane([], { servers: [new TestServer(port), new TestServer(good.port)], transport });
  assert.equal(status(await talk(two.port, CLOSE)), 200);
});

test("connections are bounded, waiting requests get them in turn", async () => {
  const busy = await backend(
    new RawBackend((socket, chunk) => {
      const count = chunk.toString("latin1").split("\r\n\r\n").length - 1;
      setTimeout(() => socket.write(OK.repeat(count)), 10);
    }),
  );
  const p = await plane([busy], { transport: { maxConnsPerHost: "2" } });
  const texts = await Promise.all(Array.from({ length: 8 }, () => talk(p.port, CLOSE)));
  assert.ok(texts.every((text) => status(text) === 200));
  assert.equal(busy.connections, 2);
});
