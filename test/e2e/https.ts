import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { request as httpsRequest } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { connect, type DetailedPeerCertificate, type PeerCertificate } from "node:tls";
import type { DemoSpec } from "../../src/demo/engine.ts";
import type { Pebble } from "../acme/pebble.ts";
import { type Answer, type Product, type ProductOptions, startProduct } from "./harness.ts";

/** Everything that a product needs to have its certificates from a Pebble: flags of a resolver called `le`. */
export function resolverFlags(pebble: Pebble, storage: string, challenge: readonly string[]): string[] {
  const le = "--certificatesResolvers.le.acme";
  return [
    `--entryPoints.web.address=127.0.0.1:${pebble.httpPort}`,
    `--entryPoints.websecure.address=127.0.0.1:${pebble.tlsPort}`,
    `${le}.caServer=${pebble.directory}`,
    `${le}.caCertificates=${pebble.rootsFile}`,
    `${le}.storage=${storage}`,
    // Names of the tests lead nowhere.
    `${le}.preflight=false`,
    ...challenge.map((one) => `${le}.${one}`),
  ];
}

export function scratchFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "waybill-https-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A product that is closed with the test. */
export async function startFor(t: TestContext, options: ProductOptions): Promise<Product> {
  const product = await startProduct(options);
  let isClosed = false;
  const close = product[Symbol.asyncDispose].bind(product);
  product[Symbol.asyncDispose] = async () => {
    if (!isClosed) await close();
    isClosed = true;
  };
  t.after(() => product[Symbol.asyncDispose]());
  return product;
}

/** A container whose router has its certificate from `resolver`. */
export function secureApp(host: string, labels: Record<string, string> = {}, resolver = "le"): DemoSpec {
  const name = host.split(".")[0]!;
  const router = `traefik.http.routers.${name}`;
  return {
    name,
    labels: {
      [`${router}.rule`]: `Host(\`${host}\`)`,
      [`${router}.entrypoints`]: "websecure",
      [`${router}.tls.certresolver`]: resolver,
      ...labels,
    },
  };
}

/** The certificate that is shown for the name. */
export function shown(port: number, name: string): Promise<DetailedPeerCertificate> {
  const { promise, resolve, reject } = Promise.withResolvers<DetailedPeerCertificate>();
  const socket = connect({ host: "127.0.0.1", port, servername: name, rejectUnauthorized: false });
  socket.on("error", reject);
  socket.on("secureConnect", () => {
    resolve(socket.getPeerCertificate(true));
    socket.destroy();
  });
  return promise;
}

export const namesOf = ({ subjectaltname }: PeerCertificate) =>
  (subjectaltname ?? "")
    .split(", ")
    .map((one) => one.replace(/^(DNS|IP Address):/, ""))
    .sort();

interface SecureOptions {
  readonly path?: string;
  /** Trusted; without it the certificate is not verified. */
  readonly ca?: string;
  /** The name in the handshake, if it is another than the request's host. */
  readonly servername?: string;
  readonly tls?: Record<string, unknown>;
}

/** One request over HTTPS, on a connection of its own. */
export function secureGet(port: number, host: string, options: SecureOptions = {}): Promise<Answer> {
  const { path = "/", ca, servername = host, tls = {} } = options;
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const verify = ca === undefined ? { rejectUnauthorized: false } : { ca };
  const target = { host: "127.0.0.1", port, path, servername, headers: { host }, agent: false as const };
  const outgoing = httpsRequest({ ...target, ...verify, ...tls }, (incoming) => {
    const chunks: Buffer[] = [];
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
    incoming.on("error", reject);
    incoming.on("end", () =>
      resolve({
        status: incoming.statusCode!,
        headers: incoming.headers,
        body: Buffer.concat(chunks).toString(),
      }),
    );
  });
  outgoing.on("error", reject);
  outgoing.end();
  return promise;
}

/** How many orders the CA has been asked for, by what the log says. */
export const issuedIn = (product: Product) =>
  product.log.filter(({ message }) => message === "certificate issued").length;

export function assertNoErrors(product: Product): void {
  const errors = product.log.filter(({ level }) => level === "error");
  assert.deepEqual(errors, []);
}
