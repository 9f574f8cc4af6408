import assert from "node:assert/strict";
import { test } from "node:test";
import buffering from "../../src/middleware/buffering.ts";
import type { BodySink, BodySource } from "../../src/model/body.ts";
import type { Exchange } from "../../src/model/exchange.ts";
import { FAULTS } from "../../src/model/fault.ts";
import { answer, drain, make, problemsOf, request, run } from "./harness.ts";

/** A body of unknown length, in chunks. */
function stream(bytes: number, chunk = 10_000): BodySource {
  let left = bytes;
  let sink: BodySink;
  const go = () => {
    while (left > 0) {
      const size = Math.min(chunk, left);
      left -= size;
      if (!sink.data(Buffer.alloc(size, 97))) return;
    }
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

test("buffering reads the whole request, which then has a length and can flow again", async () => {
  const hooks = make(buffering, {});
  const exchange = request({ method: "POST", body: stream(50_000) });
  assert.equal(await hooks.onRequest!(exchange), undefined);
  assert.equal(exchange.requestBody.length, 50_000);
  assert.equal(exchange.requestBody.replayable, true);
  for (let i = 0; i < 2; i++) assert.equal((await drain(exchange.requestBody, true)).bytes.length, 50_000);
  hooks.onDone!(exchange);
});

test("maxRequestBodyBytes refuses larger requests with 413, known to be larger or not", async () => {
  const hooks = make(buffering, { maxRequestBodyBytes: "100" });
  const status = async (body: string | BodySource) =>
    (await run(hooks, request({ method: "POST", body }))).stopped?.status;
  assert.equal(await status("x".repeat(100)), undefined);
  assert.equal(await status("x".repeat(101)), 413);
  assert.equal(await status(stream(101, 7)), 413);
});

test("maxResponseBodyBytes turns larger replies into 500", async () => {
  const hooks = make(buffering, { maxResponseBodyBytes: "100" });
  const status = async (body: string | BodySource) =>
    (await run(hooks, request(), (x) => answer(x, 200, [], body))).status;
  assert.equal(await status("x".repeat(100)), 200);
  assert.equal(await status("x".repeat(101)), 500);
  assert.equal(await status(stream(101, 7)), 500);
});

test("memRequestBodyBytes and memResponseBodyBytes keep what is larger on disk, unharmed", async () => {
  const hooks = make(buffering, { memRequestBodyBytes: "1000", memResponseBodyBytes: "1000" });
  const exchange = request({ method: "POST", body: stream(300_000) });
  await run({ ...hooks, onDone: () => {} }, exchange, (x) =>
    answer(x, 200, ["Content-Length", "1"], stream(200_001)),
  );
  const sent = await drain(exchange.requestBody);
  assert.equal(sent.bytes.equals(Buffer.alloc(300_000, 97)), true);
  assert.ok(sent.chunks > 1, "read back in pieces");
  const reply = await drain(exchange.replyBody, true);
  assert.equal(reply.bytes.equals(Buffer.alloc(200_001, 97)), true);
  assert.ok(reply.chunks > 1, "read back in pieces");
  assert.deepEqual(exchange.replyHeaders, [], "the length is the body's own");
  hooks.onDone!(exchange);
  assert.equal((await drain(exchange.replyBody)).fault?.code, "internal", "and the file is gone afterwards");
});

test("a body that fails while it is read fails the request", async () => {
  const hooks = make(buffering, {});
  const body: BodySource = {
    length: -1,
    flow: (sink) => sink.fail(FAULTS["client-gone"]),
    resume() {},
    cancel() {},
  };
  await assert.rejects(async () => hooks.onRequest!(request({ body })), /closed the connection/);
});

test("upgrades, HEAD and empty bodies pass through", async () => {
  const hooks = make(buffering, { maxRequestBodyBytes: "1", maxResponseBodyBytes: "1" });
  assert.equal(hooks.onRequest!(request({ upgrade: "websocket", body: stream(10) })), undefined);
  assert.equal(hooks.onRequest!(request()), undefined);
  const head = request({ method: "HEAD" });
  answer(head, 200, ["Content-Length", "99"], "");
  assert.equal(hooks.onResponse!(head), undefined);
});

test("retryExpression decides about another try, for requests with a body, ten times at most", () => {
  const asks = (
    retryExpression: string,
    status: number,
    attempts: number,
    exchange: Exchange = request({ method: "POST", body: "x" }),
  ) => make(buffering, { retryExpression }).retry!.again!(exchange, status, attempts);
  assert.equal(asks("IsNetworkError() && Attempts() < 2", 502, 1), true);
  assert.equal(asks("IsNetworkError() && Attempts() < 2", 504, 2), false);
  assert.equal(asks("IsNetworkError()", 503, 1), false);
  assert.equal(asks("ResponseCode() == 503 || ResponseCode() >= 520", 503, 1), true);
  assert.equal(asks("ResponseCode() != 503", 503, 1), false);
  assert.equal(asks('RequestMethod() == "POST"', 500, 1), true);
  assert.equal(asks('RequestMethod() == "GET"', 500, 1), false);
  assert.equal(asks("IsNetworkError()", 502, 1, request()), false, "no body");
  assert.equal(make(buffering, { retryExpression: "Attempts() <= 2" }).retry!.attemptsMax, 10);
  assert.equal(make(buffering, {}).retry, undefined);
});

test("a retryExpression that makes no sense is shown with the place", () => {
  const wrong = (retryExpression: string) => problemsOf(buffering, { retryExpression }).join();
  assert.match(wrong("Attempts() <"), /column 13: expected a number/);
  assert.match(wrong("Nope() > 1"), /there is no Nope\(\); there are IsNetworkError\(\)/);
  assert.match(wrong("Attempts()"), /must be compared with a number/);
  assert.match(wrong('Attempts() > "x"'), /must be compared with a number/);
  assert.match(wrong("IsNetworkError() > 1"), /is not compared/);
  assert.match(wrong("IsNetworkError(1)"), /takes 0 numbers, found 1/);
});

/** Sends what it is told to, and never ends. */
function endless(): BodySource & { say(text: string): boolean; cancelled: boolean } {
  let sink: BodySink | undefined;
  return {
    length: -1,
    cancelled: false,
    flow: (to) => {
      sink = to;
    },
    say: (text) => sink!.data(Buffer.from(text)),
    resume() {},
    cancel() {
      this.cancelled = true;
    },
  };
}

for (const type of ["text/event-stream; charset=utf-8", "application/grpc+proto"]) {
  test(`buffering lets replies of ${type} pass as they come, and maxResponseBodyBytes cuts them`, async () => {
    for (const [max, cut] of [
      ["0", false],
      ["6", true],
    ] as const) {
      const events = endless();
      const hooks = make(buffering, { maxResponseBodyBytes: max });
      const exchange = request();
      await run(hooks, exchange, (x) => answer(x, 200, ["Content-Type", type], events));
      let got = "";
      let fault = "";
      exchange.replyBody.flow({
        data: (chunk) => {
          got += chunk;
          return true;
        },
        end() {},
        fail: (why) => {
          fault = why.code;
        },
      });
      events.say("one");
      assert.equal(got, "one", "at once");
      events.say("two");
      events.say("three");
      assert.equal(got, cut ? "onetwo" : "onetwothree");
      assert.equal(fault, cut ? "reply-too-large" : "");
      assert.equal(events.cancelled, cut);
    }
  });
}
