import assert from "node:assert/strict";
import { test } from "node:test";
import { Plane, RawBackend, TestServer, talk } from "../gateway/plane.ts";
import { FaultProxy, type Trouble } from "./fault-proxy.ts";

const BODY = "0123456789".repeat(50);
const PLAIN = `HTTP/1.1 200 OK\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`;
const CHUNKED = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${BODY.length.toString(16)}\r\n${BODY}\r\n0\r\n\r\n`;
const POST = `POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`;
const GET = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";

const KINDS = ["reset", "truncate", "stall", "garbage"] as const;
const PLACES = [0, 10, 17, 60, 300, 540];
const troubles: Trouble[] = [{ kind: "none" }, { kind: "drip" }];
for (const kind of KINDS) for (const after of PLACES) troubles.push({ kind, after });

const SHORT = {
  "forwardingTimeouts.responseHeaderTimeout": "150ms",
  "forwardingTimeouts.idleReadTimeout": "150ms",
};
const IMPATIENT = {
  "transport.respondingTimeouts.headerTimeout": "200ms",
  "transport.respondingTimeouts.bodyIdleTimeout": "200ms",
};

const answering = () => {
  let turn = 0;
  return new RawBackend((socket, _chunk, all) => {
    const end = all.indexOf("\r\n\r\n") + 4;
    const length = Number(/content-length: (\d+)/i.exec(all)?.[1] ?? 0);
    if (end >= 4 && all.length >= end + length) socket.write(turn++ % 2 === 0 ? PLAIN : CHUNKED);
  });
};

/** Either the whole body, or something that no client takes for it. */
function isHonest(text: string): boolean {
  if (text === "") return true;
  const status = Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]);
  if (status >= 400) return true;
  const head = text.slice(0, text.indexOf("\r\n\r\n"));
  const body = text.slice(head.length + 4);
  const whole = /chunked/i.test(head) ? body.endsWith("0\r\n\r\n") : body.length >= BODY.length;
  return !whole || contentOf(text) === BODY;
}

/** The body of a reply, out of its chunks: how it was cut depends on when the server's bytes came. */
function contentOf(text: string): string {
  const headEnd = text.indexOf("\r\n\r\n") + 4;
  if (!/chunked/i.test(text.slice(0, headEnd))) return text.slice(headEnd);
  let content = "";
  for (let at = headEnd; ; ) {
    const lineEnd = text.indexOf("\r\n", at);
    const size = Number.parseInt(text.slice(at, lineEnd), 16);
    if (lineEnd < 0 || !(size > 0)) return content;
    content += text.slice(lineEnd + 2, lineEnd + 2 + size);
    at = lineEnd + 2 + size + 2;
  }
}

async function settled(plane: Plane): Promise<void> {
  for (let i = 0; plane.gateway.active > 0 && i < 500; i++)
    await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(plane.gateway.active, 0);
}

for (const request of [GET, POST]) {
  const method = request.slice(0, 4).trim();
  test(`BE-05 BE-09 trouble with a server never makes a ${method} reply look whole that is not`, async (t) => {
    const backend = await answering().start();
    t.after(() => backend.close());
    let trouble: Trouble = { kind: "none" };
    const faults = await new FaultProxy(backend.port, () => ({
      up: { kind: "none" },
      down: trouble,
    })).start();
    t.after(() => faults.close());
    // A whole reply may take as long as a busy machine needs; one that stays incomplete is given up soon.
    const [short, patient] = await Promise.all(
      [SHORT, {}].map((transport) =>
        new Plane({ servers: [new TestServer(faults.port)], transport }).start(),
      ),
    );
    t.after(() => {
      short!.close();
      patient!.close();
    });
    for (trouble of troubles) {
      const plane = trouble.kind === "none" || trouble.kind === "drip" ? patient! : short!;
      const text = await talk(plane.port, request.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
      assert.ok(isHonest(text), `${JSON.stringify(trouble)}: ${JSON.stringify(text)}`);
      if (trouble.kind === "none" || trouble.kind === "drip")
        assert.equal(contentOf(text), BODY, trouble.kind);
      plane.upstream.close();
    }
    for (const plane of [short!, patient!]) {
      await settled(plane);
      assert.deepEqual(plane.errors, []);
    }
  });

  test(`SL-11 trouble with a client of a ${method} leaves nothing behind and no server with half a request`, async (t) => {
    const backend = await answering().start();
    t.after(() => backend.close());
    const plane = await new Plane({
      servers: [new TestServer(backend.port)],
      transport: SHORT,
      entryPoint: IMPATIENT,
    }).start();
    t.after(() => plane.close());
    let trouble: Trouble = { kind: "none" };
    const faults = await new FaultProxy(plane.port, () => ({ up: trouble, down: { kind: "none" } })).start();
    t.after(() => faults.close());
    for (trouble of troubles) {
      await talk(faults.port, request.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
    }
    for (let i = 0; plane.gateway.active > 0 && i < 200; i++)
      await new Promise((resolve) => setTimeout(resolve, 10));
    assert.equal(plane.gateway.active, 0);
    assert.deepEqual(plane.errors, []);
  });
}
