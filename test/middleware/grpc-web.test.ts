import assert from "node:assert/strict";
import { test } from "node:test";
import grpcWeb from "../../src/middleware/grpc-web.ts";
import type { BodySource } from "../../src/model/body.ts";
import { getHeader } from "../../src/model/headers.ts";
import { answer, drain, make, type RequestExtras, request, run } from "./harness.ts";

const MESSAGE = Buffer.from("\0\0\0\0\x05hello", "latin1");
const TRAILERS = ["Grpc-Status", "0", "grpc-message", "ok"];
const TRAILER_LINES = "grpc-status: 0\r\ngrpc-message: ok\r\n";
const TRAILER_FRAME = Buffer.concat([
  Buffer.from([0x80, 0, 0, 0, TRAILER_LINES.length]),
  Buffer.from(TRAILER_LINES),
]);

function chunks(parts: readonly Buffer[], trailers?: string[]): BodySource {
  return {
    length: -1,
    flow(sink) {
      for (const part of parts) sink.data(part);
      sink.end(trailers);
    },
    resume() {},
    cancel() {},
  };
}

async function call(type: string, body: BodySource | string | Buffer, extras: RequestExtras = {}) {
  const hooks = make(grpcWeb, { allowOrigins: "https://a.test" });
  const headers = ["Content-Type", type, "Content-Length", "99", ...(extras.headers ?? [])];
  const exchange = request({ method: "POST", ...extras, headers, body });
  const result = await run({ onRequest: hooks.onRequest! }, exchange);
  const sent = await drain(exchange.requestBody);
  answer(
    exchange,
    200,
    ["Content-Type", "application/grpc+proto", "Trailer", "Grpc-Status", "X-App", "1"],
    chunks([MESSAGE], [...TRAILERS]),
  );
  await hooks.onResponse!(exchange);
  return {
    ...result,
    exchange,
    sent: sent.bytes,
    fault: sent.fault?.code,
    reply: await drain(exchange.replyBody),
  };
}

test("a gRPC-Web call becomes a gRPC call, and the trailers of its reply a last frame", async () => {
  const { exchange, sent, reply } = await call("application/grpc-web+proto", MESSAGE);
  assert.equal(getHeader(exchange.headers, "content-type"), "application/grpc+proto");
  assert.equal(getHeader(exchange.headers, "content-length"), undefined);
  assert.equal(exchange.acceptsTrailers, true);
  assert.deepEqual(sent, MESSAGE);
  assert.equal(getHeader(exchange.replyHeaders, "content-type"), "application/grpc-web+proto");
  assert.equal(getHeader(exchange.replyHeaders, "trailer"), undefined);
  assert.deepEqual(reply.bytes, Buffer.concat([MESSAGE, TRAILER_FRAME]));
  assert.equal(reply.trailers, undefined);
});

test("the text form is base64 both ways, in parts that may be cut anywhere", async () => {
  const text = MESSAGE.toString("base64") + MESSAGE.toString("base64");
  const parts = [...text].map((letter) => Buffer.from(letter));
  const { exchange, sent, reply } = await call("application/grpc-web-text", chunks(parts));
  assert.equal(getHeader(exchange.headers, "content-type"), "application/grpc");
  assert.deepEqual(sent, Buffer.concat([MESSAGE, MESSAGE]));
  assert.equal(getHeader(exchange.replyHeaders, "content-type"), "application/grpc-web-text+proto");
  assert.equal(String(reply.bytes), MESSAGE.toString("base64") + TRAILER_FRAME.toString("base64"));
});

test("what is no base64 fails the request", async () => {
  assert.equal((await call("application/grpc-web-text", "%%%%")).fault, "bad-request");
  assert.equal((await call("application/grpc-web-text", "AAA")).fault, "bad-request");
});

test("other requests and other replies pass unchanged", async () => {
  const hooks = make(grpcWeb, {});
  for (const extras of [
    { method: "GET" },
    { headers: ["Content-Type", "application/grpc"], method: "POST" },
    { headers: ["Content-Type", "application/grpc-websocket"], method: "POST" },
  ]) {
    const exchange = request(extras);
    const before = exchange.headers.join();
    await run(hooks, exchange);
    assert.equal(exchange.headers.join(), before);
  }
  const failed = request({ method: "POST", headers: ["Content-Type", "application/grpc-web"] });
  await run(hooks, failed, (x) => answer(x, 502, ["Content-Type", "text/plain"], "Bad Gateway"));
  assert.equal(String((await drain(failed.replyBody)).bytes), "Bad Gateway");
});

test("allowOrigins lets scripts of those origins call and read the status", async () => {
  const allowed = await call("application/grpc-web", MESSAGE, { headers: ["Origin", "https://a.test"] });
  assert.equal(getHeader(allowed.exchange.replyHeaders, "access-control-allow-origin"), "https://a.test");
  assert.match(
    getHeader(allowed.exchange.replyHeaders, "access-control-expose-headers")!,
    /^grpc-status, grpc-message, .*x-app/,
  );
  const other = await call("application/grpc-web", MESSAGE, { headers: ["Origin", "https://b.test"] });
  assert.equal(getHeader(other.exchange.replyHeaders, "access-control-allow-origin"), undefined);
});

test("a preflight of gRPC-Web is answered, others are the application's", async () => {
  const preflight = async (allowOrigins: string, asked: string, origin = "https://a.test") =>
    run(
      make(grpcWeb, { allowOrigins }),
      request({
        method: "OPTIONS",
        headers: [
          "Origin",
          origin,
          "Access-Control-Request-Method",
          "POST",
          "Access-Control-Request-Headers",
          asked,
        ],
      }),
    );
  const allowed = await preflight("https://a.test", "content-type,x-grpc-web");
  assert.equal(allowed.stopped?.status, 200);
  assert.equal(allowed.header("access-control-allow-origin"), "https://a.test");
  assert.equal(allowed.header("access-control-allow-headers"), "content-type,x-grpc-web");
  assert.equal(allowed.header("access-control-allow-methods"), "POST");
  assert.equal(
    (await preflight("*", "x-grpc-web", "https://z.test")).header("access-control-allow-origin"),
    "https://z.test",
  );
  assert.equal(
    (await preflight("https://a.test", "x-grpc-web", "https://z.test")).header("access-control-allow-origin"),
    undefined,
  );
  assert.equal((await preflight("*", "content-type")).stopped, undefined);
});
