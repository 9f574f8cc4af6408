import assert from "node:assert/strict";
import { once } from "node:events";
import { afterEach, test } from "node:test";
import { removeHeader, setHeader } from "../../src/model/headers.ts";
import type { Hooks } from "../../src/model/middleware.ts";
import { Plane, type PlaneOptions, RawBackend, TestServer, talk } from "../gateway/plane.ts";
import { Http2Backend, Http2Client } from "./http2-backend.ts";

/** Trailers, requests' and replies', through every pair of protocols. */

const open: { close(): void }[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

async function plane(port: number, scheme: "h2c" | "http", options: PlaneOptions = {}): Promise<Plane> {
  const started = await new Plane({ servers: [new TestServer(port, { scheme })], ...options }).start();
  open.push(started);
  return started;
}

/** Answers with what it was sent, body and trailers, and trailers of its own. */
async function http2Echo(): Promise<{ port: number; trailers: Promise<Record<string, unknown>> }> {
  const heard = Promise.withResolvers<Record<string, unknown>>();
  const server = await new Http2Backend((stream) => {
    let trailers: Record<string, unknown> = {};
    stream.on("trailers", (block) => {
      trailers = Object.fromEntries(Object.entries(block));
    });
    stream.respond({ ":status": 200 }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ checksum: "abc", "x-real-ip": "1" }));
    stream.on("data", (chunk) => stream.write(chunk));
    stream.on("end", () => {
      heard.resolve(trailers);
      stream.end();
    });
  }).start();
  open.push(server);
  return { port: server.port, trailers: heard.promise };
}

/** Answers a chunked request when its last chunk has come. */
async function http1Echo(): Promise<RawBackend> {
  const server = await new RawBackend((socket, _chunk, all) => {
    if (!/\r\n0\r\n(?:.+\r\n)*\r\n$/.test(all)) return;
    socket.write(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\nChecksum: abc\r\nX-Real-Ip: 1\r\n\r\n",
    );
  }).start();
  open.push(server);
  return server;
}

interface Replied {
  readonly text: string;
  readonly trailers: Record<string, unknown>;
}

/** Posts a body with trailers over HTTP/2. */
async function post(port: number, trailers: Record<string, string>): Promise<Replied> {
  const client = new Http2Client(`http://127.0.0.1:${port}`);
  open.push(client);
  const stream = client.session.request(
    { ":method": "POST", ":path": "/", te: "trailers" },
    { waitForTrailers: true },
  );
  let text = "";
  let replied: Record<string, unknown> = {};
  stream.on("wantTrailers", () => stream.sendTrailers(trailers));
  stream.on("trailers", (block) => {
    replied = Object.fromEntries(Object.entries(block));
  });
  stream.on("data", (chunk) => {
    text += chunk;
  });
  stream.end("body");
  await once(stream, "close");
  assert.equal(stream.rstCode, 0);
  return { text, trailers: replied };
}

const CHUNKED =
  "POST / HTTP/1.1\r\nHost: app.test\r\nConnection: TE\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nDigest: xyz\r\n\r\n";

test("H2-19 trailers pass from HTTP/2 to HTTP/2, both ways", async () => {
  const server = await http2Echo();
  const { port } = await plane(server.port, "h2c");
  const reply = await post(port, { digest: "xyz" });
  assert.deepEqual(reply, { text: "body", trailers: { checksum: "abc" } });
  assert.deepEqual(await server.trailers, { digest: "xyz" });
});

test("H2-19 trailers pass from HTTP/2 to HTTP/1.1, both ways", async () => {
  const server = await http1Echo();
  const { port } = await plane(server.port, "http");
  const reply = await post(port, { digest: "xyz" });
  assert.deepEqual(reply, { text: "good", trailers: { checksum: "abc" } });
  assert.match(server.text, /\r\n4\r\nbody\r\n0\r\ndigest: xyz\r\n\r\n$/);
});

test("H2-19 trailers pass from HTTP/1.1 to HTTP/2, both ways", async () => {
  const server = await http2Echo();
  const { port } = await plane(server.port, "h2c");
  const text = await talk(port, CHUNKED, (all) => all.includes("\r\n0\r\n") && all.endsWith("\r\n\r\n"));
  assert.match(text, /\r\n4\r\nbody\r\n0\r\nchecksum: abc\r\n\r\n$/);
  assert.deepEqual(await server.trailers, { digest: "xyz" });
});

const isWhole = (all: string) => all.includes("\r\n0\r\n") && all.endsWith("\r\n\r\n");

test("H1-28 trailers pass from HTTP/1.1 to HTTP/1.1, both ways, and the server is told that it may send some", async () => {
  const server = await http1Echo();
  const { port } = await plane(server.port, "http");
  const text = await talk(port, CHUNKED, isWhole);
  assert.match(text, /\r\n4\r\ngood\r\n0\r\nChecksum: abc\r\n\r\n$/);
  assert.match(server.text, /\r\nConnection: TE\r\nTE: trailers\r\n/);
  assert.match(server.text, /\r\n4\r\nbody\r\n0\r\nDigest: xyz\r\n\r\n$/);
});

const NEVER = {
  authorization: "Basic x",
  cookie: "a=1",
  "content-type": "a/b",
  "if-match": "*",
  "x-forwarded-for": "1.2.3.4",
  "x-real-ip": "1.2.3.4",
  forwarded: "for=1.2.3.4",
  x_forwarded_for: "1.2.3.4",
  "x.real.ip": "1.2.3.4",
  remote_user: "root",
};

test("H1-28 trailers that frame, route, authorise or forward never pass, nor do other spellings of names", async () => {
  const lines = Object.entries(NEVER).map((line) => `${line.join(": ")}\r\n`);
  const request = CHUNKED.replace("Digest: xyz\r\n", `${lines.join("")}Digest: xyz\r\n`);
  for (const scheme of ["h2c", "http"] as const) {
    const server = scheme === "h2c" ? await http2Echo() : await http1Echo();
    const { port } = await plane(server.port, scheme);
    await talk(port, request, isWhole);
    if ("trailers" in server) assert.deepEqual(await server.trailers, { digest: "xyz" });
    else assert.match(server.text, /\r\n4\r\nbody\r\n0\r\nDigest: xyz\r\n\r\n$/);
  }
});

test("H1-28 trailers that frame, route, authorise or forward do not pass in HTTP/2 either", async () => {
  const { port: _, ...bad } = { ...NEVER, host: "other.test", port: "" };
  const server = await http2Echo();
  const { port } = await plane(server.port, "h2c");
  await post(port, { ...bad, digest: "xyz" });
  assert.deepEqual(await server.trailers, { digest: "xyz" });
});

test("HD-07 a trailer does not pass under the name of a header that a middleware sets, removes or owns", async () => {
  const hooks: readonly Hooks[] = [
    {
      onRequest({ headers }) {
        removeHeader(headers, "x-secret");
        setHeader(headers, "X-Added", "ours");
        setHeader(headers, "X-Changed", "ours");
        return undefined;
      },
    },
    { ownsHeader: (lower) => lower === "remote-user", onRequest: () => undefined },
  ];
  const request = CHUNKED.replace("TE: trailers\r\n", "X-Secret: 1\r\nX-Changed: 1\r\nX-Same: 1\r\n").replace(
    "Digest: xyz\r\n",
    "x-secret: 2\r\nX-ADDED: 2\r\nX-Changed: 2\r\nRemote-User: root\r\nX-Same: 2\r\n",
  );
  for (const scheme of ["h2c", "http"] as const) {
    const server = scheme === "h2c" ? await http2Echo() : await http1Echo();
    const { port } = await plane(server.port, scheme, { hooks });
    await talk(port, request, isWhole);
    if ("trailers" in server) assert.deepEqual(await server.trailers, { "x-same": "2" });
    else assert.match(server.text, /\r\n4\r\nbody\r\n0\r\nX-Same: 2\r\n\r\n$/);
  }
});

test("H1-28 trailers pass behind a middleware that looks at the body on its way", async () => {
  const onRequest: Hooks["onRequest"] = (exchange) => {
    exchange.requestTransforms = [(sink) => sink];
    return undefined;
  };
  const server = await http1Echo();
  const { port } = await plane(server.port, "http", { hooks: [{ onRequest }] });
  await talk(port, CHUNKED, isWhole);
  assert.match(server.text, /\r\n0\r\nDigest: xyz\r\n\r\n$/);
});

const ANNOUNCED: readonly Record<string, string>[] = [
  { trailer: "checksum" },
  { "content-type": "application/grpc" },
];
for (const headers of ANNOUNCED) {
  test(`BE-18 trailers behind a reply of known length reach a client of HTTP/1.1, after ${Object.keys(headers)}`, async () => {
    const server = await new Http2Backend((stream) => {
      stream.respond({ ":status": 200, "content-length": "4", ...headers }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ checksum: "abc" }));
      stream.end("good");
    }).start();
    open.push(server);
    const { port } = await plane(server.port, "h2c");
    const request = "GET / HTTP/1.1\r\nHost: app.test\r\nConnection: TE\r\nTE: trailers\r\n\r\n";
    const text = await talk(port, request, (all) => all.endsWith("\r\n\r\n") && all.includes("good"));
    assert.match(text, /\r\n4\r\ngood\r\n0\r\nchecksum: abc\r\n\r\n$/);
    assert.doesNotMatch(text, /content-length/i);
    // Whoever does not want them gets the length.
    const plain = await talk(port, "GET / HTTP/1.1\r\nHost: app.test\r\n\r\n", (all) => all.endsWith("good"));
    assert.match(plain, /content-length: 4\r\n/i);
  });
}

test("gRPC: a client streams and ends without trailers, and the server answers with them in the middle", async () => {
  const server = await new Http2Backend((stream) => {
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "8" }));
    stream.once("data", () => stream.end("enough"));
  }).start();
  open.push(server);
  const { port } = await plane(server.port, "h2c");
  const client = new Http2Client(`http://127.0.0.1:${port}`);
  open.push(client);
  const stream = client.session.request({
    ":method": "POST",
    ":path": "/",
    "content-type": "application/grpc",
    te: "trailers",
  });
  stream.write("one");
  const [trailers] = (await once(stream, "trailers")) as [Record<string, unknown>];
  assert.equal(trailers["grpc-status"], "8");
  stream.resume();
  await once(stream, "close");
  assert.equal(stream.rstCode, 0);
});

test("H2-19 trailers of a reply pass when a middleware waits before its body flows", async () => {
  const server = await http2Echo();
  const onResponse = () => new Promise<undefined>((resolve) => setTimeout(resolve, 30, undefined));
  const { port } = await plane(server.port, "h2c", { hooks: [{ onResponse }] });
  assert.deepEqual(await post(port, {}), { text: "body", trailers: { checksum: "abc" } });
});
