import assert from "node:assert/strict";
import { test } from "node:test";
import type { BodySink, BodySource } from "../../src/model/body.ts";
import { FAULTS } from "../../src/model/fault.ts";
import { PeekedBody } from "../../src/model/peeked-body.ts";
import { drain } from "../middleware/harness.ts";

/** A source that is driven by hand, and reuses its buffer as soon as it is told that it may. */
class HandSource implements BodySource {
  readonly length = -1;
  readonly #buffer = Buffer.alloc(100);
  sink: BodySink | undefined;
  isHeld = false;

  flow(sink: BodySink): void {
    this.sink = sink;
  }

  send(text: string): void {
    assert.ok(!this.isHeld, "nothing is sent while the sink holds a chunk");
    this.#buffer.fill(0);
    this.#buffer.write(text);
    this.isHeld = !this.sink!.data(this.#buffer.subarray(0, text.length));
  }

  resume(): void {
    this.isHeld = false;
  }

  cancel(): void {}
}

test("a peek waits for so many bytes, keeps them and passes everything on in order", async () => {
  const source = new HandSource();
  const peek = PeekedBody.peek(source, 5, 10_000);
  source.send("abc");
  source.send("def");
  const body = await peek;
  assert.equal(String(body.beginning), "abcdef");
  assert.equal(body.isWhole, false);
  assert.ok(source.isHeld, "the source waits until the body flows");
  const all = drain(body);
  source.send("ghi");
  source.sink!.end(["x-a", "1"]);
  assert.deepEqual(
    { ...(await all), bytes: String((await all).bytes) },
    { bytes: "abcdefghi", trailers: ["x-a", "1"], fault: undefined, chunks: 2 },
  );
});

test("a peek at a short body has all of it", async () => {
  const source = new HandSource();
  const peek = PeekedBody.peek(source, 5, 10_000);
  source.send("abc");
  source.sink!.end(undefined);
  const body = await peek;
  assert.equal(body.isWhole, true);
  assert.equal(String((await drain(body, true)).bytes), "abc");
});

test("a peek loses patience, and what comes between then and the flow is held", async () => {
  const source = new HandSource();
  const body = await PeekedBody.peek(source, 5, 1);
  assert.equal(body.beginning.length, 0);
  source.send("abc");
  assert.ok(source.isHeld);
  const all = drain(body, true);
  await new Promise((resolve) => setImmediate(resolve));
  source.send("def");
  source.sink!.end(undefined);
  assert.equal(String((await all).bytes), "abcdef");
});

test("a slow sink holds the source, and hears of the end after the last chunk", async () => {
  const source = new HandSource();
  const peek = PeekedBody.peek(source, 1, 10_000);
  source.send("a");
  const body = await peek;
  const heard: string[] = [];
  body.flow({
    data: (chunk) => {
      heard.push(String(chunk));
      return false;
    },
    end: () => void heard.push("end"),
    fail: () => void heard.push("fail"),
  });
  assert.deepEqual(heard, ["a"]);
  assert.ok(source.isHeld);
  body.resume();
  source.send("b");
  source.sink!.end(undefined);
  assert.deepEqual(heard, ["a", "b"]);
  body.resume();
  assert.deepEqual(heard, ["a", "b", "end"]);
});

test("a body that fails during the peek fails when it flows", async () => {
  const source = new HandSource();
  const peek = PeekedBody.peek(source, 5, 10_000);
  source.send("ab");
  source.sink!.fail(FAULTS["upstream-truncated"]);
  const body = await peek;
  assert.equal(body.isWhole, false);
  const { bytes, fault } = await drain(body);
  assert.equal(String(bytes), "ab");
  assert.equal(fault?.code, "upstream-truncated");
});
