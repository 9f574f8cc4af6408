import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Where systems keep roots of their own, and what makes them count. */
const PLACES = [
  { folder: "/usr/local/share/ca-certificates", command: "update-ca-certificates" },
  { folder: "/etc/pki/ca-trust/source/anchors", command: "update-ca-trust" },
  { folder: "/etc/ca-certificates/trust-source/anchors", command: "update-ca-trust" },
];

/** The machine that is to trust the root; tests bring one of their own. */
export interface Machine {
  readonly platform: string;
  /** Where its file system begins. */
  readonly root: string;
  run(command: string): void;
}

const THIS_MACHINE: Machine = {
  platform: process.platform,
  root: "/",
  run: (command) => void execFileSync(command, { stdio: "ignore" }),
};

/** Adds the root to those that this machine trusts; gives what was done. Throws with what to do instead. */
export function installRoot(pem: string, machine: Machine = THIS_MACHINE): string {
  const { platform, root } = machine;
  if (platform === "darwin") return installOnMac(pem);
  const place = PLACES.find(({ folder }) => existsSync(join(root, folder)));
  if (platform !== "linux" || place === undefined)
    throw new Error(
      "this system's roots are kept in a place unknown to us: save `waybill certs trust` to a file, and add that",
    );
  const file = join(root, place.folder, "waybill-internal.crt");
  try {
    writeFileSync(file, pem);
    machine.run(place.command);
  } catch (error) {
    throw new Error(
      `${(error as Error).message}; run this as root, or add the output of waybill certs trust`,
    );
  }
  return `${file} is trusted now. Firefox and Chromium keep roots of their own: import the file there too.`;
}

function installOnMac(pem: string): string {
  const folder = mkdtempSync(join(tmpdir(), "waybill-root-"));
  const file = join(folder, "root.pem");
  try {
    writeFileSync(file, pem);
    const keychain = "/Library/Keychains/System.keychain";
    execFileSync("security", ["add-trusted-cert", "-d", "-r", "trustRoot", "-k", keychain, file]);
  } finally {
    rmSync(folder, { recursive: true });
  }
  return "The root is in the system's keychain now.";
}
