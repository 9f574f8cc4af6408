import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { Agent, request } from "undici";
import { newKey } from "../../src/acme/certificate.ts";
import { alternativeNames, signingPair, x509 } from "../../src/acme/x509.ts";
import { freePort } from "../free-port.ts";

/** A real Pebble with its DNS server, on free ports, thrown away with the test. */
export interface Pebble {
  readonly directory: string;
  /** PEM of the authority of Pebble's own certificate. */
  readonly roots: string;
  readonly rootsFile: string;
  /** Where it looks for HTTP-01. */
  readonly httpPort: number;
  /** Where it looks for TLS-ALPN-01. */
  readonly tlsPort: number;
  readonly dnsPort: number;
  /** Sets DNS records, as challtestsrv's management takes them. */
  dns(path: string, body: unknown): Promise<void>;
  /** PEM of an issuing root, by number. */
  root(n: number): Promise<string>;
  kill(): void;
  /** What it has said so far. */
  log(): string;
  /** Whether it is new enough for renewal information, profiles and addresses. */
  readonly isRecent: boolean;
}

export interface PebbleOptions {
  readonly environment?: Record<string, string>;
  readonly eab?: Record<string, string>;
  /** A name server to ask instead of its own. */
  readonly dnsPort?: number;
}

/** A newer one than the distribution's may be named. */
const PEBBLE = process.env["PEBBLE"] ?? "pebble";

const isInstalled = (program: string) => spawnSync("which", [program]).status === 0;

/** True when the test can run. In CI its absence is a failure. */
export function hasPebble(t: TestContext): boolean {
  if (isInstalled(PEBBLE) && isInstalled("pebble-challtestsrv")) return true;
  if (process.env["CI"] === "true") throw new Error("pebble is not installed");
  t.skip("pebble is not installed");
  return false;
}

export async function startPebble(t: TestContext, options: PebbleOptions = {}): Promise<Pebble> {
  const folder = mkdtempSync(join(tmpdir(), "waybill-pebble-"));
  const [listen, manage, httpPort, tlsPort, dnsPort, dnsManage] = (await Promise.all(
    Array.from({ length: 6 }, freePort),
  )) as [number, number, number, number, number, number];
  const { certificate, key } = await selfSigned(["localhost", "127.0.0.1"]);
  writeFileSync(join(folder, "cert.pem"), certificate);
  writeFileSync(join(folder, "key.pem"), key);
  const config = {
    pebble: {
      listenAddress: `127.0.0.1:${listen}`,
      managementListenAddress: `127.0.0.1:${manage}`,
      certificate: join(folder, "cert.pem"),
      privateKey: join(folder, "key.pem"),
      httpPort,
      tlsPort,
      ocspResponderURL: "",
      externalAccountBindingRequired: options.eab !== undefined,
      ...(options.eab !== undefined && { externalAccountMACKeys: options.eab }),
    },
  };
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));

  const environment = {
    ...process.env,
    PEBBLE_VA_NOSLEEP: "1",
    PEBBLE_WFE_NONCEREJECT: "0",
    ...options.environment,
  };
  const children: ChildProcess[] = [
    spawn("pebble-challtestsrv", dnsFlags(dnsPort, dnsManage), { stdio: "ignore" }),
    spawn(
      PEBBLE,
      ["-config", join(folder, "config.json"), "-dnsserver", `127.0.0.1:${options.dnsPort ?? dnsPort}`],
      {
        stdio: ["ignore", "pipe", "pipe"],
        env: environment,
      },
    ),
  ];
  const said: string[] = [];
  for (const stream of [children[1]!.stdout!, children[1]!.stderr!])
    stream.on("data", (chunk) => {
      said.push(String(chunk));
      if (process.env["SHOW_LOG"]) process.stderr.write(chunk);
    });
  t.after(() => {
    for (const child of children) child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  });

  const dispatcher = new Agent({ connect: { ca: certificate }, allowH2: false });
  t.after(() => dispatcher.destroy());
  const directory = `https://localhost:${listen}/dir`;
  const headers = { "user-agent": "waybill-tests" };
  await until(async () => (await request(directory, { dispatcher, headers })).statusCode === 200);
  const { body } = await request(directory, { dispatcher, headers });
  const isRecent = "renewalInfo" in ((await body.json()) as object);
  return {
    directory,
    isRecent,
    roots: certificate,
    rootsFile: join(folder, "cert.pem"),
    httpPort,
    tlsPort,
    dnsPort,
    async dns(path, body) {
      const url = `http://127.0.0.1:${dnsManage}${path}`;
      const reply = await request(url, { method: "POST", body: JSON.stringify(body) });
      await reply.body.dump();
    },
    async root(n) {
      const reply = await request(`https://localhost:${manage}/roots/${n}`, { dispatcher });
      return reply.body.text();
    },
    kill: () => void children[1]!.kill("SIGKILL"),
    log: () => said.join(""),
  };
}

function dnsFlags(dnsPort: number, managePort: number): string[] {
  const off = ["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", ""];
  const on = ["-dns01", `127.0.0.1:${dnsPort}`, "-management", `127.0.0.1:${managePort}`];
  return [...on, "-defaultIPv4", "127.0.0.1", ...off];
}

export async function until(isSo: () => Promise<boolean> | boolean, patienceMs = 60_000): Promise<void> {
  const endMs = Date.now() + patienceMs;
  for (;;) {
    if (await Promise.resolve(isSo()).catch(() => false)) return;
    if (Date.now() > endMs) throw new Error("it did not happen in time");
    await wait(25);
  }
}

/** A certificate for a server of the tests; `life` in milliseconds around now. */
export async function selfSigned(
  names: readonly string[],
  life: readonly [number, number] = [-60_000, 3_600_000],
) {
  const key = await newKey("EC256");
  const { keys, algorithm } = await signingPair(key);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: `4${randomBytes(8).toString("hex").slice(1)}`,
    name: `CN=${names[0]}`,
    keys,
    signingAlgorithm: algorithm,
    notBefore: new Date(Date.now() + life[0]),
    notAfter: new Date(Date.now() + life[1]),
    extensions: [alternativeNames(names), new x509.BasicConstraintsExtension(true)],
  });
  return { certificate: certificate.toString("pem"), key };
}
