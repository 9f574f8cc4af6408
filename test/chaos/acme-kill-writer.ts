import { readFileSync } from "node:fs";
import { join } from "node:path";
import { FileVault } from "../../src/acme/file-vault.ts";
import { type Kept, Shelf } from "../../src/acme/shelf.ts";

/** Writes two versions of one certificate in turn until it is killed; the test that starts it kills it. */
const [, , folder, file] = process.argv as [string, string, string, string];
const versions = JSON.parse(readFileSync(join(folder, file), "utf8")) as [Kept, Kept];
const shelf = new Shelf(await FileVault.open(folder), Date.now, () => {});
await shelf.saveAccount("ca.test", { key: versions[0].spec.key, url: undefined, email: "" });
for (let i = 0; ; i++) {
  await shelf.saveCertificate(versions[i % 2]!);
  if (i === 0) process.stdout.write("writing\n");
}
