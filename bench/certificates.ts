/**
 * How long does Waybill take to start with 10,000 certificates in its store, and does finding one cost more than
 * among ten?
 *
 *     taskset -c 0,1 node bench/certificates.ts
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CertificateTable } from "../src/tls/certificate-table.ts";
import { keepMany } from "../test/acme/crowd.ts";
import { openShelf } from "../test/acme/helpers.ts";
import { startProduct } from "../test/e2e/harness.ts";

const ROUNDS = 5;
const LOOKUPS = 2_000_000;
const nameOf = (i: number) => `n${i}.example.com`;

/** Milliseconds until it listens, the best of some rounds. */
async function startMs(storage: string): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    let startedMs = 0;
    const product = await startProduct({
      flags: [
        "--entryPoints.websecure.address=127.0.0.1:0",
        "--providers.docker=false",
        `--certificatesResolvers.le.acme.storage=${storage}`,
      ],
      started: () => {
        startedMs = performance.now();
      },
    });
    best = Math.min(best, performance.now() - startedMs);
    await product[Symbol.asyncDispose]();
  }
  return best;
}

/** Nanoseconds a look-up, the best of some rounds; the same ten names whatever else there is. */
async function lookupNs(storage: string): Promise<number> {
  const { shelf } = await openShelf(storage);
  const { kept } = await shelf.loadCertificates();
  const table = new CertificateTable({
    certificates: kept.map(({ spec }) => spec),
    defaultCertificate: "",
  });
  const names = Array.from({ length: 10 }, (_, i) => nameOf(i));
  const nowMs = Date.now();
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    for (let i = 0; i < LOOKUPS; i++) {
      if (table.find(names[i % names.length]!, nowMs) === undefined) throw new Error("not found");
    }
    best = Math.min(best, ((performance.now() - start) * 1e6) / LOOKUPS);
  }
  return best;
}

console.log("certificates".padEnd(14), "start, ms".padStart(12), "look-up, ns".padStart(12));
for (const count of [10, 1000, 10_000]) {
  const folder = mkdtempSync(join(tmpdir(), "waybill-bench-"));
  const storage = join(folder, "store");
  await keepMany(storage, count, nameOf);
  const [start, lookup] = [await startMs(storage), await lookupNs(storage)];
  console.log(String(count).padEnd(14), start.toFixed(0).padStart(12), lookup.toFixed(0).padStart(12));
  rmSync(folder, { recursive: true });
}
