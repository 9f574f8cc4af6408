import assert from "node:assert/strict";
import { once } from "node:events";
import { afterEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { PLAIN_TLS, Plane, type PlaneOptions, RawBackend, replying, TestServer } from "../gateway/plane.ts";
import { makeCertificate } from "../tls/certificates.ts";
import { Http2Backend, Http2Client, type OnStream } from "./http2-backend.ts";

const open: { close(): void }[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

const certificate = await makeCertificate({ names: ["server.test"], ips: ["127.0.0.1"] });

async function backend(onStream: OnStream, options: Record<string, unknown> = {}): Promise<Http2Backend> {
  const server = await new Http2Backend(onStream, options).start();
  open.push(server);
  return server;
}

async function through(port: number, options: PlaneOptions = {}, scheme: "h2c" | "https" | "http" = "h2c") {
  const plane = await new Plane({ servers: [new TestServer(port, { scheme })], ...options }).start();
  const client = new Http2Client(`http://127.0.0.1:${plane.port}`);
  open.push(client, plane);
  return { plane, client };
}

const hello: OnStream = (stream) => {
  stream.respond({ ":status": 200, "content-type": "text/plain" });
  stream.end("hello");
};

test("a request goes to a server of scheme h2c and its reply comes back", async () => {
  let seen: Record<string, unknown> = {};
  const server = await backend((stream, headers) => {
    seen = headers;
    hello(stream, headers, []);
  });
  const { client } = await through(server.port);
  const reply = await client.ask({ ":path": "/a?b=c", ":authority": "app.test", "x-a": "1" });
  assert.deepEqual([reply.status, reply.text, reply.code], [200, "hello", 0]);
  assert.equal(seen[":path"], "/a?b=c");
  assert.equal(seen[":authority"], "app.test");
  assert.equal(seen["x-a"], "1");
  assert.equal(seen["x-forwarded-for"], "127.0.0.1");
});

test("H2-19 gRPC: trailers come through after a body, and alone", async () => {
  const server = await backend((stream, headers) => {
    assert.equal(headers["te"], "trailers");
    if (headers[":path"] === "/alone") {
      stream.respond(
        { ":status": 200, "content-type": "application/grpc", "grpc-status": "5" },
        { endStream: true },
      );
      return;
    }
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0", "grpc-message": "fine" }));
    stream.on("data", () => {});
    stream.on("end", () => stream.end("reply"));
  });
  const { client } = await through(server.port);
  const headers = { ":method": "POST", "content-type": "application/grpc", te: "trailers" };
  const reply = await client.ask({ ...headers, ":path": "/call" }, "request");
  assert.equal(reply.text, "reply");
  assert.deepEqual(Object.entries(reply.trailers ?? {}), [
    ["grpc-status", "0"],
    ["grpc-message", "fine"],
  ]);
  const alone = await client.ask({ ...headers, ":path": "/alone" }, "request");
  assert.equal(alone.headers["grpc-status"], "5");
  assert.equal(alone.code, 0);
});

test("gRPC: both sides of a stream talk in turns", async () => {
  const server = await backend((stream) => {
    stream.respond({ ":status": 200, "content-type": "application/grpc" });
    stream.on("data", (chunk) => stream.write(`echo ${chunk}`));
    stream.on("end", () => stream.end());
  });
  const { client } = await through(server.port);
  const stream = client.session.request({ ":method": "POST", ":path": "/" });
  for (const word of ["one", "two", "three"]) {
    stream.write(word);
    const [chunk] = await once(stream, "data");
    assert.equal(String(chunk), `echo ${word}`);
  }
  stream.end();
  await once(stream, "close");
  assert.equal(stream.rstCode, 0);
});

test("many requests share one connection to the server", async () => {
  const server = await backend(hello);
  const { client } = await through(server.port);
  const replies = await Promise.all(Array.from({ length: 80 }, () => client.ask({ ":path": "/" })));
  assert.ok(replies.every(({ status, text }) => status === 200 && text === "hello"));
  assert.equal(server.sessions.length, 1);
});

test("a server's limit of streams is kept, and the rest goes over further connections or waits", async () => {
  let most = 0;
  let now = 0;
  const server = await backend(
    (stream) => {
      most = Math.max(most, ++now);
      setTimeout(() => {
        now--;
        stream.respond({ ":status": 200 });
        stream.end("ok");
      }, 5);
    },
    { settings: { maxConcurrentStreams: 4 } },
  );
  const { client } = await through(server.port, { transport: { maxConnsPerHost: "2" } });
  await client.ask({ ":path": "/" });
  const replies = await Promise.all(Array.from({ length: 60 }, () => client.ask({ ":path": "/" })));
  assert.ok(replies.every(({ status }) => status === 200));
  assert.ok(most <= 8, `${most} at once`);
  assert.ok(server.sessions.length <= 2);
});

test("large bodies go both ways whole", async () => {
  const server = await backend((stream) => {
    stream.respond({ ":status": 200 });
    stream.pipe(stream);
  });
  const { client } = await through(server.port);
  const body = Buffer.alloc(3_000_000, "abcdefghij");
  const reply = await client.ask({ ":method": "POST", ":path": "/" }, body);
  assert.equal(reply.text.length, body.length);
  assert.equal(reply.text, body.toString());
});

test("H2-19 an HTTP/1.1 server serves an HTTP/2 client", async () => {
  const server = await replying(
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n",
  ).start();
  open.push(server);
  const { client } = await through(server.port, {}, "http");
  const reply = await client.ask({ ":path": "/", ":authority": "app.test", cookie: "a=1; b=2" });
  assert.equal(reply.text, "hello");
  assert.match(server.text, /^GET \/ HTTP\/1\.1\r\nHost: app\.test\r\n/);
  assert.equal(server.text.match(/cookie: /gi)?.length, 1);
});

test("interim replies are passed on", async () => {
  const server = await backend((stream) => {
    stream.additionalHeaders({ ":status": 103, link: "</a.css>; rel=preload" });
    hello(stream, {}, []);
  });
  const { client } = await through(server.port);
  const stream = client.session.request({ ":path": "/" });
  const [interim] = (await once(stream, "headers")) as [Record<string, unknown>];
  assert.equal(interim[":status"], 103);
  assert.equal(interim["link"], "</a.css>; rel=preload");
  stream.resume();
  await once(stream, "close");
});

test("a connection that takes no more requests is replaced, and the requests on it are finished", async () => {
  let finish: (() => void) | undefined;
  const server = await backend((stream, headers) => {
    stream.respond({ ":status": 200 });
    if (headers[":path"] === "/slow") finish = () => stream.end("slow");
    else stream.end("fast");
  });
  const { client } = await through(server.port);
  const slow = client.ask({ ":path": "/slow" });
  while (finish === undefined) await sleep(5);
  server.sessions[0]!.close();
  await sleep(30);
  assert.equal((await client.ask({ ":path": "/" })).text, "fast");
  assert.equal(server.sessions.length, 2);
  finish();
  assert.equal((await slow).text, "slow");
});

test("a request the server refused unseen is sent again, whatever its method", async () => {
  let times = 0;
  const server = await backend((stream, headers) => {
    if (++times === 1) stream.close(7);
    else hello(stream, headers, []);
  });
  const { client } = await through(server.port);
  const reply = await client.ask({ ":method": "DELETE", ":path": "/" });
  assert.equal(reply.status, 200);
  assert.equal(times, 2);
});

test("BE-05 a reply that is cut short is cut short for the client", async () => {
  const server = await backend((stream, headers) => {
    stream.respond({ ":status": 200 });
    stream.write("half");
    // Closing it would end it properly first.
    const cut = () => stream.destroy(new Error("cut"));
    setTimeout(() => (headers[":path"] === "/reset" ? cut() : stream.session?.destroy()), 30);
  });
  const { client } = await through(server.port);
  for (const path of ["/reset", "/gone"]) {
    const reply = await client.ask({ ":path": path });
    assert.equal(reply.text, "half");
    assert.notEqual(reply.code, 0, path);
  }
});

test("BE-05 a reset without an error before the announced end is a cut all the same", async () => {
  const server = await backend((stream) => {
    stream.respond({ ":status": 200, "content-length": "100" });
    stream.write("half");
    setTimeout(() => stream.close(0), 30);
  });
  const { client } = await through(server.port);
  assert.notEqual((await client.ask({ ":path": "/" })).code, 0);
});

test("BE-06 a server that does not begin its reply in time gives 504", async () => {
  const server = await backend(() => {});
  const { client } = await through(server.port, {
    transport: { "forwardingTimeouts.responseHeaderTimeout": "50ms" },
  });
  assert.equal((await client.ask({ ":path": "/" })).status, 504);
});

test("BE-08 a server that does not speak HTTP/2 at all gives 502", async () => {
  const server = await new RawBackend((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")).start();
  open.push(server);
  const { client } = await through(server.port);
  assert.equal((await client.ask({ ":path": "/" })).status, 502);
});

test("BE-01 a server that is not there gives 502", async () => {
  const { client } = await through(1);
  assert.equal((await client.ask({ ":path": "/" })).status, 502);
});

test("SL-11 a client that leaves has its request cancelled at the server", async () => {
  let cancelled: Promise<unknown> | undefined;
  const server = await backend((stream) => {
    cancelled = once(stream, "close").then(() => stream.rstCode);
  });
  const { client, plane } = await through(server.port);
  const stream = client.session.request({ ":path": "/" });
  stream.on("error", () => {});
  while (cancelled === undefined) await sleep(5);
  stream.close(8);
  assert.equal(await cancelled, 8);
  while (plane.done.length === 0) await sleep(5);
  assert.equal(plane.done[0]?.fault?.code, "client-gone");
  assert.equal(plane.gateway.active, 0);
});

// By default it waits fifteen seconds for the answer.
test("a connection that goes silent is found out by a ping", { timeout: 12_000 }, async () => {
  const server = await new RawBackend(() => {}).start();
  open.push(server);
  const { client } = await through(server.port, {
    transport: { "forwardingTimeouts.readIdleTimeout": "30ms", "forwardingTimeouts.pingTimeout": "30ms" },
  });
  assert.equal((await client.ask({ ":path": "/" })).status, 502);
});

test("an idle connection is closed after its time", async () => {
  const server = await backend(hello);
  const { client, plane } = await through(server.port, {
    transport: { "forwardingTimeouts.idleConnTimeout": "30ms" },
  });
  await client.ask({ ":path": "/" });
  assert.equal(plane.upstream.open, 1);
  await sleep(150);
  assert.equal(plane.upstream.open, 0);
});

test("BE-23 connections of a server that is gone are closed", async () => {
  const server = await backend(hello);
  const { client, plane } = await through(server.port);
  await client.ask({ ":path": "/" });
  const closed = once(server.sessions[0]!, "close");
  plane.upstream.forget([`test:127.0.0.1:${server.port}`]);
  assert.equal(plane.upstream.open, 0);
  await closed;
});

test("an https server that chooses HTTP/2 is spoken HTTP/2 to", async () => {
  const server = await backend(hello, { key: certificate.key, cert: certificate.chain });
  const tls = { ...PLAIN_TLS, ca: [certificate.chain] };
  const { client } = await through(server.port, { tls }, "https");
  assert.equal((await client.ask({ ":path": "/" })).text, "hello");
  assert.equal(server.sessions.length, 1);
});

test("an https server that chooses HTTP/1.1 is spoken HTTP/1.1 to, with bodies and all", async () => {
  const { createServer } = await import("node:https");
  const seen: string[] = [];
  const server = createServer({ key: certificate.key, cert: certificate.chain }, (request, response) => {
    seen.push(request.httpVersion);
    request.pipe(response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  open.push({ close: () => server.closeAllConnections() }, server);
  const port = (server.address() as { port: number }).port;
  const { client } = await through(port, { tls: { ...PLAIN_TLS, ca: [certificate.chain] } }, "https");
  for (let i = 0; i < 3; i++) {
    const replies = await Promise.all(
      ["a", "b"].map((body) => client.ask({ ":method": "POST", ":path": "/" }, body)),
    );
    assert.deepEqual(
      replies.map(({ text }) => text),
      ["a", "b"],
    );
  }
  assert.deepEqual(new Set(seen), new Set(["1.1"]));
});

test("BE-20 a certificate that is not trusted, or for another name, gives 502", async () => {
  const server = await backend(hello, { key: certificate.key, cert: certificate.chain });
  for (const tls of [PLAIN_TLS, { ...PLAIN_TLS, ca: [certificate.chain], serverName: "other.test" }]) {
    const { client } = await through(server.port, { tls }, "https");
    assert.equal((await client.ask({ ":path": "/" })).status, 502);
  }
});

test("disableHTTP2 is kept", async () => {
  const server = await backend(hello, { key: certificate.key, cert: certificate.chain, allowHTTP1: true });
  server.server.on("request", (request, response) => {
    if (request.httpVersionMajor === 1) (response as { end(text: string): void }).end("one");
  });
  const tls = { ...PLAIN_TLS, ca: [certificate.chain] };
  const { client } = await through(server.port, { tls, transport: { disableHTTP2: "true" } }, "https");
  assert.equal((await client.ask({ ":path": "/" })).text, "one");
});
