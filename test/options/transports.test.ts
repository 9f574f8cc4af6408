import assert from "node:assert/strict";
import { createServer, type Server, type ServerOptions } from "node:https";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import type { TLSSocket } from "node:tls";
import { eventually, type Product, startProduct } from "../e2e/harness.ts";
import { makeCertificate, type TestCertificate } from "../tls/certificates.ts";

/** What transports say of TLS towards servers, from the file to the server's own eyes. */

const servers: Server[] = [];
let product: Product;
let client: TestCertificate;

async function secure(options: ServerOptions): Promise<string> {
  const server = createServer(options, (request, response) => {
    const socket = request.socket as TLSSocket;
    const { subject } = socket.getPeerCertificate();
    response.end(
      `${socket.getProtocol()} ${socket.getCipher().standardName} ${socket.servername} ${subject?.CN ?? "nobody"}`,
    );
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const pem = (text: string) => JSON.stringify(text);

before(async () => {
  const authority = await makeCertificate({ commonName: "authority", authority: true });
  const own = await makeCertificate({ names: ["app.internal"], issuer: authority });
  client = await makeCertificate({ commonName: "client", names: ["client"] });
  const open = await secure({ cert: own.chain, key: own.key, requestCert: true, rejectUnauthorized: false });
  const trusted = `rootCAs: [ ${pem(authority.chain)} ], serverName: app.internal, disableHTTP2: true`;
  const transports: Record<string, string> = {
    wary: "disableHTTP2: true",
    trusting: trusted,
    blind: "insecureSkipVerify: true, disableHTTP2: true",
    named: `${trusted}, certificates: [ { certFile: ${pem(client.chain)}, keyFile: ${pem(client.key)} } ]`,
    old: `${trusted}, maxVersion: VersionTLS12, cipherSuites: [ TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 ]`,
    modern: `${trusted}, minVersion: VersionTLS13`,
    uri: `${trusted}, peerCertURI: "spiffe://app"`,
  };
  const dated = await secure({ cert: own.chain, key: own.key, maxVersion: "TLSv1.2" });
  const service = (name: string, url: string) =>
    `    ${name}: { loadBalancer: { serversTransport: ${name.replace("-dated", "")}, servers: [ { url: "${url}" } ] } }`;
  const names = [...Object.keys(transports), "modern-dated"];
  product = await startProduct({
    threads: 1,
    flags: [
      `--serversTransport.rootCAs=${authority.chain}`,
      "--serversTransport.serverName=app.internal",
      "--serversTransport.disableHTTP2=true",
      "--serversTransport.maxVersion=VersionTLS12",
      "--serversTransport.cipherSuites=TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
      `--serversTransport.certificates[0].certFile=${client.chain}`,
      `--serversTransport.certificates[0].keyFile=${client.key}`,
    ],
    file: `
http:
  routers:
    default: { rule: "Host(\`default.test\`)", service: default }
${names.map((name) => `    ${name}: { rule: "Host(\`${name}.test\`)", service: ${name} }`).join("\n")}
  services:
    default: { loadBalancer: { servers: [ { url: "${open}" } ] } }
${names.map((name) => service(name, name === "modern-dated" ? dated : open)).join("\n")}
  serversTransports:
${Object.entries(transports)
  .map(([name, text]) => `    ${name}: { ${text} }`)
  .join("\n")}
`,
  });
  await eventually(async () => assert.equal((await product.get("blind.test")).status, 200));
});

after(async () => {
  await product[Symbol.asyncDispose]();
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

const get = async (name: string) => {
  const { status, body } = await product.get(`${name}.test`);
  return status === 200 ? body.split(" ") : [String(status)];
};

test("rootCAs, serverName and insecureSkipVerify: whose certificates are believed", async () => {
  assert.deepEqual(await get("wary"), ["502"]);
  assert.equal((await get("trusting"))[2], "app.internal");
  assert.equal((await get("blind")).length, 4);
});

test("certificates: certFile and keyFile are shown to the server", async () => {
  assert.equal((await get("trusting"))[3], "nobody");
  assert.equal((await get("named"))[3], "client");
});

test("cipherSuites, minVersion and maxVersion", async () => {
  assert.deepEqual((await get("old")).slice(0, 2), ["TLSv1.2", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"]);
  assert.equal((await get("modern"))[0], "TLSv1.3");
  assert.deepEqual(await get("modern-dated"), ["502"]);
});

test("peerCertURI: a certificate without it is not the server's", async () => {
  assert.deepEqual(await get("uri"), ["502"]);
});

test("serversTransport: its options are those of services that name no transport", async () => {
  assert.deepEqual(await get("default"), [
    "TLSv1.2",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "app.internal",
    "client",
  ]);
});
