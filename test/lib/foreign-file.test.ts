import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { foreignFileReader } from "../../src/lib/foreign-file.ts";

test("a file that a label names is read wherever it is, but not where the system or the proxy keeps its own", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "waybill-foreign-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const keys = join(folder, "acme");
  mkdirSync(keys);
  writeFileSync(join(keys, "key.pem"), "private");
  writeFileSync(join(folder, "acme.json"), "private too");
  writeFileSync(join(folder, "users"), "anna:x");
  writeFileSync(join(folder, "acme-users"), "eva:x");
  symlinkSync(join(keys, "key.pem"), join(folder, "link"));
  const read = foreignFileReader([join(folder, "acme.json"), keys, join(folder, "none")]);
  assert.equal(read(join(folder, "users")), "anna:x");
  assert.equal(read(join(folder, "acme-users")), "eva:x");
  for (const path of [
    join(keys, "key.pem"),
    join(folder, "link"),
    join(folder, "acme.json"),
    "/proc/self/environ",
    "/dev/zero",
    "/sys/kernel/notes",
  ]) {
    assert.throws(() => read(path), { code: "EACCES" }, path);
  }
  assert.throws(() => read(join(folder, "nowhere")), { code: "ENOENT" });
});
