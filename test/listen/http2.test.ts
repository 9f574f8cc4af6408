import assert from "node:assert/strict";
import { once } from "node:events";
import { type ClientHttp2Session, connect, type OutgoingHttpHeaders } from "node:http2";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Exchange } from "../../src/model/exchange.ts";
import { answer, gather, Http2Port } from "./http2-site.ts";

let port: Http2Port;
let session: ClientHttp2Session;
let handler: (exchange: Exchange) => void = (exchange) => answer(exchange, 200, "hello");

before(async () => {
  port = await Http2Port.open((exchange) => handler(exchange));
  session = connect(`http://127.0.0.1:${port.port}`);
});
after(() => {
  session.destroy();
  port.close();
});

interface Answer {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly text: string;
  readonly trailers: Record<string, unknown> | undefined;
}

async function ask(headers: OutgoingHttpHeaders, body?: string): Promise<Answer> {
  const stream = session.request(headers, { endStream: body === undefined });
  let trailers: Record<string, unknown> | undefined;
  stream.on("trailers", (block) => {
    trailers = block;
  });
  if (body !== undefined) stream.end(body);
  const [reply] = (await once(stream, "response")) as [Record<string, unknown>];
  let text = "";
  for await (const chunk of stream) text += chunk;
  return { status: Number(reply[":status"]), headers: reply, text, trailers };
}

test("a request becomes an exchange and its reply comes back, after the preface was read ahead", async () => {
  handler = (exchange) => answer(exchange, 200, "hello", ["X-One", "1", "x-one", "2"]);
  const reply = await ask({ ":path": "/a?b=c", "x-two": "2" });
  const exchange = port.record.handled.at(-1)!;
  assert.equal(reply.status, 200);
  assert.equal(reply.text, "hello");
  assert.equal(reply.headers["content-length"], "5");
  assert.equal(reply.headers["x-one"], "1, 2");
  assert.deepEqual(
    [exchange.method, exchange.path, exchange.query, exchange.httpVersion],
    ["GET", "/a", "b=c", 20],
  );
  await sleep(20);
  assert.equal(port.record.done.at(-1), exchange);
  assert.equal(port.record.left.includes(exchange), false);
});

test("a body is read with its length and trailers", async () => {
  handler = (exchange) => {
    gather(exchange.requestBody).then(({ text }) => answer(exchange, 200, `got ${text}`));
  };
  const reply = await ask({ ":method": "POST", ":path": "/" }, "body");
  assert.equal(reply.text, "got body");
});

for (const [accept, type, body] of [
  ["application/json", "application/problem+json", /^\{"type":"about:blank",.*"status":414,.*\}\n$/],
  ["text/html", "text/html; charset=utf-8", /^<!doctype html>.*<b>414<\/b>/s],
  ["*/*", "text/plain; charset=utf-8", /^URI Too Long \(uri-too-long\)\n$/],
] as const) {
  test(`a request that is refused by its head is told why in the form that it asks for: ${accept}`, async () => {
    const path = `/${"a".repeat(9000)}`;
    const reply = await ask({ ":path": path, accept });
    assert.deepEqual([reply.status, reply.headers["content-type"]], [414, type]);
    assert.match(reply.text, body);
    const head = await ask({ ":method": "HEAD", ":path": path, accept });
    assert.deepEqual([head.status, head.text], [414, ""]);
  });
}
