import assert from "node:assert/strict";
import { test } from "node:test";
import contentType from "../../src/middleware/content-type.ts";
import type { BodySource } from "../../src/model/body.ts";
import { answer, drain, make, type RequestExtras, request, run } from "./harness.ts";

const guess = async (
  body: string | Buffer | BodySource,
  headers: string[] = [],
  extras: RequestExtras = {},
) => {
  const exchange = request(extras);
  const { header } = await run(make(contentType, {}), exchange, (x) => answer(x, 200, [...headers], body));
  return { type: header("content-type"), bytes: (await drain(exchange.replyBody, true)).bytes };
};

test("contentType guesses what a reply without a type is", async () => {
  for (const [body, type] of [
    ["  <!doctype HTML><p>", "text/html; charset=utf-8"],
    ["<?xml version='1.0'?>", "text/xml; charset=utf-8"],
    ["plain words", "text/plain; charset=utf-8"],
    ['{"json": 1}', "text/plain; charset=utf-8"],
    ["\x89PNG\r\n\x1a\nxxxx", "image/png"],
    ["GIF89a...", "image/gif"],
    ["\xff\xd8\xff\xe0", "image/jpeg"],
    ["%PDF-1.7", "application/pdf"],
    ["\x1f\x8b\x08\x00", "application/x-gzip"],
    ["RIFF\x00\x00\x00\x00WEBPVP8", "image/webp"],
    ["\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp41isom", "video/mp4"],
    ["\x00\x01\x02", "application/octet-stream"],
    ["<bold>", "text/plain; charset=utf-8"],
  ] as const) {
    const bytes = Buffer.from(body, "latin1");
    const guessed = await guess(bytes);
    assert.equal(guessed.type, type, JSON.stringify(body));
    assert.deepEqual(guessed.bytes, bytes, "the body stays whole");
  }
});

test("contentType leaves replies alone that have a type, an encoding or no body", async () => {
  assert.equal((await guess("<html>", ["content-type", "text/x"])).type, "text/x");
  assert.equal((await guess("<html>", ["Content-Encoding", "br"])).type, undefined);
  assert.equal((await guess("")).type, undefined);
  assert.equal((await guess("<html>", [], { method: "HEAD" })).type, undefined);
});

test("contentType does not wait long for a stream's first bytes", async () => {
  const late: BodySource = {
    length: -1,
    flow: (sink) => void setTimeout(() => sink.data(Buffer.from("<html>")) || sink.end(undefined), 200),
    resume() {},
    cancel() {},
  };
  const exchange = request();
  const hooks = make(contentType, {});
  answer(exchange, 200, [], late);
  await hooks.onResponse!(exchange);
  assert.deepEqual(exchange.replyHeaders, []);
});
