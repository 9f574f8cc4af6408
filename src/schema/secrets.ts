import { resolve, sep } from "node:path";
import { Unreadable } from "./reader.ts";

/** Where references may lead. Labels may reach only what the operator set aside; the operator's own settings, all. */
export interface SecretSources {
  readonly env: ReadonlyMap<string, string>;
  readonly readFile: (path: string) => string;
  /** Where a path leads once links are followed; throws when there is nothing. Absent: links are not looked at. */
  readonly realPath?: (path: string) => string;
  /** Absent: every file. */
  readonly directories?: readonly string[];
  /** Names, or beginnings that end in `*`. Absent: every variable. */
  readonly variables?: readonly string[];
}

/** Resolves `file:/run/secrets/x` and `env:NAME`. Throws `Unreadable` with a reason that does not show the value. */
export function readSecret(reference: string, sources: SecretSources): string {
  const colon = reference.indexOf(":");
  const target = reference.slice(colon + 1);
  const secret = reference.startsWith("file:") ? fromFile(target, sources) : fromVariable(target, sources);
  return secret.replace(/\r?\n$/, "");
}

function fromFile(path: string, { directories, readFile, realPath = resolve }: SecretSources): string {
  const whole = resolve(path);
  const allowed = directories?.join(" or ") || "a directory of secrets.directories";
  if (directories && !isWithin(whole, directories)) {
    throw new Unreadable(`expected a file in ${allowed}; secrets.directories allows others`);
  }
  try {
    // Mounted secrets are links inside their directory; one that leads out of it is a way around it.
    const real = realPath(whole);
    if (
      directories &&
      !isWithin(
        real,
        directories.filter(exists(realPath)).map((one) => realPath(one)),
      )
    ) {
      throw new Unreadable(`expected a file in ${allowed}, found a link that leads out of it`);
    }
    return readFile(real);
  } catch (error) {
    if (error instanceof Unreadable) throw error;
    const { code } = error as NodeJS.ErrnoException;
    throw new Unreadable(`expected a readable secret file, but reading it failed (${code ?? "unreadable"})`);
  }
}

const isWithin = (file: string, directories: readonly string[]) =>
  directories.some((directory) => file.startsWith(resolve(directory) + sep));

const exists = (realPath: (path: string) => string) => (directory: string) => {
  try {
    return realPath(directory) !== "";
  } catch {
    return false;
  }
};

function fromVariable(name: string, { variables, env }: SecretSources): string {
  const allowed = (pattern: string) =>
    pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
  if (variables && !variables.some(allowed)) {
    throw new Unreadable(
      `expected a variable named ${variables.join(" or ") || "in secrets.variables"}; secrets.variables allows others`,
    );
  }
  const value = env.get(name);
  if (value === undefined) throw new Unreadable("expected an environment variable that is set");
  return value;
}
