import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer as createNet } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { createServer, type TLSSocket, type TlsOptions } from "node:tls";
import { OK, PLAIN_TLS, Plane, replies, TestServer, talk } from "../gateway/plane.ts";

const dir = mkdtempSync(join(tmpdir(), "waybill-tls-"));
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const open: { close(): void }[] = [];
after(() => {
  for (const one of open) one.close();
  rmSync(dir, { recursive: true });
});

function certificate(name: string, san: string): { cert: string; key: string } {
  const [key, cert] = [join(dir, `${name}.key`), join(dir, `${name}.pem`)];
  const args = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=${name} -addext subjectAltName=${san} -keyout ${key} -out ${cert}`;
  execFileSync("openssl", args.split(" "), { stdio: "ignore" });
  return { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") };
}

const good = certificate("app.internal", "DNS:app.internal,URI:spiffe://app");
const client = certificate("client", "DNS:client");

async function secure(options: TlsOptions, seen: (socket: TLSSocket) => void = () => {}): Promise<number> {
  const sockets: TLSSocket[] = [];
  const server = createServer({ cert: good.cert, key: good.key, ...options }, (socket) => {
    sockets.push(socket);
    seen(socket);
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => {
      if (chunk.includes("\r\n\r\n")) socket.write(OK);
    });
  });
  server.on("tlsClientError", () => {});
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  open.push({
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  });
  return (server.address() as { port: number }).port;
}

async function ask(port: number, tls: Partial<typeof PLAIN_TLS>, transport: Record<string, string> = {}) {
  const plane = await new Plane({
    servers: [new TestServer(port, { scheme: "https" })],
    tls: { ...PLAIN_TLS, ...tls },
    transport: { disableHTTP2: "true", ...transport },
  }).start();
  open.push(plane);
  const text = await talk(plane.port, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  return { plane, status: Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]) };
}

test("BE-20 a server's certificate must be trusted and must be its own", async () => {
  const port = await secure({});
  const untrusted = await ask(port, { serverName: "app.internal" });
  assert.equal(untrusted.status, 502);
  assert.equal(untrusted.plane.done[0]!.fault?.code, "tls-failed");
  assert.equal((await ask(port, { ca: [good.cert], serverName: "app.internal" })).status, 200);
  assert.equal((await ask(port, { ca: [good.cert], serverName: "other.internal" })).status, 502);
  assert.equal((await ask(port, { ca: [good.cert] })).status, 502, "the address is not in the certificate");
  assert.equal((await ask(port, { insecureSkipVerify: true })).status, 200);
});

test("BE-20 a server may be known by a URI in its certificate", async () => {
  const port = await secure({});
  assert.equal((await ask(port, { ca: [good.cert], peerCertUri: "spiffe://app" })).status, 200);
  assert.equal((await ask(port, { ca: [good.cert], peerCertUri: "spiffe://other" })).status, 502);
});

test("BE-20 a server that wants a certificate gets the transport's", async () => {
  const port = await secure({
    requestCert: true,
    rejectUnauthorized: true,
    ca: [client.cert],
    maxVersion: "TLSv1.2",
  });
  const tls = { ca: [good.cert], serverName: "app.internal" };
  assert.equal((await ask(port, tls)).status, 502);
  assert.equal((await ask(port, { ...tls, certificates: [client] })).status, 200);
});

test("BE-20 sessions are resumed with the server they came from", async () => {
  const resumed: boolean[] = [];
  const port = await secure({ maxVersion: "TLSv1.2" }, (socket) => resumed.push(socket.isSessionReused()));
  const plane = await new Plane({
    servers: [new TestServer(port, { scheme: "https" })],
    tls: { ...PLAIN_TLS, ca: [good.cert], serverName: "app.internal" },
    transport: { disableHTTP2: "true", maxIdleConnsPerHost: "-1" },
  }).start();
  open.push(plane);
  for (let i = 0; i < 2; i++) await talk(plane.port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", replies(1));
  assert.deepEqual(resumed, [false, true]);
});

test("a reply that is over before anybody takes its body is whole all the same", async () => {
  const body = "x".repeat(5000);
  for (const head of [`Content-Length: ${body.length}\r\n\r\n`, "Connection: close\r\n\r\n"]) {
    const server = createServer({ cert: good.cert, key: good.key }, (socket) => {
      socket.on("error", () => {});
      socket.on("data", () => socket.end(`HTTP/1.1 200 OK\r\n${head}${body}`));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    open.push(server);
    const plane = await new Plane({
      servers: [new TestServer((server.address() as { port: number }).port, { scheme: "https" })],
      tls: { ...PLAIN_TLS, insecureSkipVerify: true },
      transport: { disableHTTP2: "true" },
      hooks: [{ onResponse: async () => void (await wait(50)) }],
    }).start();
    open.push(plane);
    const text = await talk(plane.port, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert.equal(text.match(/x/g)?.length, body.length);
    assert.equal(plane.upstream.open, 0);
  }
});

test("a server on a Unix socket is asked like any other", async () => {
  const path = join(dir, "app.sock");
  const server = createNet((socket) => socket.on("data", () => socket.write(OK)));
  server.listen(path);
  await once(server, "listening");
  open.push(server);
  const plane = await new Plane({ servers: [new TestServer(0, { host: path })] }).start();
  open.push(plane);
  assert.match(await talk(plane.port, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), /200 OK/);
});
