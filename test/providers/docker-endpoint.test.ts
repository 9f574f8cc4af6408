import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import { type AddressInfo, connect, createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { after, test } from "node:test";
import ssh2 from "ssh2";
import { answer } from "../../src/demo/api.ts";
import { DemoEngine } from "../../src/demo/engine.ts";
import { startDemoEngine } from "../../src/demo/start.ts";
import { dockerOptions } from "../../src/model/provider-settings.ts";
import { readEndpoint } from "../../src/providers/docker/endpoint.ts";
import { Engine } from "../../src/providers/docker/engine.ts";
import { isKnownHost } from "../../src/providers/docker/ssh.ts";
import { written } from "../gateway/plane.ts";

const folder = mkdtempSync(join(tmpdir(), "waybill-endpoint-"));
after(() => rmSync(folder, { recursive: true }));

/** As somebody wrote them. */
const settings = (texts: Record<string, string> = {}) => written(dockerOptions, texts);

/** The names of the containers that an engine lists. */
async function namesAt(options: Record<string, string>, env: NodeJS.ProcessEnv = {}): Promise<unknown> {
  const engine = new Engine(readEndpoint(settings(options), env), 5000);
  try {
    await engine.negotiate();
    return (await engine.list()).map(({ Names: names }) => names?.[0]);
  } finally {
    engine.close();
  }
}

test("DOCKER_HOST and DOCKER_API_VERSION win over the settings, as with the docker command", () => {
  const endpoint = readEndpoint(settings(), { DOCKER_HOST: "tcp://proxy:2375", DOCKER_API_VERSION: "1.44" });
  assert.equal(endpoint.name, "tcp://proxy:2375");
  assert.equal(endpoint.apiVersion, "1.44");
  assert.deepEqual(
    [endpoint.modem.host, endpoint.modem.port, endpoint.modem.protocol],
    ["proxy", 2375, "http"],
  );
  assert.equal(endpoint.modem.socketPath, undefined);
});

test("an address without a scheme is TCP, and one that makes no sense is told", () => {
  assert.equal(readEndpoint(settings({ endpoint: "proxy:2375" }), {}).modem.host, "proxy");
  assert.throws(
    () => readEndpoint(settings({ endpoint: "ftp://x" }), {}),
    /expected unix:\/\/, tcp:\/\/.*found ftp:\/\/x/,
  );
  assert.throws(() => readEndpoint(settings({ endpoint: "tcp://a b" }), {}), /expected an address/);
});

test("a login is sent only when it is complete", () => {
  const headers = (rest: Record<string, string>) =>
    readEndpoint(settings({ endpoint: "tcp://proxy", ...rest }), {}).modem.headers;
  assert.deepEqual(headers({ username: "u", password: "p" }), { Authorization: "Basic dTpw" });
  assert.equal(headers({ username: "u" }), undefined);
});

test("the engine is reached over TLS with a client certificate, from the settings or from DOCKER_CERT_PATH", async () => {
  const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: folder, stdio: "ignore" });
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  openssl("req", "-x509", ...key, "-keyout", "ca-key.pem", "-out", "ca.pem", "-subj", "/CN=ca", "-days", "2");
  for (const [name, extension] of [
    ["server", "subjectAltName=IP:127.0.0.1"],
    ["client", "extendedKeyUsage=clientAuth"],
  ] as const) {
    openssl("req", ...key, "-keyout", `${name}-key.pem`, "-out", `${name}.csr`, "-subj", `/CN=${name}`);
    writeFileSync(join(folder, `${name}.ext`), extension);
    const sign = [
      "x509",
      "-req",
      "-in",
      `${name}.csr`,
      "-CA",
      "ca.pem",
      "-CAkey",
      "ca-key.pem",
      "-CAcreateserial",
    ];
    openssl(...sign, "-out", `${name}.pem`, "-days", "2", "-extfile", `${name}.ext`);
  }
  const read = (name: string) => readFileSync(join(folder, name), "utf8");
  const engine = new DemoEngine();
  await engine.add({ name: "secret", serve: false });
  const tls = {
    key: read("server-key.pem"),
    cert: read("server.pem"),
    ca: read("ca.pem"),
    requestCert: true,
  };
  const server = createServer(tls, (request, response) => void answer(engine, request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const endpoint = `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const ca = { "tls.ca": join(folder, "ca.pem") };
  const own = { "tls.cert": read("client.pem"), "tls.key": read("client-key.pem") };
  assert.deepEqual(await namesAt({ endpoint, ...ca, ...own }), ["/secret"]);
  await assert.rejects(namesAt({ endpoint, ...ca }));
  await assert.rejects(
    namesAt({ endpoint, ...own }),
    /its certificate is not trusted: name the authority that signed it in providers\.docker\.tls\.ca/,
  );
  assert.deepEqual(await namesAt({ endpoint, ...own, "tls.insecureSkipVerify": "true" }), ["/secret"]);

  const certificates = join(folder, "env");
  mkdirSync(certificates);
  for (const [from, to] of [
    ["ca.pem", "ca.pem"],
    ["client.pem", "cert.pem"],
    ["client-key.pem", "key.pem"],
  ] as const) {
    writeFileSync(join(certificates, to), read(from));
  }
  const env = { DOCKER_HOST: endpoint, DOCKER_TLS_VERIFY: "1", DOCKER_CERT_PATH: certificates };
  assert.deepEqual(await namesAt({}, env), ["/secret"]);
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

test("an engine that is asked by TLS and does not speak it is told apart from one that is away", async () => {
  const demo = await startDemoEngine({ containers: [] });
  try {
    const options = { endpoint: demo.endpoint, "tls.insecureSkipVerify": "true" };
    await assert.rejects(namesAt(options), /does not speak TLS there/);
  } finally {
    await demo.close();
  }
});

test("the engine is reached over SSH, if the host's key is known", async () => {
  const socketPath = join(folder, "ssh.sock");
  const demo = await startDemoEngine({ socketPath, containers: [{ name: "far", serve: false }] });
  const { host, port, key, close } = await startSshd(socketPath);
  const home = join(folder, "home");
  mkdirSync(join(home, ".ssh"), { recursive: true });
  writeFileSync(join(home, ".ssh/id_ed25519"), ssh2.utils.generateKeyPairSync("ed25519").private);
  const env = { HOME: home, USER: "me" };
  const endpoint = `ssh://me@${host}:${port}`;
  await assert.rejects(namesAt({ endpoint }, env), /not in ~\/\.ssh\/known_hosts/);
  writeFileSync(join(home, ".ssh/known_hosts"), `[${host}]:${port} ssh-ed25519 ${key}\n`);
  assert.deepEqual(await namesAt({ endpoint }, env), ["/far"]);
  await close();
  await demo.close();
});

/** A server that runs `docker system dial-stdio` and nothing else. */
async function startSshd(socketPath: string) {
  const pair = ssh2.utils.generateKeyPairSync("ed25519");
  const clients = new Set<ssh2.Connection>();
  const server = new ssh2.Server({ hostKeys: [pair.private] }, (client) => {
    clients.add(client);
    client.on("error", () => {});
    client.on("authentication", (context) =>
      context.method === "none" ? context.reject() : context.accept(),
    );
    client.on("session", (acceptSession) => {
      acceptSession().on("exec", (acceptExec, _reject, { command }) => {
        assert.equal(command, "docker system dial-stdio");
        const channel = acceptExec() as unknown as Duplex;
        const socket = connect(socketPath);
        channel.pipe(socket).pipe(channel);
        socket.on("error", () => channel.destroy());
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const { port } = server.address() as AddressInfo;
  const close = () => {
    for (const client of clients) client.end();
    return new Promise<void>((resolve) => server.close(() => resolve()));
  };
  return { host: "127.0.0.1", port, key: pair.public.split(" ")[1]!, close };
}

test("known_hosts is read as OpenSSH reads it", () => {
  const key = Buffer.from("the key");
  const blob = key.toString("base64");
  assert.ok(isKnownHost(`other,web ssh-ed25519 ${blob} comment`, "web", key));
  // Written by `ssh-keygen -H` for the name web.
  const salt = Buffer.from("12345678901234567890").toString("base64");
  const hashed = execFileSync("openssl", ["dgst", "-sha1", "-hmac", "12345678901234567890", "-binary"], {
    input: "web",
  });
  assert.ok(isKnownHost(`|1|${salt}|${hashed.toString("base64")} ssh-ed25519 ${blob}`, "web", key));
  assert.ok(!isKnownHost(`web ssh-ed25519 ${blob}`, "web2", key));
  assert.ok(!isKnownHost(`web ssh-ed25519 ${blob}`, "web", Buffer.from("another")));
  assert.ok(!isKnownHost(`# web ssh-ed25519 ${blob}\n@revoked web ssh-ed25519 ${blob}`, "web", key));
});

test("an engine that accepts and says nothing is given up on after httpClientTimeout", async () => {
  const server = createTcpServer(() => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const endpoint = `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const options = settings({ endpoint, httpClientTimeout: "50ms" });
  const engine = new Engine(readEndpoint(options, {}), options.httpClientTimeout);
  const begun = performance.now();
  await assert.rejects(engine.negotiate(), /GET \/_ping was not answered in time/);
  // Of itself it would be ten seconds.
  assert.ok(performance.now() - begun < 9000);
  server.close();
});
