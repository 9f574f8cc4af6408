import assert from "node:assert/strict";
import { test } from "node:test";
import zlib from "node:zlib";
import compress from "../../src/middleware/compress.ts";
import type { BodySink, BodySource } from "../../src/model/body.ts";
import type { Exchange } from "../../src/model/exchange.ts";
import { FAULTS } from "../../src/model/fault.ts";
import { getHeader, getHeaders } from "../../src/model/headers.ts";
import { answer, drain, make, problemsOf, type RequestExtras, request } from "./harness.ts";

const TEXT = "hello hello ".repeat(200);
const PLAIN = ["Content-Type", "text/plain; charset=utf-8"];

interface App {
  status?: number;
  headers?: string[];
  body?: string | BodySource;
}

async function reply(
  options: Record<string, unknown>,
  accept: string | undefined,
  app: App = {},
  extras: RequestExtras = {},
) {
  const headers = [...(extras.headers ?? []), ...(accept === undefined ? [] : ["Accept-Encoding", accept])];
  const exchange = request({ ...extras, headers });
  const hooks = make(compress, options);
  await hooks.onRequest?.(exchange);
  answer(exchange, app.status ?? 200, [...(app.headers ?? PLAIN)], app.body ?? TEXT);
  await hooks.onResponse!(exchange);
  return exchange;
}

const codingOf = (exchange: Exchange) => getHeader(exchange.replyHeaders, "content-encoding");
const DECODE = { gzip: zlib.gunzipSync, br: zlib.brotliDecompressSync, zstd: zlib.zstdDecompressSync };

for (const coding of ["gzip", "br", "zstd"] as const) {
  test(`compress gives ${coding} to clients that accept it, however slowly they read`, async () => {
    const exchange = await reply({}, coding);
    assert.equal(codingOf(exchange), coding);
    const { bytes, fault } = await drain(exchange.replyBody, true);
    assert.equal(fault, undefined);
    assert.ok(bytes.length < TEXT.length / 5);
    assert.equal(String(DECODE[coding](bytes)), TEXT);
  });
}

test("a reply that does not say its type is compressed, unless only some types are", async () => {
  assert.equal(codingOf(await reply({}, "gzip", { headers: [] })), "gzip");
  const json = { includedContentTypes: "application/json" };
  assert.equal(codingOf(await reply(json, "gzip", { headers: [] })), undefined);
});

test("compress chooses by weight and then by its own order", async () => {
  const chosen = async (accept: string | undefined, options = {}) => codingOf(await reply(options, accept));
  assert.equal(await chosen("zstd, br, gzip"), "gzip");
  assert.equal(await chosen("gzip;q=0.5, br;q=0.8"), "br");
  assert.equal(await chosen("gzip, br, zstd", { encodings: "zstd,br" }), "zstd");
  assert.equal(await chosen("gzip;q=0"), undefined);
  assert.equal(await chosen("*"), "gzip");
  assert.equal(await chosen("*", { defaultEncoding: "br" }), "br");
  assert.equal(await chosen("gzip;q=0, *"), undefined);
  assert.equal(await chosen("identity, gzip;q=0.5"), undefined, "identity is wanted more");
  assert.equal(await chosen("identity, gzip"), "gzip", "identity only wins if it is wanted more");
  assert.equal(await chosen("compress, deflate"), undefined);
  assert.equal(await chosen("gzip;q=abc"), undefined);
  assert.equal(await chosen(undefined), undefined);
  assert.equal(await chosen(undefined, { defaultEncoding: "zstd" }), "zstd");
});

test("compress leaves small replies alone, known or not to be small", async () => {
  assert.equal(codingOf(await reply({}, "gzip", { body: "x".repeat(1023) })), undefined);
  assert.equal(codingOf(await reply({}, "gzip", { body: "x".repeat(1024) })), "gzip");
  assert.equal(
    codingOf(await reply({ minResponseBodyBytes: "10" }, "gzip", { body: "x".repeat(10) })),
    "gzip",
  );
  assert.equal(
    codingOf(await reply({ minResponseBodyBytes: "0" }, "gzip", { body: "x".repeat(1023) })),
    undefined,
  );
  const streamed = await reply({}, "gzip", { body: chunks(["abc", "def"]) });
  assert.equal(codingOf(streamed), undefined);
  assert.equal(String((await drain(streamed.replyBody)).bytes), "abcdef");
  const longer = await reply({}, "gzip", { body: chunks([TEXT, TEXT]) });
  assert.equal(codingOf(longer), "gzip");
  assert.equal(String(zlib.gunzipSync((await drain(longer.replyBody, true)).bytes)), TEXT + TEXT);
});

test("compress leaves excludedContentTypes alone, in the request too, and always gRPC", async () => {
  const excludedContentTypes = "text/plain,application/json; version=2";
  assert.equal(codingOf(await reply({ excludedContentTypes }, "gzip")), undefined);
  const html = { headers: ["Content-Type", "text/html"] };
  assert.equal(codingOf(await reply({ excludedContentTypes }, "gzip", html)), "gzip");
  assert.equal(
    codingOf(
      await reply({ excludedContentTypes }, "gzip", html, { headers: ["Content-Type", "text/plain"] }),
    ),
    undefined,
  );
  assert.equal(
    codingOf(
      await reply({ excludedContentTypes }, "gzip", { headers: ["Content-Type", "application/json"] }),
    ),
    "gzip",
  );
  assert.equal(
    codingOf(
      await reply({ excludedContentTypes }, "gzip", {
        headers: ["Content-Type", "application/json;version=2"],
      }),
    ),
    undefined,
  );
  assert.equal(
    codingOf(await reply({}, "gzip", { headers: ["Content-Type", "application/grpc+proto"] })),
    undefined,
  );
});

test("compress takes only includedContentTypes if some are named", async () => {
  const includedContentTypes = "application/json";
  assert.equal(codingOf(await reply({ includedContentTypes }, "gzip")), undefined);
  assert.equal(
    codingOf(
      await reply({ includedContentTypes }, "gzip", {
        headers: ["Content-Type", "application/JSON; charset=utf-8"],
      }),
    ),
    "gzip",
  );
});

test("BE-19 compress never compresses twice and never changes what says no-transform", async () => {
  const untouched = [
    ["Content-Encoding", "br"],
    ["Content-Encoding", "identity"],
    ["Cache-Control", "private, No-Transform"],
    ["Content-Range", "bytes 0-9/100"],
    ["Content-MD5", "x"],
  ];
  for (const headers of untouched) {
    const exchange = await reply({}, "gzip", { headers: [...PLAIN, ...headers] });
    assert.equal(
      getHeaders(exchange.replyHeaders, "content-encoding").includes("gzip"),
      false,
      headers.join(": "),
    );
    assert.equal(String((await drain(exchange.replyBody)).bytes), TEXT);
  }
  assert.equal(
    codingOf(await reply({}, "gzip", { headers: ["Content-Type", "what"] })),
    undefined,
    "no readable type",
  );
  assert.equal(codingOf(await reply({}, "gzip", { status: 206 })), undefined);
  assert.equal(codingOf(await reply({}, "gzip", {}, { method: "HEAD" })), undefined);
});

test("compress makes the ETag weak, drops the length and ranges, and tells caches", async () => {
  const headers = [
    ...PLAIN,
    "Content-Length",
    "2400",
    "ETag",
    '"abc"',
    "Accept-Ranges",
    "bytes",
    "Vary",
    "Origin",
  ];
  const exchange = await reply({}, "gzip", { headers });
  assert.equal(getHeader(exchange.replyHeaders, "etag"), 'W/"abc"');
  assert.equal(getHeader(exchange.replyHeaders, "content-length"), undefined);
  assert.equal(getHeader(exchange.replyHeaders, "accept-ranges"), undefined);
  assert.deepEqual(getHeaders(exchange.replyHeaders, "vary"), ["Origin", "Accept-Encoding"]);
  const weak = await reply({}, "gzip", { headers: [...PLAIN, "ETag", 'W/"abc"', "Vary", "accept-encoding"] });
  assert.equal(getHeader(weak.replyHeaders, "etag"), 'W/"abc"');
  assert.deepEqual(getHeaders(weak.replyHeaders, "vary"), ["accept-encoding"]);
  const plain = await reply({}, undefined);
  assert.equal(getHeader(plain.replyHeaders, "vary"), "Accept-Encoding", "when it is not compressed too");
});

test("an event goes out when it comes, and the head before the first one", async () => {
  let sink: BodySink | undefined;
  const body: BodySource = {
    length: -1,
    flow: (s) => {
      sink = s;
    },
    resume() {},
    cancel() {},
  };
  const exchange = await reply({}, "gzip", { headers: ["Content-Type", "text/event-stream"], body });
  assert.equal(codingOf(exchange), "gzip");
  const gunzip = zlib.createGunzip();
  exchange.replyBody.flow({
    data: (chunk) => gunzip.write(Buffer.from(chunk)) || true,
    end: () => gunzip.end(),
    fail() {},
  });
  for (const event of ["data: 1\n\n", "data: 2\n\n"]) {
    const arrived = new Promise((resolve) => gunzip.once("data", (text) => resolve(String(text))));
    sink!.data(Buffer.from(event));
    assert.equal(await arrived, event);
  }
  sink!.end(undefined);
});

test("a stream that trickles is compressed without waiting for more", async () => {
  let sink: BodySink | undefined;
  const body: BodySource = {
    length: -1,
    flow: (s) => {
      sink = s;
      s.data(Buffer.from("abc"));
    },
    resume() {},
    cancel() {},
  };
  const exchange = await reply({}, "gzip", { body });
  assert.equal(codingOf(exchange), "gzip");
  const all = drain(exchange.replyBody);
  sink!.end(undefined);
  assert.equal(String(zlib.gunzipSync((await all).bytes)), "abc");
});

test("BE-19 compress holds one chunk at a time, however long the body is", async () => {
  const chunk = Buffer.from(TEXT);
  let sent = 0;
  let isHeld = false;
  let to: BodySink;
  const send = () => {
    assert.ok(!isHeld, "nothing more is sent before the last chunk is used");
    if (sent++ === 2000) return to.end(undefined);
    isHeld = !to.data(chunk);
    if (!isHeld) setImmediate(send);
  };
  const body: BodySource = {
    length: -1,
    flow(sink) {
      to = sink;
      send();
    },
    resume() {
      isHeld = false;
      setImmediate(send);
    },
    cancel() {},
  };
  const exchange = await reply({}, "zstd", { body });
  const { bytes } = await drain(exchange.replyBody, true);
  assert.equal(zlib.zstdDecompressSync(bytes).length, 2000 * chunk.length);
});

test("a body that fails or is no longer wanted ends the compression", async () => {
  const failing: BodySource = {
    length: 5000,
    flow: (sink) => sink.fail(FAULTS["upstream-truncated"]),
    resume() {},
    cancel() {},
  };
  const failed = await reply({}, "gzip", { body: failing });
  assert.equal((await drain(failed.replyBody)).fault?.code, "upstream-truncated");
  let cancelled = false;
  const endless: BodySource = {
    length: 5000,
    flow: (sink) => void sink.data(Buffer.from("x")),
    resume() {},
    cancel: () => {
      cancelled = true;
    },
  };
  const exchange = await reply({}, "gzip", { body: endless });
  exchange.replyBody.flow({ data: () => true, end() {}, fail() {} });
  exchange.replyBody.cancel();
  assert.ok(cancelled);
});

test("compress says what is wrong with its options", () => {
  assert.match(
    problemsOf(compress, { excludedContentTypes: "text/plain", includedContentTypes: "text/html" }).join(),
    /cannot be used together/,
  );
  assert.match(problemsOf(compress, { excludedContentTypes: "text" }).join(), /no media type/);
  assert.match(problemsOf(compress, { encodings: "gzip,lzma" }).join(), /expected one of gzip, br, zstd/);
  assert.match(problemsOf(compress, { encodings: "br", defaultEncoding: "gzip" }).join(), /defaultEncoding/);
});

function chunks(texts: readonly string[]): BodySource {
  let next = 0;
  let sink: BodySink;
  const go = () => {
    while (next < texts.length) if (!sink.data(Buffer.from(texts[next++]!))) return;
    sink.end(undefined);
  };
  return {
    length: -1,
    flow(to) {
      sink = to;
      go();
    },
    resume: go,
    cancel() {},
  };
}
