import assert from "node:assert/strict";
import { execFile, execFileSync, spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { scratchFolder, startFor } from "./https.ts";

const run = promisify(execFile);
const HOST = "app.localhost";
const BELOW_OK = ["LOW", "MEDIUM", "HIGH", "CRITICAL", "FATAL"];
/** docs/https.md says why: the name of the test has no CAA record. */
const DOCUMENTED = ["DNS_CAArecord"];
/** One of each kind, so that a run that was cut short is not taken for a good one. */
const LOOKED_FOR = [
  "SSLv3",
  "TLS1",
  "TLS1_2",
  "TLS1_3",
  "ALPN_HTTP2",
  "cert_chain_of_trust",
  "heartbleed",
  "ROBOT",
];

interface Finding {
  readonly id: string;
  readonly severity: string;
  readonly finding: string;
}

const isMissing = process.env["CI"] !== "true" && spawnSync("testssl", ["--version"]).error !== undefined;

/** A certificate as a public authority gives it: 89 days, for servers only, with the place of a revocation list. */
function certify(folder: string): void {
  const openssl = (line: string) =>
    void execFileSync("openssl", line.split(" "), { cwd: folder, stdio: "pipe" });
  const key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -sha256";
  openssl(`req -x509 ${key} -keyout ca.key -out ca.pem -days 3650 -subj /CN=Root`);
  openssl(`req ${key} -keyout key.pem -out app.csr -subj /CN=${HOST}`);
  const extensions = [
    `subjectAltName=DNS:${HOST}`,
    "basicConstraints=critical,CA:false",
    "keyUsage=critical,digitalSignature",
    "extendedKeyUsage=serverAuth",
    "crlDistributionPoints=URI:http://crl.example.com/r.crl",
  ];
  writeFileSync(join(folder, "extensions"), extensions.join("\n"));
  openssl("x509 -req -in app.csr -CA ca.pem -CAkey ca.key -out app.pem -days 89 -sha256 -extfile extensions");
  const chain = ["app.pem", "ca.pem"].map((name) => readFileSync(join(folder, name), "utf8"));
  writeFileSync(join(folder, "chain.pem"), chain.join(""));
}

test("TL-04 TL-05 TL-06 testssl.sh finds nothing below OK in what is offered by default", {
  skip: isMissing && "needs testssl.sh",
}, async (t) => {
  const folder = scratchFolder(t);
  certify(folder);
  const files = `certFile: ${join(folder, "chain.pem")}, keyFile: ${join(folder, "key.pem")}`;
  const router = "traefik.http.routers.app";
  const product = await startFor(t, {
    flags: ["--entryPoints.websecure.address=127.0.0.1:0"],
    file: `tls: { certificates: [ { ${files} } ] }`,
    containers: [
      {
        name: "app",
        labels: {
          [`${router}.rule`]: `Host(\`${HOST}\`)`,
          [`${router}.entrypoints`]: "websecure",
          [`${router}.tls`]: "true",
        },
      },
    ],
  });
  const result = join(folder, "result.json");
  const checks = ["--protocols", "--server-defaults", "--server-preference", "--vulnerable"];
  const offline = ["--nodns", "none", "--ip", "127.0.0.1", "--add-ca", join(folder, "ca.pem")];
  const quiet = ["--quiet", "--color", "0", "--warnings", "batch", "--jsonfile", result];
  const target = `${HOST}:${product.ports.get("websecure")}`;
  // Its exit status counts findings, and they are read from its file.
  const said = await run("testssl", [...quiet, ...offline, ...checks, target], { cwd: folder }).catch(
    (error: { stdout: string }) => error,
  );
  const findings = JSON.parse(readFileSync(result, "utf8")) as Finding[];
  const ids = findings.map(({ id }) => id.split(" ")[0]!);
  for (const id of LOOKED_FOR) assert.ok(ids.includes(id), `${id} was not looked for:\n${said.stdout}`);
  const bad = findings.filter(({ id, severity }) => BELOW_OK.includes(severity) && !DOCUMENTED.includes(id));
  assert.deepEqual(bad, []);
});
