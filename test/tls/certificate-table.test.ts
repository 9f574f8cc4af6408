import assert from "node:assert/strict";
import { test } from "node:test";
import type { CertificateSpec } from "../../src/model/snapshot.ts";
import { CertificateTable } from "../../src/tls/certificate-table.ts";

const NOW = 1000;

function certificate(id: string, names: string[], from = 0, to = 2000): CertificateSpec {
  return { id, names, notBeforeMs: from, notAfterMs: to, chain: "", key: "", challenge: false };
}

function find(name: string, ...certificates: CertificateSpec[]): string | undefined {
  return new CertificateTable({ certificates, defaultCertificate: "" }).find(name, NOW)?.id;
}

test("TL-17 an exact name comes before a wildcard, in any order", () => {
  const exact = certificate("exact", ["b.test", "app.example.com"]);
  const wildcard = certificate("wildcard", ["*.example.com"]);
  assert.equal(find("app.example.com", exact, wildcard), "exact");
  assert.equal(find("app.example.com", wildcard, exact), "exact");
  assert.equal(find("other.example.com", wildcard, exact), "wildcard");
});

test("TL-17 an expired certificate is never chosen while a valid one is there", () => {
  const expired = certificate("expired", ["app.example.com"], 0, 900);
  const later = certificate("later", ["app.example.com"], 1100, 9000);
  const wildcard = certificate("wildcard", ["*.example.com"]);
  const valid = certificate("valid", ["app.example.com"]);
  assert.equal(find("app.example.com", expired, wildcard), "wildcard");
  assert.equal(find("app.example.com", later, wildcard), "wildcard");
  assert.equal(find("app.example.com", expired, valid, later), "valid");
  assert.equal(find("app.example.com", expired), "expired");
});

test("TL-17 of two valid ones the one that lasts longer is chosen", () => {
  const short = certificate("short", ["a.test"], 0, 1500);
  const long = certificate("long", ["a.test"], 0, 3000);
  assert.equal(find("a.test", short, long), "long");
  assert.equal(find("a.test", long, short), "long");
});

test("PR-12 a wildcard stands for one label", () => {
  const wildcard = certificate("wildcard", ["*.example.com"]);
  assert.equal(find("example.com", wildcard), undefined);
  assert.equal(find("a.b.example.com", wildcard), undefined);
  assert.equal(find("*.example.com", wildcard), "wildcard");
});

test("addresses are found in whatever way they are written", () => {
  const ip = certificate("ip", ["10.0.0.1", "fd00:0:0:0:0:0:0:1"]);
  assert.equal(find("10.0.0.1", ip), "ip");
  assert.equal(find("fd00::1", ip), "ip");
});

test("a certificate of a challenge is found only as that", () => {
  const challenge = { ...certificate("challenge", ["a.test"]), challenge: true };
  const table = new CertificateTable({ certificates: [challenge], defaultCertificate: "" });
  assert.equal(table.find("a.test", NOW), undefined);
  assert.equal(table.challenge("a.test")?.id, "challenge");
});

test("TL-14 looking up one of 10,000 names costs no more than one of 10", () => {
  const many = (count: number) => {
    const certificates = Array.from({ length: count }, (_, i) => certificate(`${i}`, [`host-${i}.test`]));
    return new CertificateTable({ certificates, defaultCertificate: "" });
  };
  const [few, most] = [many(10), many(10_000)];
  const cost = (table: CertificateTable) => {
    let best = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 20; round++) {
      const start = process.hrtime.bigint();
      for (let i = 0; i < 2000; i++) table.find("host-7.test", NOW);
      best = Math.min(best, Number(process.hrtime.bigint() - start));
    }
    return best;
  };
  cost(few);
  assert.ok(cost(most) < cost(few) * 10);
});

test("HD-13 names that are special to JavaScript are names like others", () => {
  assert.equal(find("__proto__", certificate("a", ["a.test"])), undefined);
  assert.equal(find("constructor", certificate("c", ["constructor"])), "c");
});
