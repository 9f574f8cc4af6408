import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Exchange } from "../../src/model/exchange.ts";
import { eventually } from "../e2e/harness.ts";
import { answer, gather, Http2Port, sent } from "../listen/http2-site.ts";
import {
  block,
  CODE,
  END_HEADERS,
  END_STREAM,
  type Frame,
  frame,
  GET,
  headers,
  POST,
  RawClient,
  setting,
  TYPE,
  uint32,
} from "./http2-frames.ts";

let port: Http2Port;
let handler: (exchange: Exchange) => void;
const clients: RawClient[] = [];
const hello = (exchange: Exchange) => answer(exchange, 200, "hello");

before(async () => {
  handler = hello;
  port = await Http2Port.open((exchange) => handler(exchange));
});
afterEach(() => {
  handler = hello;
  port.record.clear();
  for (const client of clients.splice(0)) client.close();
});
after(() => port.close());

async function open(settings: Buffer = Buffer.alloc(0)): Promise<RawClient> {
  const client = await RawClient.open(port.port, settings);
  clients.push(client);
  return client;
}

async function alive(): Promise<void> {
  handler = hello;
  const client = await open();
  client.send(headers(1, GET));
  assert.equal(await client.verdict(1), "headers");
}

const rss = () => process.memoryUsage().rss / 1024 / 1024;

/** The header list is refused by a reset or by a 400, and nothing is handled. */
async function refused(fields: typeof GET, endStream = true): Promise<void> {
  const client = await open();
  client.send(headers(1, fields, endStream));
  const verdict = await client.verdict(1);
  assert.match(verdict, /^(?:reset 1|goaway 1|headers)$/, JSON.stringify(fields));
  assert.equal(port.record.handled.length, 0, JSON.stringify(fields));
  if (verdict === "headers") assert.equal(port.record.refused.at(-1)?.fault.status, 400);
  client.close();
}

const with_ = (...fields: (readonly [string, string])[]): typeof GET => [...GET, ...fields];
const without = (name: string): typeof GET => GET.filter(([field]) => field !== name);

test("a plain request is answered", alive);

test("H2-01 cancelling requests without end ends the connection, and what was begun is cancelled", async () => {
  handler = () => {};
  const client = await open();
  for (let id = 1; id < 20_000 && !client.closed; id += 2) {
    client.send(headers(id, GET), frame(TYPE.reset, 0, id, uint32(CODE.cancel)));
    if (id % 200 === 1) await sleep(1);
  }
  const code = await client.goaway();
  assert.ok(code === undefined || code === CODE.calm || code === CODE.internal, `code ${code}`);
  await client.find(() => false).catch(() => {});
  assert.ok(client.closed);
  await sleep(50);
  assert.ok(port.record.handled.length <= 1100, `${port.record.handled.length} handled`);
  assert.equal(port.record.left.length, port.record.handled.length);
  assert.equal(port.record.done.length, port.record.handled.length);
  await alive();
});

test("H2-02 making us reset streams has the same budget", async () => {
  const breakers: Record<string, (id: number) => Buffer> = {
    "a window update of nothing": (id) => frame(TYPE.window, 0, id, uint32(0)),
    "a window that overflows": (id) => frame(TYPE.window, 0, id, uint32(0x7fffffff)),
    "data after the end": (id) => frame(TYPE.data, 0, id, Buffer.from("x")),
  };
  handler = () => {};
  for (const [what, breaker] of Object.entries(breakers)) {
    port.record.handled.length = 0;
    const client = await open();
    for (let id = 1; id < 4000 && !client.closed; id += 2) {
      client.send(headers(id, POST, what === "data after the end"), breaker(id));
      if (id % 200 === 1) await sleep(1);
    }
    await client.find(() => false, 3000).catch(() => {});
    assert.ok(client.closed || client.frames.some(({ type }) => type === TYPE.goaway), what);
    assert.ok(port.record.handled.length <= 1100, what);
    client.close();
  }
  await sleep(50);
  assert.equal(port.record.left.length, port.record.done.length);
  await alive();
});

test("H2-03 continuations without end are cut off", async () => {
  for (const piece of [block([["x-a", "b".repeat(1000)]]), Buffer.alloc(0)]) {
    const client = await open();
    client.send(frame(TYPE.headers, END_STREAM, 1, block(GET)));
    let sent = 0;
    while (!client.closed && sent < 4000) {
      client.send(frame(TYPE.continuation, 0, 1, piece));
      if (++sent % 50 === 0) await sleep(1);
      if (client.frames.some(({ type }) => type === TYPE.goaway || type === TYPE.reset)) break;
    }
    assert.ok(sent < 4000, `${sent} continuations of ${piece.length} bytes`);
    client.close();
  }
  assert.equal(port.record.handled.length, 0);
  await alive();
});

test("H2-04 more fields than the limit are refused, cookie crumbs included", async () => {
  const many = Array.from({ length: 200 }, (_, i) => ["cookie", `a${i}=1`] as const);
  const client = await open();
  client.send(headers(1, with_(...many)));
  assert.equal(await client.verdict(1), "headers");
  assert.equal(port.record.refused.at(-1)?.fault.status, 431);
  assert.equal(port.record.handled.length, 0);
});

test("H2-04 more bytes of fields than the limit are refused", async () => {
  const client = await open();
  const large = Array.from({ length: 40 }, (_, i) => [`x-${i}`, "v".repeat(1000)] as const);
  const bytes = block(with_(...large));
  client.send(
    frame(TYPE.headers, END_STREAM, 1, bytes.subarray(0, 16_000)),
    frame(TYPE.continuation, 0, 1, bytes.subarray(16_000, 32_000)),
    frame(TYPE.continuation, END_HEADERS, 1, bytes.subarray(32_000)),
  );
  await client.verdict(1);
  assert.equal(port.record.handled.length, 0);
});

test("H2-04 a bomb of references to one large table entry costs little memory", async () => {
  const before = rss();
  const entry = Buffer.concat([Buffer.from([0x40]), block([["x-bomb", "z".repeat(3900)]]).subarray(1)]);
  for (let i = 0; i < 20; i++) {
    const client = await open(setting(4, 0));
    client.send(frame(TYPE.headers, END_HEADERS | END_STREAM, 1, Buffer.concat([block(GET), entry])));
    const bomb = Buffer.concat([block(GET), Buffer.alloc(12_000, 0xbe)]);
    for (let id = 3; id < 103; id += 2) client.send(frame(TYPE.headers, END_HEADERS | END_STREAM, id, bomb));
  }
  await sleep(300);
  assert.ok(rss() - before < 64, `${rss() - before} MB`);
  await alive();
});

test("H2-05 a client that takes nothing of many large replies costs a bounded amount of memory", async () => {
  handler = (exchange) => {
    let sent = 0;
    exchange.status = 200;
    exchange.replyHeaders = [];
    exchange.replyBody = {
      length: 10_000_000,
      flow(sink) {
        const chunk = Buffer.alloc(16_384, "x");
        const push = () => {
          while (sent < 10_000_000) {
            sent += chunk.length;
            if (!sink.data(chunk)) return;
          }
          sink.end(undefined);
        };
        this.resume = push;
        push();
      },
      resume() {},
      cancel() {},
    };
    exchange.client.send(exchange);
  };
  const before = rss();
  for (let i = 0; i < 20; i++) {
    const client = await open(setting(4, 0));
    for (let id = 1; id < 200; id += 2) client.send(headers(id, GET));
  }
  await sleep(500);
  assert.ok(port.record.handled.length >= 1900, `${port.record.handled.length}`);
  assert.ok(rss() - before < 96, `${rss() - before} MB`);
  handler = hello;
  await alive();
});

test("H2-06 floods of pings, settings and empty data do not stop the service", async () => {
  const floods = [
    frame(TYPE.ping, 0, 0, Buffer.alloc(8)),
    frame(TYPE.settings, 0, 0, setting(3, 100)),
    frame(TYPE.priority, 0, 1, Buffer.concat([uint32(0), Buffer.from([16])])),
  ];
  for (const flood of floods) {
    const client = await open();
    for (let i = 0; i < 100 && !client.closed; i++) {
      client.send(Buffer.concat(Array<Buffer>(200).fill(flood)));
      await sleep(0);
    }
    client.close();
  }
  handler = (exchange) => void gather(exchange.requestBody).catch(() => {});
  const client = await open();
  client.send(headers(1, POST, false));
  for (let i = 0; i < 40 && !client.closed; i++) {
    client.send(Buffer.concat(Array<Buffer>(100).fill(frame(TYPE.data, 0, 1))));
    await sleep(1);
  }
  assert.notEqual(await client.goaway(), CODE.none, "empty data is a flood");
  await alive();
});

test("H2-07 500 windows that overflow end their connections, and leave nothing behind", async () => {
  for (let batch = 0; batch < 10; batch++) {
    const batchOf = await Promise.all(Array.from({ length: 50 }, () => open()));
    for (const client of batchOf) {
      client.send(frame(TYPE.window, 0, 0, uint32(0x7fffffff)));
      assert.equal(await client.goaway(), CODE.flow);
    }
    // The server closes them, without being asked to.
    for (const client of batchOf) await client.until(() => client.closed);
  }
  await eventually(() => assert.equal(port.open, 0));
  await alive();
});

/** An entry that is no entry, a text longer than its frame, a number beyond every limit, much of what is no field. */
const NO_HPACK = [
  Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f]),
  Buffer.from([0x00, 0x7f, 0xff, 0x7f]),
  Buffer.from([0x40, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
  Buffer.alloc(16_384, 0xff),
];

test("H2-08 broken compression ends the connection, and only it, a hundred times", async () => {
  for (let i = 0; i < 100; i++) {
    const client = await open();
    client.send(frame(TYPE.headers, END_HEADERS | END_STREAM, 1, NO_HPACK[i % NO_HPACK.length]));
    assert.equal(await client.goaway(), CODE.compression);
    client.close();
  }
  await eventually(() => assert.equal(port.open, 0));
  await alive();
});

test("H2-09 frames after a GOAWAY of the client are no harm", async () => {
  const client = await open();
  client.send(headers(1, GET));
  await client.verdict(1);
  client.send(
    frame(TYPE.goaway, 0, 0, Buffer.alloc(8)),
    headers(3, GET),
    frame(TYPE.ping, 0, 0, Buffer.alloc(8)),
  );
  await client.find(() => false, 6000).catch(() => {});
  assert.ok(client.closed, "closed within seconds");
  await alive();
});

test("H2-10 connection headers are refused", async () => {
  await refused(with_(["connection", "close"]));
  await refused(with_(["keep-alive", "timeout=5"]));
  await refused(with_(["proxy-connection", "keep-alive"]));
  await refused(with_(["transfer-encoding", "chunked"]));
  await refused(with_(["upgrade", "websocket"]));
});

test("H2-11 te may only say trailers", async () => {
  await refused(with_(["te", "gzip"]));
  const client = await open();
  client.send(headers(1, with_(["te", "trailers"])));
  assert.equal(await client.verdict(1), "headers");
  assert.equal(port.record.handled.at(-1)?.headers.includes("te"), false);
});

test("H2-12 bytes that would mean something in HTTP/1.1 never get through in names and values", async () => {
  const values = ["a\r\nb: c", "a\nb", "a\0b", " a", "a ", "a\x7f"].map((value) => ["x-a", value] as const);
  const names = ["X-A", "x a", "", "x:a", "x\r\na", "x\0"].map((name) => [name, "v"] as const);
  for (const field of [...values, ...names]) {
    const client = await open();
    client.send(headers(1, with_(field, ["x-ok", "1"])));
    // nghttp2 resets the stream or leaves the field out; which one is not ours to choose.
    if ((await client.verdict(1)) === "headers") {
      assert.deepEqual(sent(port.record.handled.at(-1)!), ["x-ok", "1"], JSON.stringify(field));
    }
    client.close();
  }
});

test("H2-12 bytes above ASCII in values are passed on as they are", async () => {
  const client = await open();
  client.send(headers(1, with_(["x-a", "caf\xe9\x80"])));
  assert.equal(await client.verdict(1), "headers");
  const { headers: list } = port.record.handled.at(-1)!;
  assert.equal(list[list.indexOf("x-a") + 1], "caf\xe9\x80");
});

test("H2-13 a body that is not as long as announced is never taken for a whole one", async () => {
  for (const [length, data] of [
    ["5", "too long"],
    ["50", "short"],
  ] as const) {
    let came: Promise<unknown> = Promise.resolve();
    handler = (exchange) => {
      came = gather(exchange.requestBody).then(
        () => "whole",
        (error: Error) => error.message,
      );
    };
    const client = await open();
    client.send(headers(1, [...POST, ["content-length", length]], false));
    await sleep(20);
    client.send(frame(TYPE.data, END_STREAM, 1, Buffer.from(data)));
    assert.match(await client.verdict(1), /^reset 1|^goaway 2/);
    await sleep(20);
    assert.equal(await came, "client-gone");
    client.close();
  }
});

test("H2-14 pseudo-headers must be there, once, first, known, and sane", async () => {
  for (const name of [":method", ":scheme", ":path"]) await refused(without(name));
  await refused(without(":authority"));
  await refused([...GET, [":path", "/twice"]]);
  await refused([["x-first", "1"], ...GET]);
  await refused(with_([":unknown", "1"]));
  await refused(with_([":status", "200"]));
  for (const path of ["", "a", "/a b", "/a#b", "http://other.test/", "*"]) {
    await refused([...without(":path"), [":path", path]]);
  }
  for (const authority of ["user@app.test", "app.test:99999", "a b", "app.test/x", ""]) {
    await refused([...without(":authority"), [":authority", authority]]);
  }
  for (const scheme of ["javascript", "http:", "ht tp"]) {
    await refused([...without(":scheme"), [":scheme", scheme]]);
  }
  for (const method of ["GET / HTTP/1.1\r\nX: y", "G ET", ""]) {
    await refused([...without(":method"), [":method", method]]);
  }
});

test("H2-14 pseudo-headers in trailers are refused", async () => {
  let came: Promise<unknown> = Promise.resolve();
  handler = (exchange) => {
    came = gather(exchange.requestBody).then(
      () => "whole",
      () => "broken",
    );
  };
  const client = await open();
  client.send(headers(1, POST, false), frame(TYPE.data, 0, 1, Buffer.from("x")));
  await sleep(20);
  client.send(headers(1, [[":path", "/"]]));
  assert.equal(await client.verdict(1), "reset 1");
  await sleep(20);
  assert.equal(await came, "broken");
});

test("H2-15 a Host that differs from the authority is refused, the same one is no harm", async () => {
  await refused(with_(["host", "other.test"]));
  const client = await open();
  client.send(headers(1, with_(["host", "APP.test"])));
  assert.equal(await client.verdict(1), "headers");
  assert.equal(port.record.handled.at(-1)?.host, "app.test");
  assert.equal(port.record.handled.at(-1)?.headers.includes("host"), false);
});

test("H2-16 CONNECT is refused, and an extended one to a protocol that is not allowed", async () => {
  const client = await open();
  client.send(
    headers(1, [
      [":method", "CONNECT"],
      [":authority", "app.test:443"],
    ]),
  );
  await client.verdict(1);
  assert.equal(port.record.refused.at(-1)?.fault.status, 501);
  client.send(headers(3, [[":method", "CONNECT"], [":protocol", "connect-udp"], ...GET.slice(1)], false));
  await client.verdict(3);
  assert.equal(port.record.handled.length, 0);
  assert.equal(port.record.refused.length, 2);
});

test("H2-17 an announced length with no body at all is refused", async () => {
  await refused([...POST, ["content-length", "5"]]);
});

test("H2-18 streams past the limit are refused, and the connection is kept", async () => {
  handler = () => {};
  const client = await open();
  // All at once, before the client can know the limit.
  client.send(...Array.from({ length: 110 }, (_, i) => headers(2 * i + 1, GET)));
  const found = await client.find(({ type, stream }) => type === TYPE.reset && stream > 199);
  assert.equal(found?.payload.readUInt32BE(0), CODE.refused);
  assert.equal(port.record.handled.length, 100);
  for (const exchange of port.record.handled) answer(exchange, 204, "");
  await client.find(({ type, stream }) => type === TYPE.headers && stream === 199);
  handler = hello;
  client.send(headers(301, GET));
  assert.equal(await client.verdict(301), "headers");
});

test("H2-18 a client that knows the limit and goes on breaking it loses the connection, and nobody else", async () => {
  handler = () => {};
  const client = await open();
  await client.find(({ type, flags }) => type === TYPE.settings && flags === 1);
  await sleep(20);
  for (let id = 1; id <= 205; id += 2) client.send(headers(id, GET));
  const third = await client.find(({ type, stream }) => type === TYPE.reset && stream === 205);
  assert.equal(third?.payload.readUInt32BE(0), CODE.refused);
  for (let id = 207; id <= 407; id += 2) client.send(headers(id, GET));
  assert.equal(await client.goaway(), CODE.calm);
  assert.equal(port.record.handled.length, 100);
  await alive();
});

test("H2-19 cookie crumbs are one header again", async () => {
  const client = await open();
  client.send(headers(1, with_(["cookie", "a=1"], ["x-b", "2"], ["cookie", "c=3"], ["cookie", "d=4"])));
  assert.equal(await client.verdict(1), "headers");
  assert.deepEqual(sent(port.record.handled.at(-1)!), ["x-b", "2", "cookie", "a=1; c=3; d=4"]);
});

test("H2-19 HEAD and 204 have no body", async () => {
  const client = await open();
  handler = (exchange) => answer(exchange, 200, "never seen");
  client.send(headers(1, [[":method", "HEAD"], ...GET.slice(1)]));
  const head = await client.find(({ type, stream }) => type === TYPE.headers && stream === 1);
  assert.equal(head!.flags & END_STREAM, END_STREAM);
  handler = (exchange) => answer(exchange, 204, "");
  client.send(headers(3, GET));
  const empty = await client.find(({ type, stream }) => type === TYPE.headers && stream === 3);
  assert.equal(empty!.flags & END_STREAM, END_STREAM);
  assert.equal(
    client.frames.some(({ type }: Frame) => type === TYPE.data),
    false,
  );
});

test("HD-13 names that are special to JavaScript are names like others", async () => {
  const client = await open();
  const odd = ["constructor", "hasownproperty", "tostring"].map((name) => [name, "x"] as const);
  client.send(headers(1, with_(...odd)));
  assert.equal(await client.verdict(1), "headers");
  assert.equal(sent(port.record.handled.at(-1)!).length, 6);
});

test("HD-06 names with an underscore are dropped", async () => {
  const client = await open();
  client.send(headers(1, with_(["x_real_ip", "1.2.3.4"], ["x-ok", "1"])));
  assert.equal(await client.verdict(1), "headers");
  assert.deepEqual(sent(port.record.handled.at(-1)!), ["x-ok", "1"]);
});
