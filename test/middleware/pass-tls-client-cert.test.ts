import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import passTLSClientCert from "../../src/middleware/pass-tls-client-cert.ts";
import { getHeader } from "../../src/model/headers.ts";
import { make, request, run } from "./harness.ts";

const SUBJECT =
  "/DC=org/DC=test/C=FR/C=US/ST=Some State/L=Toulouse/O=Cheese\\/Wine/OU=Simple, Parser/serialNumber=7/CN=*.test.org";
const SANS = "URI:https://a.test/x,IP:192.0.2.1,email:x@test.org,DNS:*.test.org,DNS:b.test";

function certificate(subject = SUBJECT): X509Certificate {
  const folder = mkdtempSync(join(tmpdir(), "waybill-cert-"));
  const file = join(folder, "cert.pem");
  try {
    execFileSync(
      "openssl",
      [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        "/dev/null",
        "-out",
        file,
        "-days",
        "10",
        "-set_serial",
        "0x1234567890abcdef",
        "-utf8",
        "-subj",
        subject,
        "-addext",
        `subjectAltName=${SANS}`,
      ],
      { stdio: "pipe" },
    );
    return new X509Certificate(readFileSync(file));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const CERT = certificate();

async function told(options: Record<string, unknown>, chain: readonly Buffer[] = [CERT.raw]) {
  const headers = ["X-Forwarded-Tls-Client-Cert", "spoofed", "x_forwarded_tls_client_cert_info", "spoofed"];
  const exchange = request({ url: "https://app.test/", tls: { peerCertificates: () => chain }, headers });
  await run(make(passTLSClientCert, options), exchange);
  const info = getHeader(exchange.headers, "x-forwarded-tls-client-cert-info");
  return {
    cert: getHeader(exchange.headers, "x-forwarded-tls-client-cert"),
    escaped: info,
    info: info && decodeURIComponent(info.replaceAll("+", " ")),
    headers: exchange.headers,
  };
}

test("passTLSClientCert removes what the client said, even if it has nothing to say itself", async () => {
  assert.deepEqual((await told({})).headers, []);
  assert.deepEqual((await told({ pem: "true" }, [])).headers, []);
  const plain = request({ headers: ["X-Forwarded-Tls-Client-Cert-Info", "spoofed"] });
  await run(make(passTLSClientCert, { pem: "true" }), plain);
  assert.deepEqual(plain.headers, []);
});

test("pem sends every certificate as base64", async () => {
  const one = CERT.raw.toString("base64");
  assert.equal((await told({ pem: "true" }, [CERT.raw, CERT.raw])).cert, `${one},${one}`);
  assert.equal((await told({ pem: "true" })).info, undefined);
});

test("info.subject names what is asked for, in Traefik's order", async () => {
  const all = {
    country: "true",
    province: "true",
    locality: "true",
    organization: "true",
    organizationalUnit: "true",
    commonName: "true",
    serialNumber: "true",
    domainComponent: "true",
  };
  assert.equal(
    (await told({ info: { subject: all } })).info,
    'Subject="DC=org,DC=test,C=FR,C=US,ST=Some State,L=Toulouse,O=Cheese/Wine,OU=Simple, Parser,SN=7,CN=*.test.org"',
  );
  for (const [option, expected] of [
    ["country", "C=FR,C=US"],
    ["province", "ST=Some State"],
    ["locality", "L=Toulouse"],
    ["organization", "O=Cheese/Wine"],
    ["organizationalUnit", "OU=Simple, Parser"],
    ["commonName", "CN=*.test.org"],
    ["serialNumber", "SN=7"],
    ["domainComponent", "DC=org,DC=test"],
  ] as const) {
    assert.equal((await told({ info: { subject: { [option]: "true" } } })).info, `Subject="${expected}"`);
    if (option === "organizationalUnit") continue;
    assert.equal((await told({ info: { issuer: { [option]: "true" } } })).info, `Issuer="${expected}"`);
  }
});

test("info tells serial number, dates and alternative names", async () => {
  const seconds = (date: string) => Math.floor(Date.parse(date) / 1000);
  assert.equal((await told({ info: { serialNumber: "true" } })).info, 'SerialNumber="1311768467294899695"');
  assert.equal((await told({ info: { notBefore: "true" } })).info, `NB="${seconds(CERT.validFrom)}"`);
  assert.equal((await told({ info: { notAfter: "true" } })).info, `NA="${seconds(CERT.validTo)}"`);
  assert.equal(
    (await told({ info: { sans: "true" } })).info,
    'SAN="*.test.org,b.test,x@test.org,192.0.2.1,https://a.test/x"',
  );
  const several = await told(
    { info: { serialNumber: "true", notBefore: "true", subject: { locality: "true" } } },
    [CERT.raw, CERT.raw],
  );
  const one = `Subject="L=Toulouse";SerialNumber="1311768467294899695";NB="${seconds(CERT.validFrom)}"`;
  assert.equal(several.info, `${one},${one}`);
  assert.match(several.escaped!, /^Subject%3D%22L%3DToulouse%22%3BSerialNumber%3D/);
  assert.equal(
    (await told({ info: { subject: { province: "true" } } })).escaped,
    "Subject%3D%22ST%3DSome+State%22",
  );
});

test("info without anything to tell sends nothing", async () => {
  assert.equal((await told({ info: { subject: {} } })).info, undefined);
  assert.equal((await told({ info: { sans: "true" } }, [Buffer.from("junk")])).info, undefined);
});

test("HD-10 a name in a certificate adds no line to the request", async () => {
  const name = "a\r\nX-Injected: 1\u010a\u{1f60a}\u0085";
  const { raw } = certificate(`/O=${name}/CN=${name}`);
  const { escaped } = await told({ info: { subject: { commonName: true, organization: true } } }, [raw]);
  assert.match(escaped!, /^[\x21-\x7e]+$/);
  assert.match(escaped!, /X-Injected/);
});
