import assert from "node:assert/strict";
import { test } from "node:test";
import { type BodySource, NO_BODY } from "../../src/model/body.ts";
import { answer, gather, sent } from "../listen/http2-site.ts";
import {
  block,
  CODE,
  data,
  END_HEADERS,
  END_STREAM,
  frame,
  GET,
  headers,
  PADDED,
  POST,
  reset,
  TYPE,
  valuesOf,
} from "./http2-frames.ts";
import { blockOf, hello, kept, replyTo, Setup, with_ } from "./http2-setup.ts";

/** Requests and replies (RFC 9113 8), and how many at once (5.1.2). */

const site = new Setup();

test("RFC 9113 8.1: trailers of a request come after its body, and only then", async () => {
  let came: { text: string; trailers: string[] | undefined } | undefined;
  site.handler = async (exchange) => {
    came = await gather(exchange.requestBody);
    answer(exchange, 200, "");
  };
  const client = await site.connected();
  client.send(
    headers(1, POST, false),
    data(1, "x".repeat(100), false),
    headers(1, [
      ["x-sum", "7"],
      ["x-more", "8"],
    ]),
  );
  await replyTo(client, 1);
  assert.equal(came?.text.length, 100);
  assert.deepEqual(came?.trailers, ["x-sum", "7", "x-more", "8"]);
});

for (const [about, fields, length] of [
  ["an upper-case name", [["X-Sum", "1"]], undefined],
  ["a connection header", [["transfer-encoding", "chunked"]], undefined],
  ["a pseudo-header", [[":method", "GET"]], undefined],
  ["a name with a line break", [["x\r\na", "1"]], undefined],
  ["a value with a line break", [["x-a", "1\r\nb: 2"]], undefined],
  ["nothing, after fewer bytes than announced", [], "5"],
] as const) {
  test(`RFC 9113 8.1: trailers with ${about} do not complete a request`, async () => {
    let end = "";
    site.handler = (exchange) => {
      gather(exchange.requestBody).then(
        ({ trailers }) => {
          end = `whole with ${trailers}`;
        },
        () => {
          end = "broken";
        },
      );
    };
    const client = await site.connected();
    const announced = length === undefined ? [] : [["content-length", length] as const];
    client.send(headers(1, [...POST, ...announced], false), data(1, "abc", false));
    await client.settle();
    client.send(headers(1, fields));
    await client.settle();
    await client.until(() => end !== "");
    // A field that is left out does as well as a refused request.
    assert.match(
      end,
      about.includes("value") || about.includes("line break")
        ? /^(?:broken|whole with (?:undefined)?)$/
        : /^broken$/,
    );
  });
}

test("H2-13 every way to send more or less than announced is refused before the request is complete", async () => {
  for (const [announced, ...frames] of [
    ["3", data(1, "ab")],
    ["3", data(1, "abcd")],
    ["3", data(1, "abcd", false)],
    ["3", data(1, "abc", false), data(1, "d", false)],
    ["3", data(1, "ab", false), data(1, "")],
    ["3", data(1, "", true)],
    ["0", data(1, "a")],
    ["3", data(1, "ab", false), headers(1, [["x-a", "1"]])],
    ["3", frame(TYPE.data, END_STREAM | PADDED, 1, Buffer.from([1, 97, 98, 0]))],
  ] as const) {
    let end = "";
    site.handler = (exchange) => {
      gather(exchange.requestBody).then(
        () => {
          end = "whole";
        },
        () => {
          end = "broken";
        },
      );
    };
    const client = await site.connected();
    client.send(headers(1, [...POST, ["content-length", announced]], false), ...frames);
    const found = await client.find(({ type }) => type === TYPE.reset || type === TYPE.goaway);
    const code = found?.payload.readUInt32BE(found.type === TYPE.reset ? 0 : 4);
    assert.ok(code === CODE.protocol || code === CODE.internal, `${announced}: ${code}`);
    // Of a body of no bytes nothing is read.
    if (announced !== "0") assert.notEqual(end, "whole", announced);
  }
});

test("RFC 9113 8.1.1: a length of a request without a body must be 0", async () => {
  const client = await site.connected();
  client.send(headers(1, with_(["content-length", "0"])));
  assert.equal(await replyTo(client, 1), "/ ");
  client.send(headers(3, with_(["content-length", "1"])));
  assert.match(await client.verdict(3), /^(?:reset|goaway) 1$/);
  assert.equal(site.handled.length, 1);
});

test("RFC 9113 8.1: 100 is said when the body is wanted, once, and not after a reply", async () => {
  const client = await site.connected();
  client.send(headers(1, [...POST, ["expect", "100-continue"]], false));
  await client.until(() => client.statuses(1).length > 0);
  assert.deepEqual(client.statuses(1), ["100"]);
  assert.equal(client.heads[0]?.isLast, false);
  client.send(data(1, "body"));
  assert.equal(await replyTo(client, 1), "/ body");
  assert.deepEqual(client.statuses(1), ["100", "200"]);
  site.handler = (exchange) => answer(exchange, 417, "no");
  client.send(headers(3, [...POST, ["expect", "100-continue"]], false));
  assert.equal(await replyTo(client, 3), "no");
  assert.deepEqual(client.statuses(3), ["417"]);
});

test("RFC 9113 8.1: an answer before the request is complete comes whole, and then no more is asked for", async () => {
  site.handler = (exchange) => answer(exchange, 403, "no");
  const client = await site.connected();
  client.send(headers(1, POST, false), data(1, "a", false));
  assert.equal(await replyTo(client, 1), "no");
  const found = await client.find(({ type, stream }) => type === TYPE.reset && stream === 1);
  assert.equal(found?.payload.readUInt32BE(0), CODE.none);
  client.send(data(1, "b", false), data(1, "c"));
  site.handler = hello;
  client.send(headers(3, GET));
  assert.equal(await replyTo(client, 3), "/ ");
});

test("RFC 9113 8.2.1: a broken field costs its stream only, and the table is right afterwards", async () => {
  const client = await site.connected();
  const broken = [
    ["X-Upper", "1"],
    ["x a", "1"],
    ["connection", "close"],
    [":unknown", "1"],
    ["te", "gzip"],
    ["x-a", "b\0c"],
  ] as const;
  for (const [i, [name, value]] of broken.entries()) {
    const id = 1 + 4 * i;
    client.send(blockOf(id, block(GET), kept(name, value), kept("x-kept", `${i}`)));
    const verdict = await client.verdict(id);
    assert.match(verdict, /^(?:reset 1|headers)$/, name);
    if (verdict === "headers") await client.until(() => client.ended(id));
    client.send(blockOf(id + 2, block(GET), Buffer.from([0xbe])));
    await replyTo(client, id + 2);
    assert.deepEqual(sent(site.last), ["x-kept", `${i}`]);
  }
});

test("RFC 9113 5.1.2: what refused streams put into the table is there for others", async () => {
  site.handler = () => {};
  const client = await site.connected();
  const most = site.port.settings.http2.maxConcurrentStreams;
  const requests = Array.from({ length: most }, (_, i) => headers(2 * i + 1, GET));
  // All at once, before the client can know the limit.
  client.send(...requests, blockOf(2 * most + 1, block(GET), kept("x-kept", "1")));
  const refusal = await client.find(({ type }) => type === TYPE.reset || type === TYPE.goaway);
  assert.deepEqual([refusal?.stream, refusal?.payload.readUInt32BE(0)], [2 * most + 1, CODE.refused]);
  client.send(reset(1));
  await client.settle();
  site.handler = hello;
  client.send(blockOf(2 * most + 3, block(GET), Buffer.from([0xbe])));
  await replyTo(client, 2 * most + 3);
  assert.deepEqual(sent(site.last), ["x-kept", "1"]);
});

test("RFC 9113 5.1.2: a place is free again when a stream is over, by whatever end", async () => {
  site.handler = () => {};
  const client = await site.connected();
  const most = site.port.settings.http2.maxConcurrentStreams;
  const post = (id: number) => headers(id, POST, false);
  for (let i = 0; i < most; i++) client.send(post(2 * i + 1));
  await client.settle();
  site.handler = hello;
  client.send(reset(1));
  await client.settle();
  client.send(headers(2 * most + 1, GET));
  assert.equal(await replyTo(client, 2 * most + 1), "/ ");
  answer(site.handled[1]!, 200, "early");
  await client.until(() => client.frames.some(({ type, stream }) => type === TYPE.reset && stream === 3));
  client.send(headers(2 * most + 3, GET));
  assert.equal(await replyTo(client, 2 * most + 3), "/ ");
  site.handled[2]!.client.abort(site.handled[2]!);
  await client.until(() => client.frames.some(({ type, stream }) => type === TYPE.reset && stream === 5));
  for (const id of [5, 7, 9]) {
    client.send(headers(2 * most + id, GET));
    assert.equal(await replyTo(client, 2 * most + id), "/ ");
  }
});

// --- Replies.

test("RFC 9113 6.10: a reply's head larger than a frame comes in CONTINUATION, and nothing between", async () => {
  const large = Array.from({ length: 60 }, (_, i) => [`x-large-${i}`, `${i}`.repeat(500)]).flat();
  site.handler = (exchange) => answer(exchange, 200, "hello", large);
  const client = await site.connected();
  client.send(headers(1, GET), headers(3, GET));
  for (const id of [1, 3]) {
    assert.equal(await replyTo(client, id), "hello");
    const { fields } = client.heads.find(({ stream }) => stream === id)!;
    for (let i = 0; i < large.length; i += 2) assert.deepEqual(valuesOf(fields, large[i]!), [large[i + 1]]);
  }
  assert.ok(client.frames.every(({ payload }) => payload.length <= 16_384));
  for (const [i, { type, flags, stream }] of client.frames.entries()) {
    if ((type !== TYPE.headers && type !== TYPE.continuation) || (flags & END_HEADERS) !== 0) continue;
    assert.deepEqual([client.frames[i + 1]?.type, client.frames[i + 1]?.stream], [TYPE.continuation, stream]);
  }
});

/** A body that says so much and ends with these trailers. */
const trailed = (text: string, trailers: string[] | undefined): BodySource => ({
  ...NO_BODY,
  length: -1,
  flow(sink) {
    sink.data(Buffer.from(text));
    sink.end(trailers);
  },
});

test("RFC 9113 8.1: trailers of a reply end its stream, also when the body is empty", async () => {
  const client = await site.connected();
  for (const [i, text] of ["body", ""].entries()) {
    site.handler = (exchange) => {
      exchange.status = 200;
      exchange.replyHeaders = ["Trailer", "X-Sum"];
      exchange.replyBody = trailed(text, ["X-Sum", "7"]);
      exchange.client.send(exchange);
    };
    const id = 1 + 2 * i;
    client.send(headers(id, with_(["te", "trailers"])));
    assert.equal(await replyTo(client, id), text);
    const heads = client.heads.filter(({ stream }) => stream === id);
    assert.deepEqual(heads.at(-1), { stream: id, fields: [["x-sum", "7"]], isLast: true });
  }
});

test("RFC 9113 8.1: a reply without length and trailers ends in DATA", async () => {
  site.handler = (exchange) => {
    exchange.status = 200;
    exchange.replyHeaders = [];
    exchange.replyBody = trailed("body", undefined);
    exchange.client.send(exchange);
  };
  const client = await site.connected();
  client.send(headers(1, GET));
  assert.equal(await replyTo(client, 1), "body");
  assert.equal(client.heads.length, 1);
});

test("RFC 9113 8.1: interim replies come before the reply, in their order", async () => {
  site.handler = (exchange) => {
    exchange.client.inform(exchange, 103, ["Link", "</a.css>; rel=preload"]);
    exchange.client.inform(exchange, 103, ["Link", "</b.css>; rel=preload", "Connection", "close"]);
    answer(exchange, 200, "hello");
  };
  const client = await site.connected();
  client.send(headers(1, GET));
  assert.equal(await replyTo(client, 1), "hello");
  assert.deepEqual(client.statuses(1), ["103", "103", "200"]);
  assert.deepEqual(client.heads[1]?.fields, [
    [":status", "103"],
    ["link", "</b.css>; rel=preload"],
  ]);
});

test("RFC 9113 8.2: names of a reply are lower-case, and what HTTP/2 has no place for is left out", async () => {
  site.handler = (exchange) =>
    answer(exchange, 200, "hello", [
      "X-Mixed-Case",
      "Kept As It Is",
      "Connection",
      "keep-alive",
      "Keep-Alive",
      "timeout=5",
      "Transfer-Encoding",
      "chunked",
      "Upgrade",
      "h2c",
      "Proxy-Connection",
      "close",
      "Set-Cookie",
      "a=1",
      "Set-Cookie",
      "b=2",
    ]);
  const client = await site.connected();
  client.send(headers(1, GET));
  assert.equal(await replyTo(client, 1), "hello");
  const { fields } = client.heads[0]!;
  assert.equal(fields[0]?.[0], ":status");
  assert.deepEqual(
    fields.filter(([name]) => name !== "content-length" && name !== "date"),
    [
      [":status", "200"],
      ["x-mixed-case", "Kept As It Is"],
      ["set-cookie", "a=1"],
      ["set-cookie", "b=2"],
    ],
  );
});

test("RFC 9113 8.1: a reply that breaks off is reset, not ended", async () => {
  site.handler = (exchange) => {
    exchange.status = 200;
    exchange.replyHeaders = [];
    exchange.replyBody = {
      ...trailed("part", undefined),
      flow: (sink) => void sink.data(Buffer.from("part")),
    };
    exchange.client.send(exchange);
    setTimeout(() => exchange.client.abort(exchange), 20);
  };
  const client = await site.connected();
  client.send(headers(1, GET));
  assert.match(await client.verdict(1), /headers/);
  const found = await client.find(({ type }) => type === TYPE.reset);
  assert.notEqual(found?.payload.readUInt32BE(0), CODE.none);
  assert.equal(client.ended(1), false);
});
