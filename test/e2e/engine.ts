import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

/** Runs a program to its end. Throws with everything it said when it fails. */
export function sh(command: string, args: readonly string[], env: Record<string, string> = {}): string {
  const done = spawnSync(command, args, {
    encoding: "utf8",
    env: { ...process.env, ...env },
    maxBuffer: 64 * 1024 * 1024,
  });
  if (done.status !== 0)
    throw new Error(`${command} ${args.join(" ")}\n${done.stdout}${done.stderr}${done.error ?? ""}`);
  return done.stdout.trim();
}

// Debian's client fits Debian's engine; a newer one elsewhere on the machine may not.
const DOCKER = existsSync("/usr/bin/docker") ? "/usr/bin/docker" : "docker";

export const docker = (...args: string[]) => sh(DOCKER, args);

/** Why tests with a real engine cannot run here, or false when they can. In CI they always run, and fail without it. */
export function withoutEngine(): string | false {
  if (process.env["CI"] === "true") return false;
  const missing = [DOCKER, "docker-compose"].filter((name) => spawnSync(name, ["version"]).status !== 0);
  if (missing.length > 0) return `needs ${missing.join(" and ")} and a Docker engine`;
  const images = docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split("\n");
  const absent = ["node:26-slim", "traefik/whoami:latest", "redis:7"].filter(
    (name) => !images.includes(name),
  );
  return absent.length > 0 && `needs the images ${absent.join(" and ")}; .ci/images.sh makes them`;
}

/** Asks again until the answer pleases; throws with the last complaint after `seconds`. */
export async function eventually<T>(seconds: number, ask: () => Promise<T> | T): Promise<T> {
  const until = performance.now() + seconds * 1000;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (performance.now() > until) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
