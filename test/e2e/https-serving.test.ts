import assert from "node:assert/strict";
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { connect } from "node:tls";
import { makeCertificate, type TestCertificate } from "../tls/certificates.ts";
import { eventually, type Product } from "./harness.ts";
import { namesOf, scratchFolder, secureGet, shown, startFor } from "./https.ts";

/** Certificates and TLS options from files and labels, through the whole product. */

const SECURE = ["--entryPoints.websecure.address=127.0.0.1:0"];

const portOf = (product: Product) => product.ports.get("websecure")!;

const serialOf = async (product: Product, name: string) =>
  (await shown(portOf(product), name)).serialNumber.toLowerCase();

/** A container on HTTPS whose certificate comes from elsewhere. */
const app = (host: string, labels: Record<string, string> = {}) => {
  const router = `traefik.http.routers.${host.split(".")[0]}`;
  return {
    name: host.split(".")[0]!,
    labels: {
      [`${router}.rule`]: `Host(\`${host}\`)`,
      [`${router}.entrypoints`]: "websecure",
      [`${router}.tls`]: "true",
      ...labels,
    },
  };
};

function writePair(folder: string, { chain, key }: TestCertificate): void {
  writeFileSync(join(folder, "chain.pem"), chain);
  writeFileSync(join(folder, "key.pem"), key);
}

const pairIn = (folder: string) =>
  `{ certFile: ${join(folder, "chain.pem")}, keyFile: ${join(folder, "key.pem")} }`;

const serialIn = async ({ chain }: TestCertificate) => {
  const { X509Certificate } = await import("node:crypto");
  return new X509Certificate(chain).serialNumber.toLowerCase();
};

test("TL-13 a certificate that is renewed on disk is shown at once, and a broken one keeps the last good", async (t) => {
  const folder = scratchFolder(t);
  const [first, second] = await Promise.all([1, 2].map(() => makeCertificate({ names: ["app.test"] })));
  writePair(folder, first!);
  const file = `tls: { certificates: [ ${pairIn(folder)} ] }`;
  const product = await startFor(t, { flags: SECURE, file, containers: [app("app.test")] });
  assert.equal(await serialOf(product, "app.test"), await serialIn(first!));
  assert.equal((await secureGet(portOf(product), "app.test", { ca: first!.chain })).status, 200);

  writeFileSync(join(folder, "chain.pem"), "half a file");
  await eventually(() =>
    assert.ok(product.log.some(({ level, message }) => level === "error" && /certificate/.test(message))),
  );
  assert.equal(await serialOf(product, "app.test"), await serialIn(first!), "the last good one stays");
  writePair(folder, second!);
  await eventually(async () => assert.equal(await serialOf(product, "app.test"), await serialIn(second!)));
});

test("TL-13 a mounted secret that swaps its link is read again", async (t) => {
  const folder = scratchFolder(t);
  const [first, second] = await Promise.all([1, 2].map(() => makeCertificate({ names: ["app.test"] })));
  for (const [name, pair] of [
    ["..1", first!],
    ["..2", second!],
  ] as const) {
    mkdirSync(join(folder, name));
    writePair(join(folder, name), pair);
  }
  symlinkSync("..1", join(folder, "..data"));
  for (const name of ["chain.pem", "key.pem"]) symlinkSync(join("..data", name), join(folder, name));
  const file = `tls: { certificates: [ ${pairIn(folder)} ] }`;
  const product = await startFor(t, { flags: SECURE, file, containers: [app("app.test")] });
  assert.equal(await serialOf(product, "app.test"), await serialIn(first!));
  symlinkSync("..2", join(folder, "..next"));
  renameSync(join(folder, "..next"), join(folder, "..data"));
  await eventually(async () => assert.equal(await serialOf(product, "app.test"), await serialIn(second!)));
});

test("the default store's certificate is shown where no other fits", async (t) => {
  const folder = scratchFolder(t);
  writePair(folder, await makeCertificate({ names: ["fallback.test"] }));
  const file = `tls: { stores: { default: { defaultCertificate: ${pairIn(folder)} } } }`;
  const product = await startFor(t, { flags: SECURE, file, containers: [app("other.test")] });
  assert.deepEqual(namesOf(await shown(portOf(product), "other.test")), ["fallback.test"]);
});

interface Handshake {
  readonly version: string;
  readonly protocol: string | false;
}

function handshake(
  product: Product,
  servername: string,
  options: Record<string, unknown> = {},
): Promise<Handshake> {
  const { promise, resolve, reject } = Promise.withResolvers<Handshake>();
  const target = { host: "127.0.0.1", port: portOf(product), servername, rejectUnauthorized: false };
  const socket = connect({ ...target, ...options }, () => {
    resolve({ version: socket.getProtocol()!, protocol: socket.alpnProtocol ?? false });
    socket.destroy();
  });
  socket.on("error", reject);
  return promise;
}

test("TLS options are chosen by name, whether a file or a label says them", async (t) => {
  const file = "tls: { options: { modern: { minVersion: VersionTLS13 } } }";
  const modern = app("modern.test", { "traefik.http.routers.modern.tls.options": "modern@file" });
  const plain = app("plain.test", {
    "traefik.http.routers.plain.tls.options": "plain",
    "traefik.tls.options.plain.alpnProtocols": "http/1.1",
  });
  const product = await startFor(t, { flags: SECURE, file, containers: [modern, plain, app("usual.test")] });
  assert.equal((await handshake(product, "modern.test")).version, "TLSv1.3");
  await assert.rejects(handshake(product, "modern.test", { maxVersion: "TLSv1.2" }));
  assert.equal((await handshake(product, "usual.test", { maxVersion: "TLSv1.2" })).version, "TLSv1.2");
  const offered = { ALPNProtocols: ["h2", "http/1.1"] };
  assert.equal((await handshake(product, "usual.test", offered)).protocol, "h2");
  assert.equal((await handshake(product, "plain.test", offered)).protocol, "http/1.1");
});

/** A host that wants client certificates of an authority in a file. */
async function startGuarded(t: TestContext, authorities: string) {
  const folder = scratchFolder(t);
  const path = join(folder, "ca.pem");
  writeFileSync(path, authorities);
  const file = `tls:
  options:
    staff: { clientAuth: { caFiles: [ ${path} ], clientAuthType: RequireAndVerifyClientCert } }`;
  const staff = app("staff.test", { "traefik.http.routers.staff.tls.options": "staff@file" });
  const product = await startFor(t, { flags: SECURE, file, containers: [staff, app("open.test")] });
  return { product, path };
}

test("TL-08 a host with client certificates is reached by those who have one, and 421 by no other name", async (t) => {
  const authority = await makeCertificate({ commonName: "staff", names: ["staff.ca"], authority: true });
  const person = await makeCertificate({ names: ["person"], issuer: authority });
  const { product } = await startGuarded(t, authority.chain);
  const port = portOf(product);
  const tls = { cert: person.chain, key: person.key };
  assert.equal((await secureGet(port, "staff.test", { tls })).status, 200);
  await assert.rejects(secureGet(port, "staff.test"));
  assert.equal((await secureGet(port, "open.test")).status, 200);
  const smuggled = await secureGet(port, "staff.test", { servername: "open.test" });
  assert.equal(smuggled.status, 421);
});

test("authorities that are replaced on disk are in force at once, and garbage is said when it is read", async (t) => {
  const authority = await makeCertificate({ commonName: "staff", names: ["staff.ca"], authority: true });
  const person = await makeCertificate({ names: ["person"], issuer: authority });
  const stranger = await makeCertificate({ commonName: "other", names: ["other.ca"], authority: true });
  const { product, path } = await startGuarded(t, stranger.chain);
  const tls = { cert: person.chain, key: person.key };
  await assert.rejects(secureGet(portOf(product), "staff.test", { tls }));
  writeFileSync(path, authority.chain);
  await eventually(async () => {
    assert.equal((await secureGet(portOf(product), "staff.test", { tls })).status, 200);
  });
  writeFileSync(path, "-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n");
  await eventually(() => {
    const said = product.log.find(({ message }) => message.includes("certificate 1 of 1 cannot be read"));
    assert.equal(said?.level, "error");
  });
  // Rather a refusal than a route that asks nobody for a certificate.
  await eventually(async () => assert.equal((await secureGet(portOf(product), "staff.test")).status, 503));
  assert.equal((await secureGet(portOf(product), "open.test")).status, 200);
});

test("TL-12 200 certificate swaps under load: no handshake and no request fails", async (t) => {
  const folder = scratchFolder(t);
  const pairs = await Promise.all(Array.from({ length: 4 }, () => makeCertificate({ names: ["app.test"] })));
  pairs.forEach((pair, i) => {
    mkdirSync(join(folder, String(i)));
    writePair(join(folder, String(i)), pair);
  });
  const yaml = (i: number) => `tls: { certificates: [ ${pairIn(join(folder, String(i % 4)))} ] }`;
  const product = await startFor(t, { flags: SECURE, file: yaml(0), containers: [app("app.test")] });
  const port = portOf(product);
  let isOver = false;
  let asked = 0;
  const failures: string[] = [];
  const client = async () => {
    while (!isOver) {
      asked++;
      const { status } = await secureGet(port, "app.test").catch((error: Error) => ({
        status: error.message,
      }));
      if (status !== 200) failures.push(String(status));
    }
  };
  const load = Promise.all([client(), client(), client(), client()]);
  const serials = await Promise.all(pairs.map(serialIn));
  for (let i = 1; i <= 200; i++) {
    product.write(yaml(i));
    product.waybill.reload();
    await eventually(async () => assert.equal(await serialOf(product, "app.test"), serials[i % 4]));
  }
  isOver = true;
  await load;
  assert.deepEqual(failures, [], `of ${asked}`);
});
