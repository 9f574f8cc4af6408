import assert from "node:assert/strict";
import { test } from "node:test";
import { OK, Plane, replying, TestServer, talk } from "../gateway/plane.ts";
import { read } from "./http1-reader.ts";

const HOST = "Host: a.example\r\n";
const get = (headers: string) => `GET / HTTP/1.1\r\n${HOST}${headers}\r\n`;
const post = (headers: string, body = "hello") => `POST / HTTP/1.1\r\n${HOST}${headers}\r\n${body}`;
const websocket = (headers: string) =>
  get(
    `Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${headers}`,
  );
const chunked = (body: string) => post("Transfer-Encoding: chunked\r\n", body);
const line = (text: string) => `${text}\r\n${HOST}\r\n`;

const bytesWhere = (fits: (byte: number) => boolean) =>
  Array.from({ length: 256 }, (_, byte) => byte)
    .filter(fits)
    .map((byte) => String.fromCharCode(byte));
/** All control characters but the tab; CR and LF have rows of their own. */
const CONTROLS = bytesWhere((byte) => byte === 0x7f || (byte < 0x20 && ![0x09, 0x0a, 0x0d].includes(byte)));
/** Bytes that no header name may have. The colon ends it. */
const NO_TOKEN = bytesWhere((byte) => !/[!#$%&'*+.^_`|~0-9A-Za-z:\r\n-]/.test(String.fromCharCode(byte)));

/** Row, what it is about, the bytes, and the only status there may be. */
const REFUSED: [row: string, about: string, bytes: string, status: number][] = [
  ["H1-01", "both lengths", post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400],
  [
    "H1-01",
    "both lengths, the other way round",
    post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"),
    400,
  ],
  ["H1-02", "two different lengths", post("Content-Length: 5\r\nContent-Length: 6\r\n"), 400],
  ["H1-03", "two equal lengths", post("Content-Length: 5\r\nContent-Length: 5\r\n"), 400],
  ["H1-03", "a list of equal lengths", post("Content-Length: 5, 5\r\n"), 400],
  ["H1-04", "an empty length", post("Content-Length: \r\n"), 400],
  ["H1-04", "a length after a comma", post("Content-Length: ,5\r\n"), 400],
  ...["+5", "-5", "0x5", "5_0", "5 5", "5a", "9007199254740993", "99999999999999999999", "5.0", "\x0b5"].map(
    (value): [string, string, string, number] => [
      "H1-05",
      `length ${JSON.stringify(value)}`,
      post(`Content-Length: ${value}\r\n`),
      400,
    ],
  ),
  ["H1-06", "a length with a leading zero", post("Content-Length: 010\r\n"), 400],
  ...[
    "identity",
    "xchunked",
    "chunked;q=1",
    "\x0bchunked",
    "chunked\x00",
    '"chunked"',
    "chunked, identity",
    "",
  ].map((value): [string, string, string, number] => [
    "H1-07",
    `coding ${JSON.stringify(value)}`,
    post(`Transfer-Encoding: ${value}\r\n`, "0\r\n\r\n"),
    400,
  ]),
  ["H1-07", "a known other coding", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 501],
  ["H1-08", "a coding after a comma", post("Transfer-Encoding: ,chunked\r\n", "0\r\n\r\n"), 400],
  ["H1-08", "a coding before a comma", post("Transfer-Encoding: chunked,\r\n", "0\r\n\r\n"), 400],
  [
    "H1-08",
    "two codings",
    post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
    400,
  ],
  ["H1-09", "a space before the colon", post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"), 400],
  ["H1-09", "a tab before the colon", post("Content-Length\t: 5\r\n"), 400],
  [
    "H1-10",
    "a coding in HTTP/1.0",
    `POST / HTTP/1.0\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    400,
  ],
  ["H1-11", "a folded line", get("X-A: 1\r\n 2\r\n"), 400],
  ["H1-12", "bare LF line ends", "GET / HTTP/1.1\nHost: a.example\n\n", 400],
  ["H1-12", "one bare LF", get("X-A: 1\nX-B: 2\r\n"), 400],
  ["H1-12", "a bare CR", get("X-A: 1\rX-B: 2\r\n"), 400],
  ["H1-12", "CR CR LF", get("X-A: 1\r\r\n"), 400],
  [
    "H1-12",
    "CR LF CR and something else",
    `GET / HTTP/1.1\r\n${HOST}\r\nX\r\n\r\n`.replace("\r\n\r\nX", "\r\n\rX"),
    400,
  ],
  ["H1-12", "a bare LF after an impossible version", "GET / HTTP/9.9\nHost: a.example\r\n\r\n", 400],
  ...CONTROLS.map((byte): [string, string, string, number] => [
    "H1-13",
    `byte ${byte.charCodeAt(0)} in a value`,
    get(`X-A: a${byte}b\r\n`),
    400,
  ]),
  ...["", ...NO_TOKEN.map((byte) => `X${byte}A`)].map((name): [string, string, string, number] => [
    "H1-13",
    `name ${JSON.stringify(name)}`,
    get(`${name}: 1\r\n`),
    400,
  ]),
  ["H1-13", "a line without a colon", get("X-A\r\n"), 400],
  ["H1-15", "whitespace before the first header", `GET / HTTP/1.1\r\n ${HOST}\r\n`, 400],
  ["H1-16", "no Host", "GET / HTTP/1.1\r\nX-A: 1\r\n\r\n", 400],
  ["H1-16", "two Hosts", get("Host: b.example\r\n"), 400],
  ...[
    "a b",
    "user@a",
    "a,b",
    "a/b",
    "a:99999",
    "a:",
    "[::1",
    "::1",
    "a..b",
    ".a",
    "ä",
    "a%2fb",
    "a\\b",
    "a.".repeat(140),
    "[fe80::1%25eth0]",
    "[1.2.3.4]",
    "b\xfccher.example",
  ].map((host): [string, string, string, number] => [
    "H1-16",
    `Host ${JSON.stringify(host)}`,
    `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
    400,
  ]),
  ["H1-17", "an absolute target for another host", line("GET http://b.example/ HTTP/1.1"), 400],
  [
    "H1-17",
    "an absolute target with userinfo",
    "GET http://u@a.example/ HTTP/1.1\r\nHost: u@a.example\r\n\r\n",
    400,
  ],
  ["H1-17", "an absolute target of another scheme", line("GET ftp://a.example/ HTTP/1.1"), 400],
  ["H1-17", "an absolute target without a host", line("GET http:///x HTTP/1.1"), 400],
  ["H1-18", "CONNECT", line("CONNECT a.example:443 HTTP/1.1"), 501],
  ["H1-18", "CONNECT to port 0", line("CONNECT a.example:0 HTTP/1.1"), 400],
  ["H1-18", "CONNECT without a port", line("CONNECT a.example: HTTP/1.1"), 400],
  ["H1-18", "authority form with another method", line("GET a.example:80 HTTP/1.1"), 400],
  ["H1-19", "* with another method than OPTIONS", line("GET * HTTP/1.1"), 400],
  ...["/a#b", "/a b", "/a\x01", "/a\\b", '/a"b', "/a<b", "/a>b", "/?a#b", '/?a"b', "/?a\\b"].map(
    (target): [string, string, string, number] => [
      "H1-20",
      `target ${JSON.stringify(target)}`,
      line(`GET ${target} HTTP/1.1`),
      400,
    ],
  ),
  ["H1-21", "a method that is no token", line("G(T / HTTP/1.1"), 400],
  ["H1-21", "an endless method", line(`${"A".repeat(33)} / HTTP/1.1`), 400],
  ["H1-21", "TRACE", line("TRACE / HTTP/1.1"), 405],
  ["H1-22", "HTTP/1.2", line("GET / HTTP/1.2"), 400],
  ["H1-22", "HTTP/1.32", line("GET / HTTP/1.32"), 400],
  ["H1-22", "http/1.1", line("GET / http/1.1"), 400],
  ["H1-22", "HTTP/2.0", line("GET / HTTP/2.0"), 505],
  ["H1-22", "no version", "GET /\r\n\r\n", 400],
  ["H1-23", "the HTTP/2 preface after HTTP/1.1 was spoken", "PRI * HTTP/2.0\r\n\r\n", 400],
  ...["0x1", "+1", "-1", "1_0", "", " 1", "11111111111111111", "ffffffffffffffff", "g", "1 ;a", "\n1"].map(
    (size): [string, string, string, number] => [
      "H1-24",
      `chunk size ${JSON.stringify(size)}`,
      chunked(`${size}\r\nx\r\n0\r\n\r\n`),
      400,
    ],
  ),
  ["H1-25", "chunk data that goes on", chunked("1\r\nxy\r\n0\r\n\r\n"), 400],
  ["H1-25", "chunk data before a bare LF", chunked("1\r\nx\n0\r\n\r\n"), 400],
  ["H1-25", "a chunk size before a bare LF", chunked("1\nx\r\n0\r\n\r\n"), 400],
  ["H1-25", "a bare CR in an extension", chunked("1;a\rb\r\nx\r\n0\r\n\r\n"), 400],
  ["H1-25", "an unbalanced quote in an extension", chunked('1;a="b\r\nx\r\n0\r\n\r\n'), 400],
  ["H1-25", "white space in an extension", chunked("1;\ta=b\r\nx\r\n0\r\n\r\n"), 400],
  ["H1-25", "an extension without a name", chunked("1;\r\nx\r\n0\r\n\r\n"), 400],
  ["H1-26", "many short extensions", chunked(`${`1;${"a".repeat(400)}\r\nx\r\n`.repeat(50)}0\r\n\r\n`), 400],
  ["H1-28", "more trailers than may be", chunked(`0\r\n${"A: b\r\n".repeat(65)}\r\n`), 400],
  ["H1-28", "trailers without end", chunked(`0\r\nA: ${"b".repeat(17_000)}\r\n\r\n`), 400],
  ["H1-26", "extensions without end", chunked(`1;${"a".repeat(17_000)}\r\nx\r\n0\r\n\r\n`), 400],
  ["H1-28", "a trailer that is no header", chunked("1\r\nx\r\n0\r\nbad trailer\r\n\r\n"), 400],
  ["H1-28", "a trailer that frames", chunked("1\r\nx\r\n0\r\nContent-Length: 5\r\n\r\n"), 400],
  ["H1-31", "an obfuscated Expect", post("Content-Length: 5\r\nExpect: y 100-continue\r\n"), 417],
  [
    "H1-31",
    "two Expects",
    post("Content-Length: 5\r\nExpect: 100-continue\r\nExpect: 100-continue\r\n"),
    417,
  ],
  ["H1-34", "a request line that is too long", line(`GET /${"a".repeat(8200)} HTTP/1.1`), 414],
  ["H1-34", "too many headers", get("X-A: 1\r\n".repeat(100)), 431],
  ["H1-34", "a head that is too large", get(`X-A: ${"a".repeat(33_000)}\r\n`), 431],
  ["HD-05", "Connection that names Host", get("Connection: close, Host\r\n"), 400],
  [
    "HD-05",
    "Connection that names Content-Length",
    post("Content-Length: 5\r\nConnection: Content-Length\r\n"),
    400,
  ],
  [
    "HD-05",
    "Connection that names Transfer-Encoding",
    post("Transfer-Encoding: chunked\r\nConnection: transfer-encoding\r\n", "0\r\n\r\n"),
    400,
  ],
  [
    "WS-02",
    "an upgrade with a length",
    get("Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n"),
    400,
  ],
  ["WS-02", "an upgrade with a body", `${websocket("Content-Length: 5\r\n")}hello`, 400],
  ["WS-02", "an upgrade with chunks", `${websocket("Transfer-Encoding: chunked\r\n")}0\r\n\r\n`, 400],
  ["WS-04", "a WebSocket handshake by POST", websocket("").replace("GET", "POST"), 400],
  ["WS-04", "a WebSocket handshake in HTTP/1.0", websocket("").replace("HTTP/1.1", "HTTP/1.0"), 400],
  ["WS-04", "two keys", websocket("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), 400],
  ["WS-04", "a key of another length", websocket("").replace("dGhlIHNhbXBs", "dGhl"), 400],
  [
    "WS-04",
    "a WebSocket handshake without a key",
    get("Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"),
    400,
  ],
  [
    "WS-04",
    "a WebSocket handshake of another version",
    get(
      "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 12\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    ),
    400,
  ],
  ["PR-02", "an encoded slash", line("GET /a%2fb HTTP/1.1"), 400],
  ["PR-02", "an encoded backslash", line("GET /a%5cb HTTP/1.1"), 400],
  ["PR-02", "an encoded NUL", line("GET /a%00b HTTP/1.1"), 400],
  ["PR-03", "an escape that is none", line("GET /a%zz HTTP/1.1"), 400],
  ["PR-03", "a % at the end", line("GET /a% HTTP/1.1"), 400],
];

const SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n";

for (const [row, about, bytes, status] of REFUSED) {
  test(`${row} ${about} is refused with ${status}, and what follows is not read`, async () => {
    const { requests, statuses, closed, faults, text } = await read([bytes + SMUGGLED]);
    assert.deepEqual(statuses, [status]);
    assert.ok(closed);
    assert.match(text, /\r\nConnection: close\r\n|^$/);
    assert.equal(faults.length, 1, "one reason for the log");
    assert.ok(requests.every(({ complete, exchange }) => !complete && exchange.path !== "/smuggled"));
  });
}

test("no byte of a refused input reaches a server, and the log is told why it was refused", async (t) => {
  const backend = await replying(OK).start();
  t.after(() => backend.close());
  const plane = await new Plane({ servers: [new TestServer(backend.port)] }).start();
  t.after(() => plane.close());
  for (const [row, about, bytes, status] of REFUSED) {
    const before = plane.refused.length + plane.done.length;
    // The preface of HTTP/2 is taken for that by an entry point that has heard nothing else yet.
    if (row === "H1-23") continue;
    const text = await talk(plane.port, bytes + SMUGGLED);
    assert.match(text, new RegExp(`^HTTP/1\\.1 ${status} `), `${row} ${about}`);
    assert.doesNotMatch(backend.text, /smuggled/, `${row} ${about}`);
    while (plane.refused.length + plane.done.length === before) await new Promise(setImmediate);
    const fault = plane.refused.at(-1)?.fault ?? plane.done.at(-1)?.fault;
    assert.equal(fault?.source, "client", `${row} ${about}`);
    // A chunk after good ones may be found bad when the head has left: then the message is never completed.
    if (backend.text === "") continue;
    assert.doesNotMatch(backend.text, /0\r\n\r\n$/, `${row} ${about}`);
    backend.received.length = 0;
  }
  assert.equal(plane.upstream.open, 0);
});

test("H1-33 every refused input has the same verdict when it is split at any byte", async () => {
  const differ: string[] = [];
  for (const [row, about, bytes, status] of REFUSED) {
    if (bytes.length > 600) continue;
    for (let at = 1; at < bytes.length; at++) {
      const { requests, statuses } = await read([bytes.slice(0, at), bytes.slice(at) + SMUGGLED]);
      if (statuses.length !== 1 || statuses[0] !== status || requests.some(({ complete }) => complete)) {
        differ.push(`${row} ${about} at ${at}: ${statuses}`);
      }
    }
  }
  assert.deepEqual(differ, []);
});

test("H1-33 every refused input has the same verdict when it comes one byte at a time", async () => {
  for (const [row, about, bytes, status] of REFUSED) {
    if (bytes.length > 600) continue;
    const { statuses } = await read([...bytes, ...SMUGGLED]);
    assert.deepEqual(statuses, [status], `${row} ${about}`);
  }
});

test("H1-34 large inputs are refused at their limit, however they are cut", async () => {
  for (const [row, about, bytes, status] of REFUSED) {
    if (bytes.length <= 600) continue;
    for (const size of [997, 4096]) {
      const pieces: string[] = [];
      for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.slice(at, at + size));
      const { statuses } = await read(pieces);
      assert.deepEqual(statuses, [status], `${row} ${about}`);
    }
  }
});

/** What must be understood, and as what. */
const GOOD: [row: string, about: string, bytes: string, path: string, body: string][] = [
  ["H1-14", "obs-text in a value", get("X-A: \x80\xff\r\n"), "/", ""],
  ["H1-17", "an absolute target", "GET http://a.example/x?y HTTP/1.1\r\nHost: a.example\r\n\r\n", "/x", ""],
  [
    "H1-17",
    "an absolute target without a path",
    "GET http://a.example HTTP/1.1\r\nHost: a.example\r\n\r\n",
    "/",
    "",
  ],
  ["H1-17", "an absolute target without a Host", "GET http://b.example/x HTTP/1.0\r\n\r\n", "/x", ""],
  ["H1-19", "OPTIONS *", line("OPTIONS * HTTP/1.1"), "*", ""],
  ["H1-25", "a good chunked body", chunked("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"), "/", "hello world"],
  ["H1-27", "a chunk extension", chunked('5;a=b;c="d;e"\r\nhello\r\n0\r\n\r\n'), "/", "hello"],
  ["H1-28", "trailers", chunked("5\r\nhello\r\n0\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n"), "/", "hello"],
  ["H1-33", "an empty line before the request", `\r\n${get("")}`, "/", ""],
  ["H1-33", "a body with a length", post("Content-Length: 5\r\n"), "/", "hello"],
  ["PR-01", "dot segments", line("GET /public/../admin/./x//y HTTP/1.1"), "/admin/x/y", ""],
  ["PR-01", "dot segments above the root", line("GET /../../admin HTTP/1.1"), "/admin", ""],
  ["PR-01", "two slashes at the start", line("GET //admin HTTP/1.1"), "/admin", ""],
  ["PR-02", "encoded dot segments", line("GET /a/%2e%2E/%61dmin HTTP/1.1"), "/admin", ""],
  ["PR-02", "other escapes", line("GET /a%3fb%23c%25d%3be%7cf HTTP/1.1"), "/a%3Fb%23c%25d%3Be%7Cf", ""],
  [
    "PR-03",
    "an encoded tab, a space and dots at the end",
    line("GET /admin%09/b%20/c. HTTP/1.1"),
    "/admin%09/b%20/c.",
    "",
  ],
  ["PR-03", "overlong and invalid UTF-8", line("GET /%c0%ae%c0%ae/%ff HTTP/1.1"), "/%C0%AE%C0%AE/%FF", ""],
  ["PR-03", "a semicolon", line("GET /admin;x=1 HTTP/1.1"), "/admin;x=1", ""],
  [
    "PR-03",
    "what browsers send raw",
    line("GET /a|b{c}[d]^`\xe4 HTTP/1.1"),
    "/a%7Cb%7Bc%7D%5Bd%5D%5E%60%E4",
    "",
  ],
];

for (const [row, about, bytes, path, body] of GOOD) {
  test(`${row} ${about} is understood, whole and split at any byte`, async () => {
    for (let at = 0; at < bytes.length; at++) {
      const { requests, statuses } = await read(
        [bytes.slice(0, at), bytes.slice(at)].filter((piece) => piece !== ""),
      );
      assert.deepEqual(statuses, [200], `at ${at}`);
      assert.equal(requests[0]!.exchange.path, path);
      assert.equal(requests[0]!.body, body);
    }
  });
}

test("H1-14 obs-text reaches the exchange byte for byte", async () => {
  const { requests } = await read([get("X-A: \x80\xff\r\n")]);
  assert.equal(requests[0]!.exchange.headers[1], "\x80\xff");
});

test("H1-14 obs-text reaches the server and comes back byte for byte", async (t) => {
  const backend = await replying("HTTP/1.1 200 OK\r\nX-B: \xfe\x81\r\nContent-Length: 0\r\n\r\n").start();
  t.after(() => backend.close());
  const plane = await new Plane({ servers: [new TestServer(backend.port)] }).start();
  t.after(() => plane.close());
  const text = await talk(plane.port, get("X-A: \x80\xff\r\nConnection: close\r\n"));
  assert.match(backend.text, /\r\nX-A: \x80\xff\r\n/);
  assert.match(text, /\r\nX-B: \xfe\x81\r\n/);
});

test("H1-17 the host of an absolute target is the one that is routed by and sent on", async () => {
  const { requests } = await read(["GET http://B.example:81/x HTTP/1.0\r\n\r\n"]);
  assert.equal(requests[0]!.exchange.host, "b.example");
  assert.equal(requests[0]!.exchange.authority, "B.example:81");
});

test("H1-31 an HTTP/1.0 client is not told to continue", async () => {
  const { text } = await read([
    `POST / HTTP/1.0\r\n${HOST}Expect: 100-continue\r\nContent-Length: 2\r\n\r\nhi`,
  ]);
  assert.match(text, /^HTTP\/1\.1 200/);
});

test("H1-29 pipelined requests are answered in order, and a bad one ends the connection", async () => {
  const one = (path: string) => `GET ${path} HTTP/1.1\r\n${HOST}\r\n`;
  const { requests, statuses, closed } = await read([
    `${one("/1")}${one("/2")}${chunked("3\r\nabc\r\n0\r\n\r\n")}GET / HTTP/9\r\n\r\n${one("/3")}`,
  ]);
  assert.deepEqual(
    requests.map(({ exchange }) => exchange.path),
    ["/1", "/2", "/"],
  );
  assert.deepEqual(statuses, [200, 200, 200, 400]);
  assert.ok(closed);
});

test("H1-29 a thousand pipelined requests are answered without deep recursion", async () => {
  const { statuses } = await read([get("").repeat(1000)]);
  assert.equal(statuses.length, 1000);
});

test("H1-32 what follows Connection: close is not read", async () => {
  const { requests, statuses, closed } = await read([get("Connection: close\r\n") + SMUGGLED]);
  assert.deepEqual(statuses, [200]);
  assert.equal(requests.length, 1);
  assert.ok(closed);
});

test("an HTTP/1.0 client is served, and kept only when it asks for it", async () => {
  assert.ok((await read(["GET / HTTP/1.0\r\n\r\n"])).closed);
  const kept = await read(["GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n"]);
  assert.deepEqual(kept.statuses, [200, 200]);
});

const FORWARDED = get(
  "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\nX-Real-IP: 1.1.1.1\r\nForwarded: for=1.1.1.1\r\n" +
    "X-Forwarded-Tls-Client-Cert: x\r\nX-Forwarded-Tls-Client-Cert-Info: x\r\nX-Forwarded-Prefix: /x\r\n" +
    "X-Forwarded-Port: 1\r\nX-Forwarded-Server: x\r\nX-Forwarded-Uri: /x\r\nX-Forwarded-Method: X\r\n" +
    "X-FORWARDED-HOST: evil\r\nX-Other: 1\r\n",
);

test("HD-01 what an untrusted peer says about the client is replaced", async () => {
  const { requests } = await read([FORWARDED]);
  assert.deepEqual(requests[0]!.exchange.headers, [
    "X-Other",
    "1",
    // It says that it was here before, which a loop is counted by.
    "Via",
    "1.1 waybill",
    "X-Real-Ip",
    "192.0.2.1",
    "X-Forwarded-Proto",
    "http",
    "X-Forwarded-Port",
    "80",
    "X-Forwarded-Host",
    "a.example",
    "X-Forwarded-Server",
    "proxy",
  ]);
});

test("HD-02 what a trusted peer says about the client stays", async () => {
  const { requests } = await read([FORWARDED], { "forwardedHeaders.trustedIPs": "192.0.2.0/24" });
  const { headers } = requests[0]!.exchange;
  assert.ok(headers.includes("https") && headers.includes("evil") && headers.includes("for=1.1.1.1"));
  assert.equal(headers[headers.indexOf("X-Forwarded-Port") + 1], "1");
});

test("HD-04 Connection takes out what it names, but not what this proxy sets", async () => {
  const trusted = { "forwardedHeaders.insecure": "true" };
  const bytes = get(
    "X-Secret: 1\r\nX-Forwarded-For: 9.9.9.9\r\nAuthorization: x\r\nConnection: x-sEcret, X-Forwarded-For, X-Real-Ip, Authorization\r\n",
  );
  const { requests } = await read([bytes], trusted);
  const { headers } = requests[0]!.exchange;
  assert.ok(!headers.includes("X-Secret") && !headers.includes("Authorization"));
  assert.ok(headers.includes("9.9.9.9") && headers.includes("X-Real-Ip"));
});

test("HD-04 no spelling of a header that this proxy sets can be taken out", async () => {
  const names = ["For", "Proto", "Host", "Port", "Server", "Prefix", "Uri", "Method", "Tls-Client-Cert"];
  for (const spell of [(name: string) => name.toUpperCase(), (name: string) => name.toLowerCase()]) {
    const sent = names.map((name) => `X-Forwarded-${name}: kept\r\n`).join("");
    const nominated = names.map((name) => spell(`X-Forwarded-${name}`)).join(" ,\t");
    const { requests } = await read([get(`${sent}Connection: ${nominated}\r\n`)], {
      "forwardedHeaders.insecure": "true",
    });
    // The server's name is always ours.
    assert.equal(requests[0]!.exchange.headers.filter((text) => text === "kept").length, names.length - 1);
  }
});

test("HD-05 Connection may name Cookie, which is then gone", async () => {
  const { requests } = await read([get("Cookie: a=b\r\nConnection: close, Cookie\r\n")]);
  assert.ok(!requests[0]!.exchange.headers.includes("Cookie"));
});

test("HD-06 names with an underscore or a dot are dropped, refused or kept", async () => {
  const bytes = get("X_Forwarded_For: 1.1.1.1\r\nX-Auth_User: root\r\nX.Y: 1\r\n");
  const dropped = (await read([bytes])).requests[0]!.exchange.headers;
  assert.ok(!dropped.some((text) => /_|X\.Y/.test(text)));
  const strategy = "http.underscoreHeadersStrategy";
  assert.deepEqual((await read([bytes], { [strategy]: "reject" })).statuses, [400]);
  const kept = (await read([bytes], { [strategy]: "keep" })).requests[0]!.exchange.headers;
  assert.ok(kept.includes("X-Auth_User") && !kept.includes("X_Forwarded_For"));
});

test("HD-11 hop-by-hop headers go no further", async () => {
  const { requests } = await read([
    get(
      "Keep-Alive: 1\r\nProxy-Connection: x\r\nProxy-Authorization: x\r\nTE: trailers\r\nTrailer: x\r\nUpgrade: h2c\r\nConnection: upgrade, HTTP2-Settings\r\nHTTP2-Settings: x\r\n",
    ),
  ]);
  const { exchange } = requests[0]!;
  assert.equal(exchange.headers[0], "X-Real-Ip");
  assert.equal(exchange.upgrade, undefined, "WS-03 H2-22: other protocols are not switched to");
  assert.ok(exchange.acceptsTrailers);
});

test("HD-13 headers with the names of object members are headers like others", async () => {
  const { requests } = await read([get("__proto__: 1\r\nconstructor: 2\r\nhasOwnProperty: 3\r\n")], {
    "http.underscoreHeadersStrategy": "keep",
  });
  assert.deepEqual(requests[0]!.exchange.headers.slice(0, 6), [
    "__proto__",
    "1",
    "constructor",
    "2",
    "hasOwnProperty",
    "3",
  ]);
});

test("PR-08 hosts have one form", async () => {
  const forms = new Map([
    ["A.Example.", "a.example"],
    ["a.example:8080", "a.example"],
    ["[2001:DB8::1]:443", "2001:db8::1"],
    ["127.0.0.1", "127.0.0.1"],
    ["under_score", "under_score"],
  ]);
  for (const [host, canonical] of forms) {
    const { requests } = await read([`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`]);
    assert.equal(requests[0]!.exchange.host, canonical);
  }
});

test("PR-13 queries go on untouched, and semicolons escaped when that is asked for", async () => {
  const bytes = line("GET /?a;b&a=1&a=2&%zz&x=[1]|{2} HTTP/1.1");
  assert.equal((await read([bytes])).requests[0]!.exchange.query, "a;b&a=1&a=2&%zz&x=[1]|{2}");
  const encoded = await read([bytes], { "http.encodeQuerySemicolons": "true" });
  assert.equal(encoded.requests[0]!.exchange.query, "a%3Bb&a=1&a=2&%zz&x=[1]|{2}");
});

test("PR-13 a query of ten thousand keys is passed on", async () => {
  const query = Array.from({ length: 10_000 }, (_, i) => `k${i}`).join("&");
  const { requests } = await read([line(`GET /?${query} HTTP/1.1`)], {
    "http.maxRequestLineBytes": "100000",
    "http.maxHeaderBytes": "200000",
  });
  assert.equal(requests[0]!.exchange.query, query);
});

test("PR-14 methods are what the request line says", async () => {
  const { requests } = await read([get("X-HTTP-Method-Override: DELETE\r\n")]);
  assert.equal(requests[0]!.exchange.method, "GET");
});

test("encoded characters pass where the entry point allows them, and paths stay as they are without sanitizePath", async () => {
  const allowed = await read([line("GET /a%2fb/../c HTTP/1.1")], {
    "http.encodedCharacters.allowEncodedSlash": "true",
    "http.sanitizePath": "false",
  });
  assert.equal(allowed.requests[0]!.exchange.path, "/a%2Fb/../c");
});
