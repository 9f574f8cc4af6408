import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { connect } from "node:tls";
import { gather } from "../control/gather.ts";
import { type Product, startProduct } from "../e2e/harness.ts";
import { makeCertificate } from "../tls/certificates.ts";

/** Certificates and stores, from the file to what a client is shown. */

let product: Product;
let authority: string;

before(async () => {
  authority = (await makeCertificate({ commonName: "authority", authority: true })).chain;
  const pair = async (name: string, more = "") => {
    const { chain, key } = await makeCertificate({ commonName: name, names: [name] });
    return `{ certFile: ${JSON.stringify(chain)}, keyFile: ${JSON.stringify(key)}${more} }`;
  };
  product = await startProduct({
    threads: 1,
    flags: ["--entryPoints.web.http.tls=true"],
    file: `
http: { routers: { app: { rule: "PathPrefix(\`/\`)", service: ping@internal } } }
tls:
  certificates: [ ${await pair("a.test")}, ${await pair("b.test", ", stores: [ other ]")} ]
  stores: { default: { defaultCertificate: ${await pair("fallback.test")} } }
`,
  });
});

after(() => product[Symbol.asyncDispose]());

async function shownFor(servername: string): Promise<string> {
  const port = product.ports.get("web")!;
  const socket = connect({ port, host: "127.0.0.1", servername, rejectUnauthorized: false });
  await once(socket, "secureConnect");
  const { subject } = socket.getPeerCertificate();
  socket.destroy();
  return subject.CN as string;
}

test("tls.certificates: certFile and keyFile are shown for the names in them", async () => {
  assert.equal(await shownFor("a.test"), "a.test");
});

test("tls.certificates.stores: those for another store than the default one are not shown", async () => {
  assert.equal(await shownFor("b.test"), "fallback.test");
});

test("tls.options: every one is in force as it is written", () => {
  const made = gather({
    file: `tls: { options: { own: {
  minVersion: VersionTLS13, maxVersion: VersionTLS13, cipherSuites: [ TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 ],
  curvePreferences: [ CurveP384 ], sniStrict: true, alpnProtocols: [ http/1.1 ], disableSessionTickets: true,
  clientAuth: { caFiles: [ ${JSON.stringify(authority)} ], clientAuthType: RequireAndVerifyClientCert } } } }`,
  });
  const { preferServerCipherSuites: _, ...options } = made.snapshot.tls.options.get("own@file")!;
  assert.deepEqual(options, {
    minVersion: "VersionTLS13",
    maxVersion: "VersionTLS13",
    cipherSuites: ["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"],
    curvePreferences: ["CurveP384"],
    sniStrict: true,
    alpnProtocols: ["http/1.1"],
    disableSessionTickets: true,
    clientAuth: { caFiles: [authority], clientAuthType: "RequireAndVerifyClientCert" },
  });
});

test("defaultCertificate: certFile and keyFile are shown for every other name", async () => {
  assert.equal(await shownFor("nobody.test"), "fallback.test");
});

test("defaultGeneratedCert: resolver and domain, main and sans, are what is got from the CA", () => {
  const made = gather({
    file: "tls: { stores: { default: { defaultGeneratedCert: { resolver: internal, domain: { main: all.test, sans: [ also.test ] } } } } }",
  });
  const store = made.report.tlsStores.get("default@file");
  assert.deepEqual(store?.problems, []);
  assert.deepEqual(store?.declared.defaultGeneratedCert, {
    resolver: "internal",
    domain: { main: "all.test", sans: ["also.test"] },
  });
});
