import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  block,
  CODE,
  END_HEADERS,
  END_STREAM,
  frame,
  GET,
  headers,
  RawClient,
  TYPE,
} from "../conformance/http2-frames.ts";
import { Http2Port } from "./http2-site.ts";

/** A field block that does not end keeps all other streams of its connection from being heard. */

const begun = (stream: number) => frame(TYPE.headers, END_STREAM, stream, block(GET));
const ended = (stream: number) => frame(TYPE.continuation, END_HEADERS, stream);

for (const [what, ...frames] of [
  ["alone", begun(1)],
  ["while a request waits for its answer", headers(1, GET), begun(3)],
  ["right behind one that has ended", begun(1), Buffer.concat([ended(1), begun(3)])],
] as const) {
  test(`SL-01 a field block that does not end has the time of a head, ${what}`, async (t) => {
    const port = await Http2Port.open(
      () => {},
      (settings) => ({
        ...settings,
        transport: {
          ...settings.transport,
          respondingTimeouts: { ...settings.transport.respondingTimeouts, headerTimeout: 300 },
        },
      }),
    );
    t.after(() => port.close());
    const client = await RawClient.open(port.port);
    t.after(() => client.close());
    await client.settle();
    for (const bytes of frames) {
      client.send(bytes);
      await sleep(30);
    }
    await client.until(() => client.closed);
    assert.ok(client.closed);
    assert.equal(await client.goaway(), CODE.calm);
  });
}
