import assert from "node:assert/strict";
import { test } from "node:test";
import { Unreadable } from "../../src/schema/reader.ts";
import { readSecret, type SecretSources } from "../../src/schema/secrets.ts";

const files = new Map([
  ["/run/secrets/key", "s3cret\n"],
  ["/etc/shadow", "root"],
]);

const sources: SecretSources = {
  env: new Map([
    ["WAYBILL_SECRET_A", "a"],
    ["OTHER", "b"],
  ]),
  readFile(path) {
    const text = files.get(path);
    if (text === undefined) throw Object.assign(new Error(`no ${path}`), { code: "ENOENT" });
    return text;
  },
};
const limited = { ...sources, directories: ["/run/secrets"], variables: ["WAYBILL_SECRET_*"] };

test("a secret comes from a file, without its last line end, or from a variable", () => {
  assert.equal(readSecret("file:/run/secrets/key", sources), "s3cret");
  assert.equal(readSecret("env:OTHER", sources), "b");
});

test("a label reaches only the directories and variables that were set aside", () => {
  assert.equal(readSecret("file:/run/secrets/key", limited), "s3cret");
  assert.equal(readSecret("env:WAYBILL_SECRET_A", limited), "a");
  for (const reference of [
    "file:/etc/shadow",
    "file:/run/secrets/../../etc/shadow",
    "file:/run/secretsx",
    "file:/run/secrets",
    "env:OTHER",
    "env:",
    "file:",
  ]) {
    assert.throws(() => readSecret(reference, limited), Unreadable, reference);
  }
});

test("a link inside the directory is followed, one that leads out of it is not", () => {
  const realPath = (path: string) => {
    if (path === "/run/secrets/..data/key") return "/run/secrets/..1/key";
    if (path === "/run/secrets/out") return "/etc/shadow";
    if (path === "/gone") throw new Error("ENOENT");
    return path;
  };
  const linked = {
    ...limited,
    directories: ["/gone", "/run/secrets"],
    realPath,
    readFile: (path: string) => path,
  };
  assert.equal(readSecret("file:/run/secrets/..data/key", linked), "/run/secrets/..1/key");
  assert.throws(() => readSecret("file:/run/secrets/out", linked), /a link that leads out of it/);
});

test("what cannot be fetched is said without showing where else it might be", () => {
  assert.throws(() => readSecret("file:/run/secrets/none", sources), /failed \(ENOENT\)/);
  assert.throws(() => readSecret("env:NONE", sources), /expected an environment variable that is set/);
});
