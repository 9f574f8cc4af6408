import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { after, test } from "node:test";
import { type Product, startProduct } from "../e2e/harness.ts";
import { replies, talk } from "../gateway/plane.ts";
import { site, startRaw, wait } from "./kit.ts";

let answer = "";
const raw = await startRaw((socket, text) => {
  if (text.includes("\r\n\r\n")) socket.write(answer, "latin1");
});
const product = await startProduct({ file: site(raw.url), threads: 1 });
const port = product.ports.get("web")!;
after(async () => {
  await product[Symbol.asyncDispose]();
  await raw[Symbol.asyncDispose]();
});

const OK = "HTTP/1.1 200 OK\r\n";
const BAD: Readonly<Record<string, string>> = {
  "both framings": `${OK}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  "a CR inside a header": `${OK}X: a\rSet-Cookie: b=c\r\nContent-Length: 0\r\n\r\n`,
  "a NUL inside a header": `${OK}X: a\0b\r\nContent-Length: 0\r\n\r\n`,
  "an interim reply with a body": `HTTP/1.1 103 E\r\nContent-Length: 3\r\n\r\nabc${OK}Content-Length: 0\r\n\r\n`,
  "a switch nobody asked for": "HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nevil",
  "status 000": "HTTP/1.1 000 X\r\nContent-Length: 0\r\n\r\n",
  "no HTTP": "evil\r\n\r\n",
  "a nominated cookie": `${OK}Connection: set-cookie\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n`,
  "a head of two megabytes": `${OK}X: ${"a".repeat(2_000_000)}\r\n\r\n`,
  "a negative chunk": `${OK}Transfer-Encoding: chunked\r\n\r\n-1\r\nabc`,
};

for (const [what, bytes] of Object.entries(BAD)) {
  test(`a server's reply with ${what} becomes one 502 without anything of it`, async () => {
    answer = bytes;
    const text = await talk(port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", replies(1));
    assert.match(text, /^HTTP\/1\.1 502 /);
    assert.doesNotMatch(text, /Set-Cookie|evil|abc/);
  });
}

test("a connection that a server says it closes is not used again, whatever else it says", async () => {
  answer = `${OK}Connection: close\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n`;
  const before = raw.heard.length;
  for (let i = 0; i < 3; i++) await talk(port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", replies(1));
  const used = raw.heard.slice(before).map((text) => text.split("GET ").length - 1);
  assert.ok(
    used.every((requests) => requests <= 1),
    `${used}`,
  );
});

test("interim replies without end are 32 for the client, and then 502", async () => {
  answer = `${"HTTP/1.1 103 E\r\nLink: x\r\n\r\n".repeat(100)}${OK}Content-Length: 0\r\n\r\n`;
  const text = await talk(port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", (got) => got.includes(" 502 "));
  assert.equal(text.split(" 103 ").length - 1, 32);
});

test("what a server adds to its reply is nobody's reply", async () => {
  answer = `${OK}Content-Length: 2\r\n\r\nok${OK}Content-Length: 4\r\n\r\nevil`;
  for (let i = 0; i < 5; i++) {
    const text = await talk(port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(2), replies(2));
    assert.doesNotMatch(text, /evil/);
  }
});

for (const head of ["HTTP/1.1 204 No Content", "HTTP/1.1 304 Not Modified"]) {
  test(`a body behind ${head} goes nowhere`, async () => {
    answer = `${head}\r\nContent-Length: 4\r\n\r\nevil`;
    const pair = "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert.doesNotMatch(await talk(port, pair), /evil/);
  });
}

test("a server that takes the body of a GET for a request answers it to nobody (0.CL)", async () => {
  const late = createServer((socket) => {
    let text = "";
    let asked = 0;
    socket.on("error", () => {});
    socket.on("data", async (chunk: Buffer) => {
      text += chunk.toString("latin1");
      while (text.split("\r\n\r\n").length - 1 > asked) {
        const path = /^GET (\S+)/.exec(text.split("\r\n\r\n")[asked++]!.trimStart())?.[1] ?? "";
        // The answer to the inner request comes when the connection may be somebody else's.
        if (path === "/inner") await wait(100);
        socket.write(`${OK}Content-Length: ${path.length}\r\n\r\n${path}`);
      }
    });
  });
  late.listen(0, "127.0.0.1");
  await once(late, "listening");
  const { port: latePort } = late.address() as AddressInfo;
  await using one = await startProduct({ file: site(`http://127.0.0.1:${latePort}`), threads: 1 });
  const inner = "GET /inner HTTP/1.1\r\nHost: a\r\n\r\n";
  const outer = `GET /outer HTTP/1.1\r\nHost: a\r\nContent-Length: ${inner.length}\r\n\r\n${inner}`;
  assert.match(await talk(one.ports.get("web")!, outer, replies(1)), /\/outer$/);
  const victim = await one.get("a", "/victim");
  assert.equal(victim.body, "/victim");
  late.close();
});

const withRetry = (urls: readonly string[], options: string) =>
  site(urls.join("\n          - url: "), "PathPrefix(`/`)", "      middlewares: [again]") +
  `\n  middlewares:\n    again:\n      retry: { ${options} }\n`;

async function sentTo(method: string, options: string): Promise<number> {
  const servers = [];
  for (let i = 0; i < 3; i++)
    servers.push(await startRaw((socket, text) => void (text.includes("hello") && socket.destroy())));
  const product: Product = await startProduct({
    file: withRetry(
      servers.map(({ url }) => url),
      options,
    ),
    threads: 1,
  });
  const { status } = await product.get("a", "/", { method, body: "hello" });
  assert.equal(status, 502);
  await product[Symbol.asyncDispose]();
  for (const server of servers) await server[Symbol.asyncDispose]();
  return servers.reduce((sum, { heard }) => sum + heard.join("").split("hello").length - 1, 0);
}

test("retry sends no POST again that a server may have done, and a PUT as often as it says", async () => {
  assert.equal(await sentTo("POST", "attempts: 3"), 1);
  assert.equal(await sentTo("PUT", "attempts: 3"), 3);
  assert.equal(await sentTo("POST", "attempts: 3, retryNonIdempotentMethod: true"), 3);
});

test("retry waits for the only server there is", async () => {
  let open = 0;
  const server = createServer((socket) => {
    socket.on("error", () => {});
    if (++open < 3) return socket.destroy();
    socket.on("data", () => socket.end(`${OK}Content-Length: 2\r\n\r\nok`));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await using one = await startProduct({ file: withRetry([url], "attempts: 4"), threads: 1 });
  assert.equal((await one.get("a")).status, 200);
  server.close();
});
