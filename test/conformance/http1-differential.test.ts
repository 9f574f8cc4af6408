import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, test } from "node:test";
import fc from "fast-check";
import { talk } from "../gateway/plane.ts";
import { read } from "./http1-reader.ts";

interface Understood {
  method: string;
  body: string;
}

/** By connection, because a connection's last request may be understood after its run is over. */
const byConnection = new WeakMap<object, Understood[]>();
let understood: Understood[] = [];
const node = createServer(
  { requestTimeout: 300, headersTimeout: 300, connectionsCheckingInterval: 50 },
  (request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => {
      body += chunk.toString("latin1");
    });
    request.on("end", () => {
      byConnection.get(request.socket)!.push({ method: request.method!, body });
      response.end("ok");
    });
    request.on("error", () => {});
  },
);
node.on("connection", (socket) => {
  understood = [];
  byConnection.set(socket, understood);
});
node.on("checkContinue", (request, response) => node.emit("request", request, response));
node.listen(0, "127.0.0.1");
await once(node, "listening");
const { port } = node.address() as AddressInfo;
after(() => {
  node.closeAllConnections();
  node.close();
});

const SEEDS = [
  "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
  "GET /a/b?c=d HTTP/1.1\r\nHost: a.example:80\r\nAccept: */*\r\nCookie: a=b\r\n\r\n",
  "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
  "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
  "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nA: b\r\n\r\n",
  "POST / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi",
  "GET / HTTP/1.1\r\nHost: a\r\nConnection: close, x\r\nX: y\r\n\r\n",
  "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
];
const BITS = [
  "\r",
  "\n",
  "\r\n",
  " ",
  "\t",
  ":",
  ",",
  ";",
  "\0",
  "\x80",
  "0",
  "1",
  "5",
  "f",
  "chunked",
  "Content-Length: 3\r\n",
  "Transfer-Encoding: chunked\r\n",
  "Host: b\r\n",
  "\x0b",
  "_",
  "-",
  "+",
  "0x",
  "/../",
  "%2e",
  "#",
];

/** A good request with a few bytes taken out or put in. */
const mangled = fc
  .tuple(
    fc.constantFrom(...SEEDS),
    fc.array(fc.tuple(fc.nat(200), fc.nat(3), fc.constantFrom("", "", ...BITS)), {
      minLength: 0,
      maxLength: 3,
    }),
  )
  .map(([seed, edits]) => {
    let text = seed;
    for (const [at, cut, put] of edits) {
      const from = at % (text.length + 1);
      text = text.slice(0, from) + put + text.slice(from + cut);
    }
    return text;
  });

test("H1-33 mangled bytes have one verdict, wherever they are cut, and never throw", async () => {
  await fc.assert(
    fc.asyncProperty(mangled, fc.nat(), async (text, seed) => {
      const whole = await read([text]);
      const at = seed % (text.length + 1);
      const cut = await read([text.slice(0, at), text.slice(at)].filter((piece) => piece !== ""));
      assert.deepEqual(cut.statuses, whole.statuses);
      const bodies = (reading: typeof whole) =>
        reading.requests.filter(({ complete }) => complete).map(({ body }) => body);
      assert.deepEqual(bodies(cut), bodies(whole));
    }),
    { numRuns: 3000 },
  );
});

test("whatever is understood here is understood in the same way by node:http", async () => {
  let compared = 0;
  await fc.assert(
    fc.asyncProperty(mangled, async (text) => {
      const ours = await read([text]);
      const complete = ours.requests.filter((request) => request.complete);
      if (complete.length === 0) return;
      // Node knows a fixed list of methods, answers upgrades with silence, and ours answers the rest of the rows.
      if (complete.some(({ exchange }) => !/^(?:GET|POST|PUT)$/.test(exchange.method) || exchange.upgrade))
        return;
      // Nor does it take bytes beyond ASCII in a target, which are escaped here.
      if (/^.*[\x80-\xff].* HTTP\/1/m.test(text)) return;
      understood = [];
      compared++;
      await talk(port, [text], (sofar) => sofar.split("HTTP/1.1 ").length > complete.length, 3000).catch(
        () => "",
      );
      const theirs = understood.slice(0, complete.length);
      assert.deepEqual(
        theirs,
        complete.map(({ exchange, body }) => ({ method: exchange.method, body })),
      );
    }),
    { numRuns: 400 },
  );
  assert.ok(compared > 50, `${compared} compared`);
});
