import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { FakeCa, FakeClock } from "./fake-ca.ts";
import { openShelf, resolverOptions, startAcme } from "./helpers.ts";

/** A file system of 64 KiB, or undefined where we may not mount one. */
function smallDisk(t: TestContext): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), "waybill-disk-"));
  const flags = ["-t", "tmpfs", "-o", "size=64k", "tmpfs", folder];
  if (spawnSync("mount", flags).status !== 0) {
    t.skip("a file system can be mounted by root only");
    return undefined;
  }
  t.after(() => {
    spawnSync("umount", ["-l", folder]);
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

function fill(folder: string): void {
  for (let size = 65_536; size >= 1; size = Math.floor(size / 2)) {
    try {
      writeFileSync(join(folder, `filler-${size}`), Buffer.alloc(size));
    } catch {
      // Full: the rest is filled with smaller ones.
    }
  }
}

test("AC-15 on a full disk the certificate is served from memory, and written when there is room", async (t) => {
  const disk = smallDisk(t);
  if (disk === undefined) return;
  const clock = new FakeClock();
  const ca = await new FakeCa(clock).listen(t);
  const storage = join(disk, "store");
  const options = resolverOptions({ caServer: ca.directory, storage });
  ca.trick = ({ kind }) => {
    if (kind === "cert") fill(disk);
    return undefined;
  };
  const { acme, certificates, log } = await startAcme(t, { le: options }, { clock });
  acme.want([{ resolver: "le", names: ["a.example.com"], owner: "app@docker" }]);
  await clock.until(() => certificates().length === 1);
  const said = (text: string) => log.lines.some(({ message }) => message.includes(text));
  await clock.until(() => said("not saved yet"));
  await clock.pass(300_000);
  assert.equal(certificates().length, 1, "it is served all the same");

  for (let size = 65_536; size >= 1; size = Math.floor(size / 2))
    rmSync(join(disk, `filler-${size}`), { force: true });
  await clock.until(() => said("the certificate is saved now"));
  assert.equal(ca.issued, 1);
  await acme.close();
  const { shelf } = await openShelf(storage);
  assert.equal((await shelf.loadCertificates()).kept.length, 1);
  await shelf.vault.close();
});
