import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { after, test } from "node:test";
import { callService } from "../../src/gateway/call.ts";
import { gatherReply, gatherRequest } from "../../src/gateway/gather.ts";
import { type Exchange, reply } from "../../src/model/exchange.ts";
import type { Hooks, RetryPolicy } from "../../src/model/middleware.ts";
import {
  everything,
  OK,
  Plane,
  type PlaneOptions,
  RawBackend,
  replies,
  replying,
  routeTo,
  TestServer,
  talk,
} from "./plane.ts";

const open: { close(): void }[] = [];
after(() => {
  for (const one of open) one.close();
});

async function setUp(backend: RawBackend, options: PlaneOptions = {}): Promise<Plane> {
  open.push(await backend.start());
  const plane = await new Plane({ servers: [new TestServer(backend.port)], ...options }).start();
  open.push(plane);
  return plane;
}

const GET = "GET /x HTTP/1.1\r\nHost: a.example\r\n\r\n";
const CLOSE = "GET /x HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n";
const status = (text: string) => Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]);
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Collects whole requests with a body of the given length and answers each. */
const taking = (length: number) =>
  new RawBackend((socket, _chunk, all) => {
    if (all.length - all.indexOf("\r\n\r\n") - 4 >= length) socket.write(OK);
  });

test("bodies travel in both directions, with a length and in chunks", async () => {
  const backend = taking(10);
  const plane = await setUp(backend);
  const text = await talk(
    plane.port,
    ["POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234", "56789"],
    replies(1),
  );
  assert.equal(status(text), 200);
  assert.ok(backend.text.endsWith("Content-Length: 10\r\n\r\n0123456789"));
  assert.equal(plane.done[0]!.requestBytes, 10);
  assert.equal(plane.done[0]!.replyBytes, 2);
});

test("H1-27 chunks are framed anew", async () => {
  const backend = new RawBackend((socket, _chunk, all) => {
    if (all.endsWith("0\r\nA: b\r\n\r\n")) socket.write(OK);
  });
  const plane = await setUp(backend);
  await talk(
    plane.port,
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0005;x=y\r\nhello\r\n0\r\nA:b \r\n\r\n",
    replies(1),
  );
  assert.ok(backend.text.endsWith("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n"));
});

for (const [how, head] of [
  ["of known length", "Content-Length: 20"],
  ["in chunks", "Transfer-Encoding: chunked"],
] as const) {
  test(`a body ${how} waits until its sink wants more, from its first bytes on`, async () => {
    const parts: string[] = [];
    let isBusy = false;
    const reads: Hooks = {
      onRequest: ({ requestBody }) =>
        new Promise((resolve, reject) => {
          requestBody.flow({
            data(chunk) {
              if (isBusy) reject(new Error("more, although it was not asked for"));
              isBusy = true;
              parts.push(chunk.toString("latin1"));
              setTimeout(() => {
                isBusy = false;
                requestBody.resume();
              }, 50);
              return false;
            },
            end: () => resolve(reply(200, "test", [], parts.join(""))),
            fail: (fault) => reject(new Error(fault.code)),
          });
        }),
    };
    const plane = await setUp(taking(0), { hooks: [reads] });
    const part = (text: string) => (how === "in chunks" ? `5\r\n${text}\r\n` : text);
    const pieces = ["first", "other", "third", "final"].map(part);
    pieces[0] = `POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${head}\r\n\r\n${pieces[0]}`;
    if (how === "in chunks") pieces.push("0\r\n\r\n");
    const text = await talk(plane.port, pieces);
    assert.deepEqual(plane.errors, []);
    assert.ok(text.endsWith("firstotherthirdfinal"), text);
  });
}

test("H1-24 no byte of a request with a bad first chunk reaches a server", async () => {
  const backend = taking(0);
  const plane = await setUp(backend);
  const text = await talk(
    plane.port,
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
  );
  assert.equal(status(text), 400);
  assert.equal(backend.text, "");
});

test("H1-24 after a bad later chunk the server's connection is destroyed and the client's closed", async () => {
  const backend = new RawBackend(() => {});
  const plane = await setUp(backend);
  const text = await talk(plane.port, [
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    "zz\r\n",
  ]);
  assert.equal(status(text), 400);
  assert.ok(!backend.text.endsWith("0\r\n\r\n"));
  assert.equal(plane.upstream.open, 0);
});

test("H1-30 an unread body does not become the next request", async () => {
  const hooks: Hooks[] = [
    { onRequest: (exchange) => (exchange.method === "POST" ? reply(401, "no") : undefined) },
  ];
  const plane = await setUp(replying(OK), { hooks });
  const smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
  const text = await talk(
    plane.port,
    `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}${CLOSE}`,
  );
  assert.deepEqual(
    [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map((m) => m[1]),
    ["401", "200"],
  );
  assert.deepEqual(
    plane.done.map(({ path }) => path),
    ["/", "/x"],
  );
});

test("H1-30 a body that is too large to throw away ends the connection", async () => {
  const plane = await setUp(replying(OK), { hooks: [{ onRequest: () => reply(413, "no") }] });
  const text = await talk(plane.port, [
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n",
    "x".repeat(1000),
  ]);
  assert.equal(status(text), 413);
  assert.match(text, /Connection: close/);
});

test("H1-31 100 Continue is said once, when the body is wanted", async () => {
  const plane = await setUp(taking(2));
  const expecting =
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n";
  const socket = connect(plane.port, "127.0.0.1");
  socket.write(expecting);
  const [first] = (await once(socket, "data")) as [Buffer];
  assert.equal(first.toString(), "HTTP/1.1 100 Continue\r\n\r\n");
  socket.write("hi");
  const [second] = (await once(socket, "data")) as [Buffer];
  assert.equal(status(second.toString()), 200);
  socket.destroy();
  const refusing = await setUp(replying(OK), { hooks: [{ onRequest: () => reply(401, "no") }] });
  const text = await talk(refusing.port, expecting.replace("Connection: close\r\n", ""));
  assert.match(text, /^HTTP\/1\.1 401/);
  assert.match(text, /Connection: close/);
});

test("a HEAD reply keeps its length and has no body", async () => {
  const plane = await setUp(replying("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"));
  const text = await talk(plane.port, "HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  assert.match(text, /Content-Length: 5\r\n/);
  assert.ok(text.endsWith("\r\n\r\n"));
});

test("an HTTP/1.0 client gets a body without chunks, and its end", async () => {
  const plane = await setUp(
    replying("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
  );
  const text = await talk(plane.port, "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
  assert.ok(!/transfer-encoding/i.test(text));
  assert.ok(text.endsWith("\r\n\r\nhello"));
});

test("an event goes to the client before the next one is there", async () => {
  const head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
  const backend = new RawBackend((socket) => socket.write(`${head}b\r\ndata: one\n\n\r\n`));
  const plane = await setUp(backend);
  const text = await talk(plane.port, GET, (sofar) => sofar.includes("data: one"));
  assert.ok(text.includes("b\r\ndata: one\n\n\r\n"));
});

test("a head whose body does not come yet is not held back for long", async () => {
  const plane = await setUp(
    new RawBackend((socket) => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")),
  );
  const text = await talk(plane.port, GET, (sofar) => sofar.includes("\r\n\r\n"));
  assert.equal(status(text), 200);
});

test("PR-09 an unknown host is 404, as people expect it, and touches no server", async () => {
  const backend = replying(OK);
  const plane = await setUp(backend);
  const get = "GET / HTTP/1.1\r\nHost: unknown.example\r\nConnection: close\r\n";
  assert.ok((await talk(plane.port, `${get}\r\n`)).endsWith("\r\n\r\n404 page not found\n"));
  const json = await talk(plane.port, `${get}Accept: application/json\r\n\r\n`);
  assert.match(json, /application\/problem\+json[\s\S]*"status":404/);
  assert.match(await talk(plane.port, `${get}Accept: text/html,*/*\r\n\r\n`), /<title>404 Not Found/);
  assert.equal(backend.connections, 0);
});

test("a HEAD request that is refused has the head of the answer only", async () => {
  const plane = await setUp(replying(OK));
  for (const target of ["/a%2fb", "/unrouted"]) {
    const host = target === "/unrouted" ? "unknown.example" : "a";
    const text = await talk(
      plane.port,
      `HEAD ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
    );
    assert.match(text, /^HTTP\/1\.1 4[\s\S]*\r\n\r\n$/);
    assert.match(text, /Content-Length: [1-9]/);
  }
});

test("HD-03 a list of a thousand addresses, junk among them, is passed on whole by a trusted peer and dropped from others", async () => {
  const junk = ["192.0.2.1:80", "fe80::1%eth0", "", "[2001:db8::1]:443", "x", "1.2.3.4.5"];
  const list = Array.from({ length: 1000 }, (_, i) => junk[i % junk.length]).join(", ");
  const asking = `GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: ${list}\r\nConnection: close\r\n\r\n`;
  for (const trusted of [true, false]) {
    const backend = replying(OK);
    const entryPoint = { "forwardedHeaders.insecure": String(trusted) };
    const plane = await setUp(backend, { entryPoint });
    assert.equal(status(await talk(plane.port, asking)), 200);
    const sent = /^X-Forwarded-For: (.*)$/m.exec(backend.text)![1]!.trimEnd();
    assert.equal(sent, trusted ? `${list}, 127.0.0.1` : "127.0.0.1");
  }
});

test("HD-12 a request that comes through this proxy again and again is 508", async () => {
  let plane!: Plane;
  const backend = new RawBackend((socket, chunk) => {
    const inner = connect(plane.port, "127.0.0.1", () => inner.write(chunk));
    inner.on("error", () => {});
    inner.pipe(socket);
  });
  plane = await setUp(backend);
  assert.equal(status(await talk(plane.port, CLOSE)), 508);
  assert.ok(plane.done.length < 12);
});

test("hooks run in order, replies meet them backwards, and each ends once", async () => {
  const log: string[] = [];
  const hook = (name: string, stop = false): Hooks => ({
    async onRequest() {
      log.push(`${name} request`);
      return stop ? reply(418, "stop") : undefined;
    },
    onResponse: () => void log.push(`${name} response`),
    onDone: () => void log.push(`${name} done`),
  });
  const plane = await setUp(replying(OK), { hooks: [hook("a"), hook("b", true), hook("c")] });
  assert.equal(status(await talk(plane.port, CLOSE)), 418);
  assert.deepEqual(log, ["a request", "b request", "b response", "a response", "b done", "a done"]);
});

test("a router's children are matched after its hooks, and their hooks go on from there", async () => {
  const log: string[] = [];
  const hook = (name: string): Hooks => ({
    onRequest(exchange) {
      log.push(`${name} request`);
      exchange.headers.push("X-Seen-By", name);
      return undefined;
    },
    onResponse: () => void log.push(`${name} response`),
    onDone: () => void log.push(`${name} done`),
  });
  const plane = await setUp(replying(OK), {
    table: (service) => {
      const parent = routeTo(service, [hook("parent")]);
      const child = { ...parent, name: "parent -> child", hooks: [...parent.hooks, hook("child")] };
      const children = {
        match: ({ path, headers }: Exchange) =>
          path === "/child" && headers.includes("parent") ? child : undefined,
      };
      return { match: () => ({ ...parent, children }) };
    },
  });
  assert.equal(status(await talk(plane.port, CLOSE.replace("/x", "/child"))), 200);
  const all = ["parent request", "child request", "child response", "parent response"];
  assert.deepEqual(log.splice(0), [...all, "child done", "parent done"]);
  assert.equal(plane.done[0]?.route?.name, "parent -> child");
  assert.equal(status(await talk(plane.port, CLOSE)), 404);
  assert.equal(plane.done[1]?.fault?.code, "no-route");
  assert.deepEqual(log, ["parent request", "parent response", "parent done"]);
});

test("RS-09 a hook that throws or rejects spoils its own request only", async () => {
  for (const onRequest of [
    () => {
      throw new Error("broken");
    },
    () => Promise.reject(new Error("broken")),
  ]) {
    const plane = await setUp(replying(OK), { hooks: [{ onRequest }] });
    assert.equal(status(await talk(plane.port, CLOSE)), 500);
    assert.equal(plane.errors.length, 1);
    assert.equal(plane.done[0]!.fault?.code, "internal");
  }
});

test("HD-10 a header that a middleware has set and that would break the head is not sent, either way", async () => {
  const asking: Hooks = { onRequest: ({ headers }) => void headers.push("X-Bad", "a\r\nX-Injected: b") };
  const backend = replying(OK);
  const plane = await setUp(backend, { hooks: [asking] });
  assert.equal(status(await talk(plane.port, CLOSE)), 500);
  assert.equal(backend.text, "");
  const replyHooks: Hooks = { onResponse: ({ replyHeaders }) => void replyHeaders.push("X-Bad\n", "a") };
  const answering = await setUp(replying(OK), { hooks: [replyHooks] });
  const text = await talk(answering.port, CLOSE);
  assert.equal(status(text), 500);
  assert.doesNotMatch(text, /X-Bad/);
});

test("HD-10 a bad header is found wherever a middleware puts it among those that were received", async () => {
  const changes: ((headers: string[]) => void)[] = [
    (headers) => headers.unshift("X-Bad\r", "a"),
    (headers) => headers.splice(2, 2, "X-A", "a\nb"),
    (headers) => headers.splice(0, 4, "X-\u0130", "a"),
    (headers) => (headers[1] = "\0"),
    (headers) => headers.push(headers[0]!, headers[1]!, headers[0]!, "a\r\n\r\n"),
    (headers) => headers.reverse().push("a\n"),
  ];
  const head = "GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nX-B: 2\r\nX-A: 3\r\nConnection: close\r\n\r\n";
  const answer = "HTTP/1.1 200 OK\r\nX-A: 1\r\nX-B: 2\r\nX-A: 3\r\nContent-Length: 0\r\n\r\n";
  for (const change of changes) {
    const backend = replying(answer);
    const asking = await setUp(backend, { hooks: [{ onRequest: ({ headers }) => void change(headers) }] });
    assert.equal(status(await talk(asking.port, head)), 500);
    assert.equal(backend.text, "");
    const hooks: Hooks[] = [{ onResponse: ({ replyHeaders }) => void change(replyHeaders) }];
    const answering = await setUp(replying(answer), { hooks });
    assert.equal(status(await talk(answering.port, head)), 500);
  }
  const good: Hooks = { onRequest: ({ headers }) => void headers.reverse().splice(0, 2) };
  const plane = await setUp(replying(answer), { hooks: [good] });
  assert.equal(status(await talk(plane.port, head)), 200);
});

test("a hook may replace the reply, whose body is thrown away", async () => {
  const plane = await setUp(replying(OK), {
    hooks: [{ onResponse: () => reply(503, "other", [], "other") }],
  });
  const text = await talk(plane.port, [GET, CLOSE].join(""));
  assert.deepEqual(
    [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map((m) => m[1]),
    ["503", "503"],
  );
});

test("a hook that waits before the reply loses none of its bytes", async () => {
  const body = "x".repeat(300_000);
  const plane = await setUp(replying(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`), {
    hooks: [{ onResponse: async () => void (await wait(20)) }],
  });
  const text = await talk(plane.port, CLOSE);
  assert.equal(text.length - text.indexOf("\r\n\r\n") - 4, body.length);
});

test("bodies are gathered when a hook asks, and go on whole when they are too large", async () => {
  const seen: (number | undefined)[] = [];
  const hooks: Hooks[] = [
    {
      onRequest: async (exchange) => void seen.push((await gatherRequest(exchange, 1000))?.length),
      onResponse: async (exchange) => void seen.push((await gatherReply(exchange, 1000))?.length),
    },
  ];
  for (const length of [10, 100_000]) {
    for (const chunked of [false, true]) {
      const body = "x".repeat(length);
      const backend = new RawBackend((socket, _chunk, all) => {
        if ((all.match(/x/g)?.length ?? 0) >= length && /x(?:\r\n0\r\n\r\n)?$/.test(all)) {
          socket.write(
            `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
          );
        }
      });
      const plane = await setUp(backend, { hooks });
      const head = `POST / HTTP/1.1\r\nHost: a\r\n${chunked ? "Transfer-Encoding: chunked" : `Content-Length: ${length}`}\r\n\r\n`;
      const bytes = chunked ? `${length.toString(16)}\r\n${body}\r\n0\r\n\r\n` : body;
      const text = await talk(plane.port, [head, bytes], replies(1));
      assert.equal(text.match(/x/g)!.length, length);
      const sent = backend.text.slice(backend.text.indexOf("\r\n\r\n"));
      assert.equal(sent.match(/x/g)!.length, length);
    }
  }
  assert.deepEqual(seen, [10, 10, 10, 10, undefined, undefined, undefined, undefined]);
});

test("transforms change bodies on their way", async () => {
  const upper: Hooks = {
    onRequest(exchange) {
      exchange.requestTransforms = [
        (sink) => ({
          ...bound(sink),
          data: (chunk) => sink.data(Buffer.from(chunk.toString().toUpperCase())),
        }),
      ];
      return undefined;
    },
    onResponse(exchange) {
      exchange.replyTransforms = [
        (sink) => ({ ...bound(sink), data: (chunk) => sink.data(Buffer.from(`<${chunk}>`)) }),
      ];
      return undefined;
    },
  };
  const backend = new RawBackend((socket, _chunk, all) => {
    if (all.endsWith("0\r\n\r\n")) socket.write(OK);
  });
  const plane = await setUp(backend, { hooks: [upper] });
  const text = await talk(
    plane.port,
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    replies(1),
  );
  assert.ok(backend.text.endsWith("5\r\nHELLO\r\n0\r\n\r\n"));
  assert.ok(text.endsWith("4\r\n<ok>\r\n0\r\n\r\n"));
});

const bound = (sink: { end(t: string[] | undefined): void; fail(f: never): void }) => ({
  end: (trailers: string[] | undefined) => sink.end(trailers),
  fail: (fault: never) => sink.fail(fault),
});

const POLICY: RetryPolicy = {
  attemptsMax: 3,
  initialIntervalMs: 1,
  timeoutMs: 0,
  bodyBytesMax: 1000,
  onNetworkError: true,
  nonIdempotent: true,
  retryStatus: (code) => code === 503,
};

test("a retry policy repeats a request with its body", async () => {
  let count = 0;
  const backend = new RawBackend((socket, _chunk, all) => {
    if (!all.endsWith("hello")) return;
    socket.write(++count < 3 ? "HTTP/1.1 503 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" : OK);
  });
  const plane = await setUp(backend, { hooks: [{ retry: POLICY }] });
  const text = await talk(
    plane.port,
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    replies(1),
  );
  assert.equal(status(text), 200);
  assert.equal(plane.done[0]!.attempts, 3);
  assert.equal(backend.text.match(/hello/g)!.length, 3);
});

test("BE-22 repeated requests may be a fifth of all", async () => {
  const backend = replying("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n");
  const plane = await setUp(backend, { hooks: [{ retry: { ...POLICY, initialIntervalMs: 0 } }] });
  for (let i = 0; i < 50; i++) await talk(plane.port, GET, replies(1));
  const asked = backend.text.split("\r\n\r\n").length - 1;
  assert.ok(asked <= 50 + 10 + 50 * 0.2 + 1, `${asked} requests for 50`);
});

test("mirrors get a copy of the request and its body after the client has its reply", async () => {
  const copy = taking(5);
  open.push(await copy.start());
  const other = await setUp(replying(OK));
  const plane = await setUp(taking(5), {
    service: (leaf) => {
      const server = new TestServer(copy.port);
      const mirrored = { ...leaf, name: "copy@test", upstream: other.upstream, pick: () => server };
      const service = { name: "copy@test", available: () => true, choose: () => mirrored };
      return {
        name: "mirror@test",
        available: () => true,
        choose(exchange) {
          exchange.plan = { mirrors: [{ service, body: true, bodyBytesMax: -1 }], fallback: undefined };
          return leaf;
        },
      };
    },
  });
  await talk(plane.port, "POST /m HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", replies(1));
  while (!copy.text.endsWith("hello")) await wait(5);
  assert.match(copy.text, /^POST \/m HTTP\/1\.1\r\nHost: a\r\n/);
  assert.equal(copy.text.match(/X-Forwarded-For/g)!.length, 1);
});

const EVENTS = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n";
const NO_LIMITS = { requestMs: 0, idleMs: 0, connectMs: 0, bodyBytesMax: 0 };

for (const [by, limits] of [
  ["a minute", NO_LIMITS],
  ["the time that its service has", { ...NO_LIMITS, requestMs: 500 }],
] as const) {
  test(`a copy's reply that never ends is given up after ${by}`, { timeout: 30_000 }, async (t) => {
    const other = await replying(EVENTS).start();
    open.push(other);
    const server = new TestServer(other.port);
    const plane = await setUp(replying(OK), {
      service: (leaf) => {
        const mirrored = { ...leaf, name: "copy@test", limits, pick: () => server };
        const service = { name: "copy@test", available: () => true, choose: () => mirrored };
        const mirrors = [{ service, body: false, bodyBytesMax: -1 }];
        const choose = (exchange: Exchange) => {
          exchange.plan ??= { mirrors, fallback: undefined };
          return leaf;
        };
        return { name: "mirror@test", available: () => true, choose };
      },
    });
    assert.equal(status(await talk(plane.port, CLOSE)), 200);
    while (other.text === "") await wait(5);
    const ended = once(other.sockets[0]!, "end");
    await wait(50);
    assert.equal(server.inFlight, 1);
    const now = performance.now.bind(performance);
    if (by === "a minute") t.mock.method(performance, "now", () => now() + 61_000);
    await ended;
    assert.equal(server.inFlight, 0);
  });
}

test("a fallback answers instead of a reply with one of its statuses", async () => {
  const spare = await setUp(replying(OK));
  const plane = await setUp(replying("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"), {
    service: (leaf) => ({
      name: "failover@test",
      available: () => true,
      choose(exchange) {
        exchange.plan = {
          mirrors: [],
          fallback: { service: spare.service, when: (code) => code >= 500, bodyBytesMax: -1 },
        };
        return leaf;
      },
    }),
  });
  const text = await talk(
    plane.port,
    "POST /m HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    replies(1),
  );
  assert.equal(status(text), 200);
});

test("a middleware can call a service and have its whole reply", async () => {
  const page = await setUp(replying("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage"));
  const hooks: Hooks[] = [
    {
      async onResponse(exchange) {
        const request = { method: "GET", host: "a", path: "/500.html", query: undefined, headers: [] };
        const got = await callService(page.service, request, exchange, page.gateway);
        return { ...got, status: exchange.status };
      },
    },
  ];
  const plane = await setUp(replying("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"), { hooks });
  const text = await talk(plane.port, CLOSE);
  assert.equal(status(text), 500);
  assert.ok(text.endsWith("page"));
});

test("limits of a service bound bodies and time", async () => {
  const limits = { requestMs: 60, idleMs: 0, connectMs: 0, bodyBytesMax: 4 };
  const plane = await setUp(new RawBackend(() => {}), { limits });
  assert.equal(status(await talk(plane.port, CLOSE)), 504);
  const length = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello";
  assert.equal(status(await talk(plane.port, length)), 413);
  const chunks =
    "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
  assert.equal(status(await talk(plane.port, chunks)), 413);
});

test("RS-04 a request under way keeps the table it began with", async () => {
  const seen: string[] = [];
  const named = (name: string): Hooks => ({ onResponse: () => void seen.push(name) });
  let answer = () => {};
  const backend = new RawBackend((socket) => {
    answer = () => socket.write(OK);
  });
  const plane = await setUp(backend, { hooks: [named("old")] });
  const under = talk(plane.port, CLOSE);
  while (backend.text === "") await wait(5);
  plane.gateway.swap(everything(plane.service, [named("new")]));
  answer();
  await under;
  assert.deepEqual(seen, ["old"]);
});

test("RS-05 draining finishes what is under way, closes what is idle, and begins nothing", async () => {
  let answer = () => {};
  const backend = new RawBackend((socket, _chunk, all) => {
    if (all.includes("/slow")) answer = () => socket.write(OK);
    else socket.write(OK);
  });
  const plane = await setUp(backend);
  const idle = connect(plane.port, "127.0.0.1");
  idle.write(GET);
  await once(idle, "data");
  const under = talk(plane.port, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
  while (!backend.text.includes("/slow")) await wait(5);
  plane.entryPoint.drain();
  await once(idle, "end");
  answer();
  const text = await under;
  assert.match(text, /200 OK[\s\S]*Connection: close/);
  await assert.rejects(talk(plane.port, GET), /ECONNREFUSED/);
});

test("SL-11 a client that resets takes its request at the server with it", async () => {
  const backend = new RawBackend(() => {});
  const plane = await setUp(backend);
  const client = connect(plane.port, "127.0.0.1");
  client.write(GET);
  while (backend.text === "") await wait(5);
  client.resetAndDestroy();
  while (plane.done.length === 0) await wait(5);
  assert.equal(plane.done[0]!.fault?.code, "client-gone");
  assert.equal(plane.done[0]!.status, 499);
  assert.equal(plane.upstream.open, 0);
});

test("RS-17 SL-04 a client that does not read holds the server back", async () => {
  let sent = 0;
  const block = Buffer.alloc(64 * 1024);
  const backend = new RawBackend((socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${200e6}\r\n\r\n`);
    const more = () => {
      while (sent < 200e6 && !socket.destroyed) {
        sent += block.length;
        if (!socket.write(block)) return;
      }
    };
    socket.on("drain", more);
    more();
  });
  const plane = await setUp(backend);
  const client = connect(plane.port, "127.0.0.1");
  client.write(GET);
  await once(client, "connect");
  client.pause();
  await wait(300);
  const before = sent;
  assert.ok(before < 40e6, `${before} bytes were taken for a client that reads nothing`);
  let got = 0;
  client.on("data", (chunk: Buffer) => {
    got += chunk.length;
  });
  client.resume();
  while (got < 20e6) await wait(10);
  client.destroy();
});

test("RS-17 a server that does not read holds the client back", async () => {
  const backend = new RawBackend((socket) => socket.pause());
  const plane = await setUp(backend);
  const client = connect(plane.port, "127.0.0.1");
  client.on("error", () => {});
  client.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${200e6}\r\n\r\n`);
  let sent = 0;
  const block = Buffer.alloc(64 * 1024);
  const more = () => {
    while (sent < 100e6 && !client.destroyed) {
      sent += block.length;
      if (!client.write(block)) return;
    }
  };
  client.on("drain", more);
  more();
  await wait(300);
  assert.ok(sent - client.writableLength < 40e6, `${sent} bytes were taken for a server that reads nothing`);
  client.destroy();
});

test("large bodies arrive whole in both directions", async () => {
  const size = 20_000_000;
  const backend = new RawBackend(() => {});
  let received = 0;
  backend.server.removeAllListeners("connection");
  backend.server.on("connection", (socket) => {
    let head = true;
    socket.on("data", (chunk: Buffer) => {
      received += head ? chunk.length - chunk.indexOf("\r\n\r\n") - 4 : chunk.length;
      head = false;
      if (received < size) return;
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
      socket.write(Buffer.alloc(size, "r"));
    });
  });
  const plane = await setUp(backend);
  const client = connect(plane.port, "127.0.0.1");
  client.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`);
  client.write(Buffer.alloc(size, "q"));
  let got = 0;
  let headBytes = -1;
  while (headBytes < 0 || got - headBytes < size) {
    const [chunk] = (await once(client, "data")) as [Buffer];
    if (headBytes < 0) headBytes = chunk.indexOf("\r\n\r\n") + 4;
    got += chunk.length;
  }
  assert.equal(received, size);
  client.destroy();
});
