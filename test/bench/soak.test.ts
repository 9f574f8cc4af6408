import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";

const skip =
  process.env["CI"] === "true"
    ? false
    : "takes two minutes; runs where CI=true, or by hand: node bench/soak.ts";

test("RS-14 SL-11 WS-07 two minutes of clients that leave and streams that break off leave nothing behind", {
  skip,
}, () => {
  const script = join(import.meta.dirname, "../../bench/soak.ts");
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, "--minutes", "2"], {
    encoding: "utf8",
  });
  assert.equal(status, 0, `${stdout}${stderr}`);
});
