import { readFileSync } from "node:fs";
import { FileVault } from "../../src/acme/file-vault.ts";
import { type Kept, Shelf } from "../../src/acme/shelf.ts";

/** A process that saves two certificates of one name by turns, until it is killed. */
const [folder, file] = process.argv.slice(2);
const shelf = new Shelf(await FileVault.open(folder!), Date.now, () => {});
const [one, two] = JSON.parse(readFileSync(file!, "utf8")) as [Kept, Kept];
process.stdout.write("writing\n");
for (;;) {
  await shelf.saveCertificate(one);
  await shelf.saveCertificate(two);
}
