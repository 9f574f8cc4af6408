import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import {
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { Declaration } from "../../src/model/declared.ts";
import { fileOptions } from "../../src/model/provider-settings.ts";
import { FileProvider } from "../../src/providers/file/provider.ts";
import { written } from "../gateway/plane.ts";

const LIMIT_MS = 20_000;

function temporary(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), "waybill-file-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** The options as somebody wrote them. */
function provider(t: TestContext, options: Record<string, string>) {
  const published: Declaration[] = [];
  const changes = new EventEmitter();
  const debugged: Record<string, unknown>[] = [];
  const log = {
    debug: (fields: object) => void debugged.push({ ...fields }),
    info() {},
    warn() {},
    error() {},
  };
  const files = new FileProvider(written(fileOptions, options), {
    registry: new Map(),
    secret: (reference) => reference,
    template: { environment: new Map(), nowMs: () => 0 },
    log,
    publish(declaration) {
      published.push(declaration);
      changes.emit("change");
    },
  });
  t.after(() => files.close());
  return {
    files,
    published,
    debugged,
    routers: () => [...(published.at(-1)?.routers.keys() ?? [])].sort().join(),
    /** Waits until exactly these routers are declared. */
    async until(names: string) {
      const signal = AbortSignal.timeout(LIMIT_MS);
      while ([...(published.at(-1)?.routers.keys() ?? [])].sort().join() !== names)
        await once(changes, "change", { signal });
    },
  };
}

const router = (name: string) => `http: {routers: {${name}: {rule: "Host(\`${name}\`)", service: s}}}\n`;

test("what is there is published before start returns", (t) => {
  const directory = temporary(t);
  writeFileSync(join(directory, "a.yml"), router("a"));
  const { files, routers } = provider(t, { filename: join(directory, "a.yml"), watch: "false" });
  void files.start();
  assert.equal(routers(), "a");
});

test("a file that is missing at the start is a problem, and is read when it comes", async (t) => {
  const directory = temporary(t);
  const { files, published, until } = provider(t, { filename: join(directory, "a.yml") });
  await files.start();
  assert.match(published[0]!.problems[0]!.message, /does not exist/);
  writeFileSync(join(directory, "a.yml"), router("a"));
  await until("a");
});

test("RS-03 a file replaced by renaming is read once, in its last version", async (t) => {
  const directory = temporary(t);
  const path = join(directory, "a.yml");
  writeFileSync(path, router("a"));
  const { files, published, until } = provider(t, { filename: path });
  await files.start();
  for (const name of ["b", "c", "d"]) {
    writeFileSync(`${path}.tmp`, router(name));
    renameSync(`${path}.tmp`, path);
  }
  await until("d");
  assert.equal(published.length, 2);
});

test("RS-03 a file that is emptied and then written never loses its routes", async (t) => {
  const directory = temporary(t);
  const path = join(directory, "a.yml");
  writeFileSync(path, router("a"));
  const { files, published, until } = provider(t, { filename: path });
  await files.start();
  truncateSync(path);
  files.reload();
  writeFileSync(path, router("b"));
  await until("b");
  assert.ok(published.every(({ routers }) => routers.size === 1));
});

test("RS-03 a swapped symbolic link is followed, as mounted secrets swap theirs", async (t) => {
  const directory = temporary(t);
  for (const name of ["one", "two"]) {
    mkdirSync(join(directory, `..${name}`));
    writeFileSync(join(directory, `..${name}`, "a.yml"), router(name));
  }
  symlinkSync("..one", join(directory, "..data"));
  symlinkSync("..data/a.yml", join(directory, "a.yml"));
  const { files, routers, until } = provider(t, { directory });
  await files.start();
  assert.equal(routers(), "one");
  symlinkSync("..two", join(directory, "..next"));
  renameSync(join(directory, "..next"), join(directory, "..data"));
  await until("two");
});

test("a directory is read with those below it, and files come and go", async (t) => {
  const directory = temporary(t);
  mkdirSync(join(directory, "team"));
  writeFileSync(join(directory, "a.yml"), router("a"));
  writeFileSync(join(directory, "team", "b.toml"), '[http.routers.b]\nrule = "r"\nservice = "s"\n');
  writeFileSync(join(directory, "a.yml~"), router("backup"));
  writeFileSync(join(directory, "notes.txt"), "none");
  symlinkSync(directory, join(directory, "team", "loop"));
  const { files, routers, until } = provider(t, { directory });
  await files.start();
  assert.equal(routers(), "a,b");
  writeFileSync(join(directory, "team", "c.yml"), router("c"));
  await until("a,b,c");
  rmSync(join(directory, "a.yml"));
  await until("b,c");
});

test("a directory that goes away takes no routes with it", (t) => {
  const directory = join(temporary(t), "routes");
  mkdirSync(directory);
  writeFileSync(join(directory, "a.yml"), router("a"));
  const { files, published, routers } = provider(t, { directory, watch: "false" });
  void files.start();
  rmSync(directory, { recursive: true });
  files.reload();
  assert.equal(routers(), "a");
  assert.match(published.at(-1)!.problems[0]!.message, /does not exist; what it said before stays in force/);
});

test("without watching nothing is read again but by reload", async (t) => {
  const directory = temporary(t);
  const path = join(directory, "a.yml");
  writeFileSync(path, router("a"));
  const { files, routers } = provider(t, { filename: path, watch: "false" });
  await files.start();
  writeFileSync(path, router("b"));
  await new Promise((resolve) => setTimeout(resolve, 500));
  assert.equal(routers(), "a");
  files.reload();
  assert.equal(routers(), "b");
});

test("debugLogGeneratedTemplate: what a template made of a file is logged", (t) => {
  const directory = temporary(t);
  const path = join(directory, "a.yml");
  writeFileSync(path, `# {{ "made" }}\n${router("a")}`);
  const logged = (debugLogGeneratedTemplate: string) => {
    const { files, debugged } = provider(t, { filename: path, watch: "false", debugLogGeneratedTemplate });
    files.reload();
    return debugged.map(({ text }) => text);
  };
  assert.deepEqual(logged("true"), [`# made\n${router("a")}`]);
  assert.deepEqual(logged("false"), []);
});
