import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, test } from "node:test";
import { startProduct } from "../e2e/harness.ts";
import { replies, talk } from "../gateway/plane.ts";
import { answerHeads, site, startRaw, wait } from "./kit.ts";

const raw = await startRaw(answerHeads());
const product = await startProduct({ file: site(raw.url), threads: 1 });
const port = product.ports.get("web")!;
after(async () => {
  await product[Symbol.asyncDispose]();
  await raw[Symbol.asyncDispose]();
});

const INNER = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
const POST = "POST / HTTP/1.1\r\nHost: a\r\n";
const REFUSED: Readonly<Record<string, string>> = {
  "CL.TE": `${POST}Content-Length: ${5 + INNER.length}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${INNER}`,
  "TE.CL behind a space": `${POST}Transfer-Encoding : chunked\r\nContent-Length: 4\r\n\r\n23\r\n${INNER}\r\n0\r\n\r\n`,
  "TE.CL behind a vertical tab": `${POST}Transfer-Encoding: \x0bchunked\r\nContent-Length: 4\r\n\r\n23\r\n${INNER}`,
  "TE.TE": `${POST}Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n${INNER}`,
  "TE identity": `${POST}Transfer-Encoding: identity\r\nContent-Length: 4\r\n\r\nabcd`,
  "a folded line": `${POST}Transfer-Encoding:\r\n chunked\r\nContent-Length: 4\r\n\r\nabcd`,
  "two lengths in one": `${POST}Content-Length: 4, 4\r\n\r\nabcd`,
  "a signed length": `${POST}Content-Length: +4\r\n\r\nabcd`,
  "a length nominated by Connection": `${POST}Connection: content-length\r\nContent-Length: 4\r\n\r\nabcd`,
  "bare LF in a chunk's size": `${POST}Transfer-Encoding: chunked\r\n\r\n2\nab\r\n0\r\n\r\n`,
  "bare LF in a chunk's extension": `${POST}Transfer-Encoding: chunked\r\n\r\n2;\n2\r\nab\r\n0\r\n\r\n`,
  "a chunk of 2^64": `${POST}Transfer-Encoding: chunked\r\n\r\n10000000000000002\r\nab\r\n0\r\n\r\n`,
  "a length in the trailers": `${POST}Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nContent-Length: 5\r\n\r\n`,
  "a WebSocket upgrade with a body":
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 4\r\n\r\nabcd",
  "a WebSocket upgrade of no version":
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 777\r\n\r\n",
  "an absolute form of another host": "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
  "user information in the target": "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n",
  "two hosts": "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
  "a host with a path": "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
  "an escaped slash": "GET /a%2f..%2fb HTTP/1.1\r\nHost: a\r\n\r\n",
  "a backslash": "GET /a\\..\\b HTTP/1.1\r\nHost: a\r\n\r\n",
  "an escaped NUL": "GET /a%00b HTTP/1.1\r\nHost: a\r\n\r\n",
  "a target that begins with a user": "GET @evil/ HTTP/1.1\r\nHost: a\r\n\r\n",
  "TE in HTTP/1.0": "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
};

for (const [name, bytes] of Object.entries(REFUSED)) {
  test(`${name} is answered once with 400, and no server hears the request inside`, async () => {
    const before = raw.heard.join("").length;
    const text = await talk(port, bytes);
    assert.match(text, /^HTTP\/1\.1 400 /);
    assert.equal(text.split("HTTP/1.1 ").length, 2, text);
    const heard = raw.heard.join("").slice(before);
    assert.ok(!heard.includes("/smuggled"), heard);
    assert.ok(!/0\r\n\r\n$/.test(heard), "no broken body is completed");
  });
}

test("h2c, nominated credentials and other spellings of forwarded headers never reach a server", async () => {
  const before = raw.heard.join("").length;
  const head = [
    "GET /forged HTTP/1.1",
    "Host: a",
    "Connection: Upgrade, HTTP2-Settings, X-Forwarded-For, X-Real-Ip",
    "Upgrade: h2c",
    "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
    "X_Forwarded_For: 6.6.6.6",
    "X.Forwarded.For: 6.6.6.6",
    "x-forwarded-for: 6.6.6.6",
    "X-Real-IP: 6.6.6.6",
    "Forwarded: for=6.6.6.6",
    "X-Forwarded-Prefix: /6.6.6.6",
    "Transfer_Encoding: chunked",
  ];
  await talk(port, `${head.join("\r\n")}\r\n\r\n`, replies(1));
  const heard = raw.heard.join("").slice(before);
  assert.match(heard, /GET \/forged /);
  assert.doesNotMatch(heard, /6\.6\.6\.6|h2c|settings|upgrade|chunked/i);
  assert.match(heard, /\r\nX-Forwarded-For: 127\.0\.0\.1\r\n/);
});

for (const [written, path] of [
  ["//evil.example/x", "/evil.example/x"],
  ["/a/%2e%2e/%2E%2e/b", "/b"],
  ["/%61dmin/../%61dmin", "/admin"],
  ["/a//b/./c/..", "/a/b/"],
  ["/../../etc/passwd", "/etc/passwd"],
  ["/a%252e%252e%252fb", "/a%252e%252e%252fb"],
] as const) {
  test(`the path ${written} is matched and sent as ${path}`, async () => {
    const before = raw.heard.join("").length;
    await talk(port, `GET ${written} HTTP/1.1\r\nHost: a\r\n\r\n`, replies(1));
    const sent = raw.heard.join("").slice(before).split(" ")[1];
    assert.equal(sent, path);
  });
}

test("a client that floods its connection while a reply is under way is not read on", async () => {
  await using silent = await startRaw(() => {});
  await using slow = await startProduct({ file: site(silent.url), threads: 1 });
  const socket = connect(slow.ports.get("web")!, "127.0.0.1");
  socket.on("error", () => {});
  socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  while (silent.heard.length === 0) await wait(10);
  const piece = Buffer.alloc(1 << 20, 0x41);
  for (let i = 0; i < 32; i++) socket.write(piece);
  await wait(1000);
  // What the kernel buffers is a few megabytes at most.
  assert.ok(socket.writableLength > 20 << 20, `${32 - (socket.writableLength >> 20)} MB were taken`);
  socket.destroy();
});
