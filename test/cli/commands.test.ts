import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import bcrypt from "bcrypt";
import type { Shell } from "../../src/cli/command.ts";
import { main } from "../../src/cli/main.ts";

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function waybill(
  argv: readonly string[],
  extra: Partial<Shell> & { files?: Record<string, string> } = {},
): Promise<Ran> {
  const out: string[] = [];
  const err: string[] = [];
  const code = await main(argv, {
    env: new Map(),
    cwd: "/work",
    readFile(path) {
      const text = extra.files?.[path];
      if (text === undefined) throw Object.assign(new Error(path), { code: "ENOENT" });
      return text;
    },
    out: (text) => void out.push(text),
    err: (text) => void err.push(text),
    askSecret: async () => "",
    ...extra,
  });
  return { code, out: out.join(""), err: err.join("") };
}

test("version says which this is, however it is asked", async () => {
  for (const argv of [["version"], ["--version"], ["-v"], ["traefik", "version"]]) {
    const { code, out } = await waybill(argv);
    assert.equal(code, 0);
    assert.match(out, /^Waybill \d+\.\d+\.\d+ \(Node 2\d/);
  }
});

test("help names the commands and sections, and is there for --help anywhere", async () => {
  for (const argv of [["help"], ["--help"], ["-h"], ["--api.insecure", "--help"]]) {
    const { code, out } = await waybill(argv);
    assert.equal(code, 0);
    for (const word of [
      "healthcheck",
      "hash",
      "--entryPoints",
      "--certificatesResolvers",
      "WAYBILL_LOG_LEVEL",
    ]) {
      assert.ok(out.includes(word), word);
    }
    assert.ok(!out.includes("--spiffe"), "what is refused is no help");
  }
});

test("help about a section, an option, a command and everything", async () => {
  assert.match((await waybill(["help", "log"])).out, /--log\.level=<one of TRACE.*\n.*Default: INFO/);
  assert.match((await waybill(["help", "--log.LEVEL"])).out, /^log: .*\n {2}--log\.level/);
  assert.match((await waybill(["help", "hash"])).out, /^waybill hash \[--raw\]/);
  assert.match((await waybill(["healthcheck", "--help"])).out, /^waybill healthcheck/);
  assert.match((await waybill(["help", "providers.consul"])).out, /is not supported: /);
  const all = (await waybill(["help", "all"])).out.split("\n");
  assert.ok(all.length > 400);
  assert.ok(all.every((line) => line.length <= 120));
});

test("a command or topic that does not exist names the nearest and fails", async () => {
  const command = await waybill(["versoin"]);
  assert.equal(command.code, 1);
  assert.match(command.err, /^"versoin" is not a command\. Did you mean version\?/);
  const topic = await waybill(["help", "provders"]);
  assert.equal(topic.code, 1);
  assert.match(topic.err, /Did you mean providers\?/);
});

test("nothing starts with wrong options, and all of them are said", async () => {
  const { code, err } = await waybill(["--log.levle=x", "--providers.docker", "--threads=x", "stray"]);
  assert.equal(code, 1);
  assert.match(err, /error: flag --log\.levle: .*did you mean level\?/);
  assert.match(err, /error: flag --threads: expected a whole number/);
  assert.match(err, /error: "stray" is neither an option nor a command/);
  assert.match(err, /Nothing was started/);
});

test("hash prints a user that compose files and bcrypt understand", async () => {
  const { code, out } = await waybill(["hash", "--cost=4", "bob", "s3cret"]);
  assert.equal(code, 0);
  assert.match(out, /^bob:\$\$2b\$\$04\$\$[./A-Za-z0-9]{53}\n$/);
  assert.ok(await bcrypt.compare("s3cret", out.trim().slice(4).replaceAll("$$", "$")));
});

test("hash asks for a password that is not given", async () => {
  const asked: string[] = [];
  const { out } = await waybill(["hash", "--raw", "--cost=4", "bob"], {
    askSecret: async (question) => {
      asked.push(question);
      return "pässword";
    },
  });
  assert.deepEqual(asked, ["Password of bob: "]);
  assert.ok(await bcrypt.compare("pässword", out.trim().slice(4)));
});

test("hash refuses what would not work", async () => {
  for (const argv of [
    [],
    ["a:b", "x"],
    ["bob", "x", "y"],
    ["--cost=3", "bob", "x"],
    ["bob", "x".repeat(73)],
    ["bob"],
  ]) {
    const { code, out, err } = await waybill(["hash", ...argv]);
    assert.equal(code, 1);
    assert.equal(out, "");
    assert.match(err, /expected/);
  }
});

async function serve(
  status: number,
  t: { after: (end: () => void) => void },
): Promise<[Server, number, string[]]> {
  const asked: string[] = [];
  const server = createServer((request, reply) => {
    asked.push(request.url ?? "");
    reply.writeHead(status).end("OK");
  }).listen(0, "127.0.0.1");
  t.after(() => server.close());
  await once(server, "listening");
  return [server, (server.address() as AddressInfo).port, asked];
}

test("healthcheck asks /ping where ping is", async (t) => {
  const [, port, asked] = await serve(200, t);
  const argv = ["healthcheck", "--ping", `--entrypoints.traefik.address=:${port}`];
  const { code, out } = await waybill(argv);
  assert.deepEqual([code, out, asked], [0, `OK: http://127.0.0.1:${port}/ping\n`, ["/ping"]]);
  const [, sick] = await serve(503, t);
  const bad = await waybill(["healthcheck", "--ping", `--entrypoints.traefik.address=:${sick}`]);
  assert.deepEqual([bad.code, bad.err], [1, `Bad health: http://127.0.0.1:${sick}/ping answered 503\n`]);
});

test("healthcheck without ping takes any answer of an entry point, and none for ill", async (t) => {
  const [server, port] = await serve(404, t);
  const argv = ["healthcheck", `--entrypoints.web.address=127.0.0.1:${port}`];
  assert.equal((await waybill(argv)).code, 0);
  server.close();
  server.closeAllConnections();
  await once(server, "close");
  const { code, err } = await waybill(argv);
  assert.equal(code, 1);
  assert.match(err, /^Bad health: 127\.0\.0\.1:\d+: connect ECONNREFUSED/);
});

test("healthcheck without options takes those of process 1", async (t) => {
  const [, port, asked] = await serve(200, t);
  for (const program of [
    ["node", "/usr/local/bin/waybill"],
    ["/usr/bin/node", "/app/bin/waybill.js", "run"],
    ["traefik", "traefik"],
  ]) {
    const words = [
      ...program,
      "-ping",
      "--log.level",
      "debug",
      `--entrypoints.traefik.address=127.0.0.1:${port}`,
      "",
    ];
    const { code, err } = await waybill(["healthcheck"], { files: { "/proc/1/cmdline": words.join("\0") } });
    assert.deepEqual([code, err], [0, ""]);
  }
  assert.deepEqual(asked, ["/ping", "/ping", "/ping"]);
});

test("demo add and remove say how they are used, and that no demo is running", async () => {
  assert.match((await waybill(["demo", "add", "x"])).err, /^usage: waybill demo add <name> <label>/);
  assert.match((await waybill(["demo", "remove"])).err, /^usage: waybill demo remove <name>/);
});

test("nothing that help says of commands and options is wider than a terminal of 80 columns", async () => {
  const topics = [
    [],
    ["all"],
    ...["run", "demo", "check", "explain", "certs", "healthcheck", "hash", "version"].map((one) => [one]),
  ];
  for (const topic of topics) {
    const { out } = await waybill(["help", ...topic]);
    assert.deepEqual(
      out.split("\n").filter((line) => line.length > 80),
      [],
      topic.join(),
    );
  }
});

test("a value that stands alone after a switch is pointed at", async () => {
  const { code, err } = await waybill(["--accesslog", "true"]);
  assert.equal(code, 1);
  assert.match(err, /did you mean --accesslog=true\?/);
});
