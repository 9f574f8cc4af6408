import { execFile, execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const BUSYBOX = ["/bin/busybox", "/usr/bin/busybox"].find((path) => existsSync(path));
// Debian's client fits Debian's engine; a newer one elsewhere on the machine may not.
const DOCKER = existsSync("/usr/bin/docker") ? "/usr/bin/docker" : "docker";

export const BUSYBOX_IMAGE = "waybill-test-busybox";

/** Runs the docker command, at another engine than the usual one if `host` names it. */
export async function docker(args: readonly string[], host?: string): Promise<string> {
  const where = host === undefined ? [] : ["-H", host];
  return (await run(DOCKER, [...where, ...args])).stdout.trim();
}

/** Why tests with a real engine cannot run here, or undefined. */
export function missingForContainers(): string | undefined {
  if (BUSYBOX === undefined) return "needs a static busybox to make an image of";
  try {
    execFileSync(DOCKER, ["version"], { stdio: "ignore" });
    return undefined;
  } catch {
    return "needs a Docker engine and the docker command";
  }
}

/** In CI such tests always run, and fail without an engine. */
export function skipWithoutContainers(): { skip?: string } {
  const missing = missingForContainers();
  return missing === undefined || process.env["CI"] === "true" ? {} : { skip: missing };
}

/** A file system with nothing but busybox: nothing has to be pulled. It serves its own host name on port 80. */
export async function importBusybox(host?: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "waybill-image-"));
  for (const name of ["bin", "www", "tmp"]) mkdirSync(join(folder, name));
  cpSync(BUSYBOX!, join(folder, "bin/busybox"));
  for (const name of ["sh", "httpd", "test", "touch", "rm", "hostname", "sleep"]) {
    symlinkSync("busybox", join(folder, "bin", name));
  }
  // $PORT, so that two can share the host's network.
  const serve = `hostname > /www/index.html; exec httpd -f -p \${PORT:-80} -h /www`;
  const changes = ["EXPOSE 80", `CMD ["/bin/sh","-c",${JSON.stringify(serve)}]`].flatMap((change) => [
    "-c",
    change,
  ]);
  await run("tar", ["-C", folder, "-cf", `${folder}.tar`, "."]);
  await docker(["import", ...changes, `${folder}.tar`, BUSYBOX_IMAGE], host);
  rmSync(folder, { recursive: true });
  rmSync(`${folder}.tar`);
}
