import assert from "node:assert/strict";
import { after, test } from "node:test";
import { eventually, startProduct } from "../e2e/harness.ts";
import { talk } from "../gateway/plane.ts";
import { wait } from "./kit.ts";
import { type Heard, startRecorder } from "./strict-reader.ts";

/**
 * Requests that two readers might tell apart differently, through everything that has its hands on bodies. A server
 * gets exactly one request for one that was accepted, none for one that was refused, and never the bytes of one as
 * another.
 */

const app = await startRecorder();
const copy = await startRecorder();
const auth = await startRecorder();
const LIMIT = 2000;
const THROUGH = [
  "plain",
  "buffering",
  "retry",
  "mirroring",
  "failover",
  "compress",
  "grpcweb",
  "auth",
  "headers",
  "limited",
  "service",
  "everything",
] as const;
type Through = (typeof THROUGH)[number];
const router = (name: string, service: string, middlewares: string) =>
  `    ${name}: { rule: "Host(\`${name}.test\`)", service: ${service}, middlewares: [${middlewares}] }\n`;
const product = await startProduct({
  threads: 1,
  flags: ["--entryPoints.web.transport.maxConnectionsPerIP=0"],
  file: `
http:
  routers:
${router("plain", "app", "")}${router("buffering", "app", "buffering")}${router("retry", "app", "retry")}
${router("mirroring", "mirrored", "")}${router("failover", "spared", "")}${router("compress", "app", "compress")}
${router("grpcweb", "app", "grpcweb")}${router("auth", "app", "auth")}${router("headers", "app", "headers")}
${router("limited", "app", "limited")}${router("service", "small", "")}
${router("everything", "mirrored", "headers, compress, buffering, auth, retry, grpcweb")}
  middlewares:
    buffering: { buffering: { memRequestBodyBytes: 2 } }
    retry: { retry: { attempts: 3 } }
    compress: { compress: { minResponseBodyBytes: 1 } }
    grpcweb: { grpcWeb: { allowOrigins: ["*"] } }
    auth: { forwardAuth: { address: "${auth.url}/auth", forwardBody: true } }
    headers: { headers: { customRequestHeaders: { X-Set: "1", X-Gone: "" } } }
    limited: { buffering: { maxRequestBodyBytes: ${LIMIT} } }
  services:
    app: { loadBalancer: { servers: [ { url: "${app.url}" } ] } }
    small: { loadBalancer: { servers: [ { url: "${app.url}" } ] }, limits: { body: ${LIMIT} } }
    copy: { loadBalancer: { servers: [ { url: "${copy.url}" } ] } }
    mirrored: { mirroring: { service: app, mirrors: [ { name: copy, percent: 100 } ] } }
    spared: { failover: { service: app, fallback: copy, errors: { status: ["500-599"], maxRequestBodyBytes: 100000 } } }
`,
});
after(async () => {
  await product[Symbol.asyncDispose]();
  for (const one of [app, copy, auth]) await one[Symbol.asyncDispose]();
});

interface Attempt {
  readonly name: string;
  readonly head: string;
  readonly rest: string;
  /** What the application gets as the body; undefined: the request is refused. */
  readonly body: string | undefined;
}

const INNER = "GET /smuggled HTTP/1.1\r\nHost: plain.test\r\n\r\n";
const HELLO = "5\r\nhello\r\n0\r\n\r\n";
const hex = (text: string) => text.length.toString(16);
const chunks = (text: string) => `${hex(text)}\r\n${text}\r\n0\r\n\r\n`;

const refused = (name: string, head: string, rest: string): Attempt => ({
  name,
  head,
  rest,
  body: undefined,
});
const accepted = (name: string, head: string, rest: string, body: string): Attempt => ({
  name,
  head,
  rest,
  body,
});

/** A body that is framed in chunks to one reader, by its length to another. */
const twoWays = (coding: string): [string, string] => [
  `Content-Length: ${chunks("hello").length}\r\n${coding}\r\n`,
  chunks("hello") + INNER,
];
const CODINGS = [
  "Transfer-Encoding: chunked",
  "Transfer-Encoding: Chunked",
  "transfer-encoding:chunked",
  "Transfer-Encoding: xchunked",
  "Transfer-Encoding: identity",
  "Transfer-Encoding: gzip, chunked",
  "Transfer-Encoding: chunked, identity",
  "Transfer-Encoding: ,chunked",
  "Transfer-Encoding: chunked,",
  "Transfer-Encoding: chunked;x=1",
  "Transfer-Encoding: 'chunked'",
  "Transfer-Encoding: \x0bchunked",
  "Transfer-Encoding: chunked\0",
  "Transfer-Encoding:",
  "Transfer-Encoding : chunked",
  "Transfer-Encoding\t: chunked",
  " Transfer-Encoding: chunked",
  "Transfer-Encoding\r\n : chunked",
  "Transfer-Encoding:\r\n chunked",
  "X: y\r\n\tTransfer-Encoding: chunked",
  "X: y\nTransfer-Encoding: chunked",
  "X: y\rTransfer-Encoding: chunked",
  "X: y\0Transfer-Encoding: chunked",
  "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
  "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
  "Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
  "\0Transfer-Encoding: chunked",
  "Transfer-Encoding\0: chunked",
];
const LENGTHS = [
  "+5",
  "-5",
  "0x5",
  "5 5",
  "5, 5",
  "5,6",
  "5;",
  "05",
  "5\0",
  "",
  "1e1",
  "5_0",
  "18446744073709551621",
];
const SIZES = [
  "0x5",
  "+5",
  "-5",
  " 5",
  "5 ",
  "5\t",
  "",
  "5_0",
  "5;",
  "5;a=",
  '5;a="',
  "5 ;a",
  "5;a\rb",
  "5;a\0b",
].concat([
  "5\n",
  "g",
  "10000000000000005",
  "ffffffffffffffff",
  "0000000000000000000005",
  "5;a\nGET /smuggled HTTP/1.1",
]);
const TRAILERS = [
  "Content-Length: 5",
  "Transfer-Encoding: chunked",
  "Host: plain.test",
  "X: y\n",
  "X: y\r",
  "X: a\0b",
  "X : y",
  " X: y",
  "X: y\r\n z",
  "no colon",
];

const ATTEMPTS: readonly Attempt[] = [
  refused(
    "TE.CL, the chunk hiding a request",
    "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
    chunks(INNER),
  ),
  refused("CL.0, with a coding of HTTP/1.0", "Content-Length: 0\r\nTransfer-Encoding: identity\r\n", INNER),
  ...CODINGS.map((coding) => refused(`CL.TE by ${JSON.stringify(coding)}`, ...twoWays(coding))),
  ...CODINGS.slice(3).map((coding) =>
    refused(`TE alone, ${JSON.stringify(coding)}`, `${coding}\r\n`, `0\r\n\r\n${INNER}`),
  ),
  ...LENGTHS.map((length) =>
    refused(`length ${JSON.stringify(length)}`, `Content-Length: ${length}\r\n`, `hello${INNER}`),
  ),
  refused("two lengths", "Content-Length: 5\r\nContent-Length: 0\r\n", `hello${INNER}`),
  refused("two lengths alike", "Content-Length: 5\r\nContent-Length: 5\r\n", `hello${INNER}`),
  refused("length of a spaced name", "Content-Length : 5\r\n", `hello${INNER}`),
  refused(
    "a length that Connection names",
    "Connection: Content-Length\r\nContent-Length: 5\r\n",
    `hello${INNER}`,
  ),
  refused(
    "a coding that Connection names",
    "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n",
    HELLO,
  ),
  refused("another Host", "Host: plain.test\r\nContent-Length: 5\r\n", `hello${INNER}`),
  refused("an obscured expectation", "Expect: y 100-continue\r\nContent-Length: 5\r\n", `hello${INNER}`),
  refused(
    "two expectations",
    "Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 5\r\n",
    `hello${INNER}`,
  ),
  refused(
    "an upgrade with a body",
    "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n",
    `hello${INNER}`,
  ),
  refused("a folded line", "X: y\r\n Content-Length: 5\r\n", INNER),
  refused("a header's end by LF", "Content-Length: 5\n", `hello${INNER}`),
  refused("a head's end by LF", "Content-Length: 5\r\n\n", `hello${INNER}`),
  ...SIZES.map((size) =>
    refused(`chunk size ${JSON.stringify(size)}`, CHUNKED(), `${size}\r\nhello\r\n0\r\n\r\n${INNER}`),
  ),
  ...SIZES.map((size) =>
    refused(
      `second chunk size ${JSON.stringify(size)}`,
      CHUNKED(),
      `2\r\nhi\r\n${size}\r\nhello\r\n0\r\n\r\n${INNER}`,
    ),
  ),
  refused("an extension of 20 KB", CHUNKED(), `5;a=${"b".repeat(20_000)}\r\nhello\r\n0\r\n\r\n${INNER}`),
  refused("a chunk longer than its size", CHUNKED(), `4\r\nhello\r\n0\r\n\r\n${INNER}`),
  refused("a chunk shorter than its size", CHUNKED(), `6\r\nhello\r\n0\r\n\r\n${INNER}`),
  refused("a chunk that ends by LF", CHUNKED(), `5\r\nhello\n0\r\n\r\n${INNER}`),
  refused("a last chunk that ends by LF", CHUNKED(), `5\r\nhello\r\n0\n\n${INNER}`),
  refused("a last chunk's CR and something else", CHUNKED(), `5\r\nhello\r\n0\r\n\rX${INNER}`),
  ...TRAILERS.map((line) =>
    refused(`trailer ${JSON.stringify(line)}`, CHUNKED(), `5\r\nhello\r\n0\r\n${line}\r\n\r\n${INNER}`),
  ),

  accepted("a request as the body", `Content-Length: ${INNER.length}\r\n`, INNER, INNER),
  accepted("a request as a chunk", CHUNKED(), chunks(INNER), INNER),
  accepted("chunks within a chunk", CHUNKED(), chunks(HELLO), HELLO),
  accepted("extensions", CHUNKED(), `5;a=b;c="d e";f\r\nhello\r\n0;x\r\n\r\n`, "hello"),
  accepted("leading zeros of a size", CHUNKED(), "0005\r\nhello\r\n000\r\n\r\n", "hello"),
  accepted(
    "a request as an extension's text",
    CHUNKED(),
    `5;a="GET /smuggled HTTP/1.1"\r\nhello\r\n0\r\n\r\n`,
    "hello",
  ),
  accepted(
    "a request in a trailer",
    CHUNKED(),
    "5\r\nhello\r\n0\r\nX: GET /smuggled HTTP/1.1\r\n\r\n",
    "hello",
  ),
  accepted(
    "trailers of bad names",
    CHUNKED(),
    "5\r\nhello\r\n0\r\nCookie: a\r\nTE: b\r\nX_Host: c\r\n\r\n",
    "hello",
  ),
  accepted(
    "other spellings of names",
    "Transfer_Encoding: chunked\r\nContent.Length: 1\r\nContent-Length: 5\r\n",
    "hello",
    "hello",
  ),
  accepted("no body, and what looks like one", "Content-Length: 0\r\n", "", ""),
  accepted("an expectation", "Expect: 100-continue\r\nContent-Length: 5\r\n", "hello", "hello"),
];

function CHUNKED(): string {
  return "Transfer-Encoding: chunked\r\n";
}

/** What gRPC-Web is written for, so that it has its hands on the body. */
const typeOf = (through: Through) =>
  through === "grpcweb" || through === "everything" ? "Content-Type: application/grpc-web+proto\r\n" : "";
const replied = (text: string) => text.match(/HTTP\/1\.1 [2-5]\d\d /g)?.length ?? 0;

/** All of it at once, and in two pieces, the second of which begins in the middle of the body. */
const cuts = (bytes: string, at: number) => [[bytes], [bytes.slice(0, at), bytes.slice(at)]];

async function attempt(one: Attempt, number: number, through: Through): Promise<void> {
  const head = `POST /outer HTTP/1.1\r\nHost: ${through}.test\r\n${typeOf(through)}${one.head}\r\n`;
  for (const [cut, pieces] of cuts(head + one.rest, head.length + Math.ceil(one.rest.length / 2)).entries()) {
    const id = `${number}-${through}-${cut}`;
    const about = `${one.name}, through ${through}, in ${pieces.length} pieces`;
    pieces[0] = pieces[0]!.replace("/outer", `/outer-${id}`);
    const next = `GET /next-${id} HTTP/1.1\r\nHost: ${through}.test\r\nConnection: close\r\n\r\n`;
    // A second request behind a good one shows that the first ended where it should have.
    const text = await talk(product.ports.get("web")!, one.body === undefined ? pieces : [...pieces, next]);
    const mine = ({ path }: Heard) => path.endsWith(`-${id}`);
    const seen = () => app.requests().filter(mine);
    if (one.body === undefined) {
      assert.doesNotMatch(text, /HTTP\/1\.1 2/, about);
      assert.ok(replied(text) <= 1, `${about}: ${text}`);
      assert.deepEqual(seen(), [], about);
      continue;
    }
    assert.equal(text.match(/HTTP\/1\.1 200 /g)?.length, 2, `${about}: ${text}`);
    assert.equal(replied(text), 2, about);
    const wanted = { [`/outer-${id}`]: one.body, [`/next-${id}`]: "" };
    assert.equal(seen().length, 2, about);
    assert.deepEqual(bodies(seen()), wanted, about);
    if (through !== "mirroring" && through !== "everything") continue;
    const copied = () => copy.requests().filter(mine);
    await eventually(() => assert.equal(copied().length, 2, about));
    assert.deepEqual(bodies(copied()), wanted, about);
  }
}

/** By path: two requests may have gone by two connections. */
const bodies = (heard: readonly Heard[]) => Object.fromEntries(heard.map(({ path, body }) => [path, body]));

for (const [number, one] of ATTEMPTS.entries()) {
  test(`H1-01 to H1-28 ${one.name} is ${one.body === undefined ? "refused" : "one request"}, whatever handles its body`, async () => {
    await Promise.all(THROUGH.map((through) => attempt(one, number, through)));
  });
}

for (const through of ["limited", "service"] as const) {
  for (const [how, bytes] of [
    ["by its length", `Content-Length: ${INNER.length * 1000}\r\n\r\n${INNER.repeat(1000)}`],
    ["in chunks", `${CHUNKED()}\r\n${chunks(INNER.repeat(1000))}`],
    ["in many chunks", `${CHUNKED()}\r\n${`${hex(INNER)}\r\n${INNER}\r\n`.repeat(1000)}0\r\n\r\n`],
  ]) {
    test(`H1-30 what is left of a body that is too large ${how} is no request, before the ${through} limit`, async () => {
      const before = app.requests().length;
      const text = await talk(
        product.ports.get("web")!,
        `POST /large HTTP/1.1\r\nHost: ${through}.test\r\nConnection: close\r\n${bytes}`,
      );
      assert.match(text, /^HTTP\/1\.1 413 /);
      assert.equal(replied(text), 1);
      await wait(50);
      assert.equal(app.requests().length, before);
    });
  }
}

test("H1-01 to H1-30 no server has heard a byte of all these that was not plain HTTP, nor a hidden request", async () => {
  for (const recorder of [app, copy, auth])
    for (const { path } of recorder.requests()) assert.doesNotMatch(path, /smuggled/);
  for (const { path, headers, body } of auth.requests()) {
    assert.equal(path, "/auth");
    const [, uri = ""] = headers.find(([name]) => name === "x-forwarded-uri") ?? [];
    const [, number] = /-(\d+)-/.exec(uri) ?? [];
    assert.equal(body, uri.startsWith("/next") ? "" : ATTEMPTS[Number(number)]!.body, uri);
  }
  assert.deepEqual(
    product.log.filter(({ level }) => level === "error"),
    [],
  );
});
