import assert from "node:assert/strict";
import { after, afterEach, test } from "node:test";
import type { Exchange } from "../../src/model/exchange.ts";
import { CODE, frame, GET, headers, POST, RawClient, TYPE, uint32 } from "../conformance/http2-frames.ts";
import { eventually } from "../e2e/harness.ts";
import { Http2Port } from "../listen/http2-site.ts";
import { wait } from "./kit.ts";

/** HTTP/2 clients that leave in ways that Node does not tell. */

let handler: (exchange: Exchange) => void = () => {};
const port = await Http2Port.open((exchange) => handler(exchange));
after(() => port.close());
afterEach(() => {
  port.record.clear();
});

/** Takes one piece of the body and wants no more for now. */
const lazy = (exchange: Exchange) => exchange.requestBody.flow({ data: () => false, end() {}, fail() {} });

test("H2-09 broken frames after a GOAWAY do not keep the connection and its requests for ever", async () => {
  handler = () => {};
  const client = await RawClient.open(port.port);
  client.send(headers(1, GET), frame(TYPE.goaway, 0, 0, Buffer.alloc(8)), Buffer.alloc(3000, 0x77));
  await eventually(() => assert.equal(port.record.handled.length, 1));
  client.close();
  await eventually(() => assert.equal(port.record.done.length, 1), 15);
  await eventually(() => assert.equal(port.open, 0));
});

for (const [what, handle] of [
  ["waits for a server", lazy],
  [
    "is thrown away in the very moment",
    (exchange: Exchange) => {
      const { requestBody } = exchange;
      requestBody.flow({ data: () => false, end() {}, fail: () => requestBody.cancel() });
    },
  ],
  [
    "nobody wants",
    (exchange: Exchange) => {
      lazy(exchange);
      setTimeout(() => exchange.requestBody.cancel(), 30);
    },
  ],
] as const) {
  test(`SL-11 a request whose body ${what} ends when its client cancels it`, async () => {
    handler = handle;
    const client = await RawClient.open(port.port);
    client.send(headers(1, POST, false), frame(TYPE.data, 0, 1, Buffer.alloc(1000)));
    await eventually(() => assert.equal(port.record.handled.length, 1));
    client.send(frame(TYPE.data, 0, 1, Buffer.alloc(1000)));
    await wait(60);
    client.send(frame(TYPE.reset, 0, 1, uint32(CODE.cancel)));
    await eventually(() => assert.equal(port.record.done.length, 1), 5);
    assert.equal(port.record.left.length, 1);
    client.close();
  });
}
