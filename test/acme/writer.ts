import { readFileSync } from "node:fs";
import { FileVault } from "../../src/acme/file-vault.ts";
import { type Kept, Shelf } from "../../src/acme/shelf.ts";

/** A process that saves an account, and two certificates of one name by turns, until it is killed. */
const [folder, file] = process.argv.slice(2);
const shelf = new Shelf(await FileVault.open(folder!), Date.now, () => {});
const [one, two] = JSON.parse(readFileSync(file!, "utf8")) as [Kept, Kept];
await shelf.saveAccount("ca.test", { key: one.spec.key, url: undefined, email: "" });
await shelf.saveCertificate(one);
process.stdout.write("written once\n");
for (;;) {
  await shelf.saveCertificate(two);
  await shelf.saveCertificate(one);
}
