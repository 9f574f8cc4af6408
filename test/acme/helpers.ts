import { mkdtempSync, rmSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { createSecureContext, createServer as createTlsServer } from "node:tls";
import { readCertificate } from "../../src/acme/certificate.ts";
import type { LiveChallenges } from "../../src/acme/challenges.ts";
import { FileVault } from "../../src/acme/file-vault.ts";
import { Acme, type AcmeHost } from "../../src/acme/manager.ts";
import type { Network } from "../../src/acme/preflight.ts";
import { type Kept, Shelf } from "../../src/acme/shelf.ts";
import type { Logger } from "../../src/model/host.ts";
import { type AcmeOptions, acmeOptions } from "../../src/model/resolver-settings.ts";
import type { CertificateSpec } from "../../src/model/snapshot.ts";
import { Node } from "../../src/schema/node.ts";
import { readOptions } from "../../src/schema/read-options.ts";
import { selfSigned } from "./pebble.ts";

/** The options of a resolver as they are without anything written, with a few of them changed. */
export function resolverOptions(changes: Partial<AcmeOptions>): AcmeOptions {
  const place = { source: "default", key: "acme" } as const;
  const reader = { report() {}, secret: () => "" };
  return { ...readOptions(acmeOptions, new Node("acme", place), reader), ...changes };
}

export function scratch(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "waybill-acme-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "store");
}

export interface Line {
  readonly level: string;
  readonly fields: Record<string, unknown>;
  readonly message: string;
}

export function recorder(): Logger & { readonly lines: Line[] } {
  const lines: Line[] = [];
  const at = (level: string) => (fields: Record<string, unknown>, message: string) => {
    lines.push({ level, fields, message });
    if (process.env["SHOW_LOG"]) console.error(level, message, JSON.stringify(fields));
  };
  return { lines, debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/** A world in which every name leads here. */
export const openNetwork: Network = {
  addresses: async () => ["127.0.0.1"],
  page: async () => {
    throw new Error("unreachable from here");
  },
};

/** What the data plane does with challenges: answers HTTP-01 and TLS-ALPN-01 on two ports. */
export class Responder {
  live: LiveChallenges = { tokens: new Map(), certificates: [] };
  asked = 0;

  readonly show = (live: LiveChallenges): void => {
    this.live = live;
  };

  async listen(t: TestContext, httpPort: number, tlsPort: number): Promise<void> {
    const http = createHttpServer((request, response) => {
      this.asked += 1;
      const token = /^\/\.well-known\/acme-challenge\/([\w-]+)$/.exec(request.url ?? "")?.[1];
      const answer = token === undefined ? undefined : this.live.tokens.get(token);
      response.writeHead(answer === undefined ? 404 : 200).end(answer ?? "");
    });
    const tls = createTlsServer({
      ALPNCallback: ({ protocols }) => (protocols.includes("acme-tls/1") ? "acme-tls/1" : undefined),
      SNICallback: (name, done) => {
        const spec = this.live.certificates.find(({ names }) => names.includes(name));
        if (spec === undefined) return done(new Error("no challenge"));
        return done(null, createSecureContext({ cert: spec.chain, key: spec.key }));
      },
    });
    tls.on("tlsClientError", () => {});
    await new Promise<void>((resolve) => http.listen(httpPort, "127.0.0.1", resolve));
    await new Promise<void>((resolve) => tls.listen(tlsPort, "127.0.0.1", resolve));
    t.after(() => {
      http.close();
      http.closeAllConnections();
      tls.close();
    });
  }
}

export interface Started {
  readonly acme: Acme;
  readonly responder: Responder;
  readonly log: ReturnType<typeof recorder>;
  /** The certificates as last announced. */
  certificates(): readonly CertificateSpec[];
}

/** An `Acme` with its data plane, closed with the test. */
export async function startAcme(
  t: TestContext,
  resolvers: Record<string, AcmeOptions>,
  host: Partial<AcmeHost> = {},
): Promise<Started> {
  const responder = new Responder();
  const log = recorder();
  let announced: readonly CertificateSpec[] = [];
  const acme = new Acme({
    resolvers: new Map(Object.entries(resolvers)),
    log,
    environment: {},
    network: openNetwork,
    onChallenges: responder.show,
    onCertificates: (certificates) => {
      announced = certificates;
    },
    ...host,
  });
  t.after(() => acme.close());
  await acme.start();
  return { acme, responder, log, certificates: () => announced };
}

export async function kept(...names: string[]): Promise<Kept> {
  const { certificate, key } = await selfSigned(names);
  const facts = readCertificate(certificate, key);
  return { ...facts, ca: "ca.test", names, resolver: "le", issuedAtMs: Date.now(), profile: "" };
}

export async function openShelf(folder: string) {
  const reports: string[] = [];
  const vault = await FileVault.open(folder);
  const shelf = new Shelf(vault, Date.now, (entry, message) => reports.push(`${entry}: ${message}`));
  return { shelf, reports, folder };
}
