import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { FileVault } from "../../src/acme/file-vault.ts";
import { Shelf } from "../../src/acme/shelf.ts";
import type { Vault } from "../../src/acme/vault.ts";
import type { CertificateSpec } from "../../src/model/snapshot.ts";
import { kept } from "./helpers.ts";

/** Keeps `count` certificates in a folder: one and the same under different names, as making each takes minutes. */
export async function keepMany(
  folder: string,
  count: number,
  nameOf: (i: number) => string,
  given?: CertificateSpec,
): Promise<void> {
  const vault = await FileVault.open(folder);
  // Without the care that real writes need.
  const careless: Vault = Object.assign(Object.create(vault) as Vault, {
    get: async () => undefined,
    put: async (path: string, bytes: string | Buffer) => {
      const file = join(folder, path);
      mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
      writeFileSync(file, bytes, { mode: 0o600 });
    },
  });
  const shelf = new Shelf(careless, Date.now, () => {});
  const one = await kept(nameOf(0));
  const spec = given ?? one.spec;
  for (let i = 0; i < count; i++) {
    const names = [nameOf(i)];
    await shelf.saveCertificate({ ...one, names, spec: { ...spec, id: `${spec.id}-${i}`, names } });
  }
  await vault.close();
}
