import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { lookupForeign } from "../../src/lib/own-addresses.ts";
import { eventually, type Product, startProduct } from "../e2e/harness.ts";

type Labels = Readonly<Record<string, string>>;

const labelsOf = (name: string, rule: string, more: Labels = {}): Labels => ({
  [`traefik.http.routers.${name}.rule`]: rule,
  [`traefik.http.services.${name}.loadbalancer.server.port`]: "8080",
  ...more,
});

/** A well-behaved container beside one with these labels. */
async function besideGood(labels: Labels): Promise<Product> {
  const containers = [
    { name: "good", labels: labelsOf("good", "Host(`good`)") },
    { name: "bad", labels },
  ];
  const product = await startProduct({ containers, threads: 1 });
  try {
    await eventually(async () => assert.equal((await product.get("good")).status, 200));
  } catch (error) {
    await product[Symbol.asyncDispose]();
    throw error;
  }
  return product;
}

const nested = (text: string, times: number) => text.repeat(times);
const HOSTILE: Readonly<Record<string, Labels>> = {
  "two thousand routers": Object.fromEntries(
    Array.from({ length: 2000 }, (_, i) => [`traefik.http.routers.m${i}.rule`, `Host(\`m${i}\`)`]),
  ),
  "a rule of a megabyte": labelsOf("bad", `Host(\`${nested("a", 1 << 20)}\`)`),
  "a label's name of a megabyte": labelsOf("bad", "Host(`x`)", {
    [`traefik.http.routers.bad.${nested("x", 1 << 20)}`]: "y",
  }),
  "names of an object's own": labelsOf("bad", "Host(`x`)", {
    "traefik.http.routers.__proto__.rule": "Host(`p`)",
    "traefik.http.routers.constructor.rule": "Host(`c`)",
    "traefik.http.middlewares.__proto__.headers.customrequestheaders.__proto__": "x",
    "traefik.__proto__.polluted": "yes",
  }),
  "a name nested 20,000 deep": labelsOf("bad", "Host(`x`)", {
    [`traefik.http.${nested("a.", 20_000)}b`]: "1",
  }),
  "50,000 parentheses": labelsOf("bad", `${nested("(", 50_000)}Host(\`x\`)${nested(")", 50_000)}`),
  "100,000 negations": labelsOf("bad", `${nested("!", 100_000)}Host(\`x\`)`),
  "a conjunction of 30 alternatives": labelsOf(
    "bad",
    Array.from({ length: 30 }, (_, i) => `(Host(\`a${i}\`) || Host(\`b${i}\`))`).join(" && "),
  ),
  "a pattern whose repeats multiply": labelsOf("bad", `PathRegexp(\`${nested("(a?){1000}", 20)}\`)`),
  "a template without an end": labelsOf("bad", "{{ range (until 1000000000) }}x{{ end }}"),
};

for (const [what, labels] of Object.entries(HOSTILE)) {
  test(`a container with ${what} takes nothing from the others`, async () => {
    await using product = await besideGood(labels);
    assert.equal((await product.get("good")).status, 200);
    assert.equal(({} as Record<string, unknown>).polluted, undefined);
  });
}

test("patterns that backtrack elsewhere are matched in time that grows with the text only", async () => {
  await using product = await besideGood(
    labelsOf("bad", "HostRegexp(`^(a|a)*b$`) || PathRegexp(`^/(x+x+)+y$`)"),
  );
  const before = performance.now();
  assert.equal((await product.get("a".repeat(60), `/${"x".repeat(6000)}`)).status, 404);
  assert.ok(performance.now() - before < 2000);
});

test("no label names a service of Waybill's own", async () => {
  const labels = labelsOf("bad", "Host(`bad`)", { "traefik.http.routers.bad.service": "api@internal" });
  await using product = await besideGood(labels);
  assert.equal((await product.get("bad")).status, 503);
  assert.ok(product.log.some(({ fields }) => fields.code === "reserved-name"));
});

test("no label reads a secret outside of the directories for them", async () => {
  const labels = labelsOf("bad", "Host(`bad`)", {
    "traefik.http.middlewares.m.basicauth.users": "file:/run/secrets/../../etc/shadow",
    "traefik.http.routers.bad.middlewares": "m",
  });
  await using product = await besideGood(labels);
  assert.equal((await product.get("bad")).status, 503);
  assert.doesNotMatch(JSON.stringify(product.log), /root:/);
});

for (const path of ["/dev/zero", "a pipe"]) {
  test(`a label that has ${path} read as a file of users stops no thread`, async () => {
    const folder = mkdtempSync(join(tmpdir(), "waybill-pipe-"));
    const pipe = join(folder, "pipe");
    execFileSync("mkfifo", [pipe]);
    try {
      const labels = labelsOf("bad", "Host(`bad`)", {
        "traefik.http.middlewares.m.basicauth.usersfile": path === "a pipe" ? pipe : path,
        "traefik.http.routers.bad.middlewares": "m",
      });
      await using product = await besideGood(labels);
      const { status } = await product.get("bad");
      assert.ok(status >= 400, `${status}`);
      assert.equal((await product.get("good")).status, 200);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}

for (const url of [
  "http://127.0.0.1",
  "http://[::ffff:127.0.0.1]",
  "http://0x7f.1",
  "h2c://2130706433",
  "http://169.254.169.254",
  "http://localhost",
  "http://metadata.google.internal",
]) {
  test(`a label cannot aim at ${url}`, async () => {
    await using product = await besideGood({
      "traefik.http.routers.bad.rule": "Host(`bad`)",
      "traefik.http.services.bad.loadbalancer.server.url": url,
    });
    assert.equal((await product.get("bad")).status, 503);
    assert.ok(product.log.some(({ fields }) => fields.code === "refused-url"));
  });
}

test("a label cannot aim at loopback by a name that resolves there, nor ask after its health", async (t) => {
  const found = await new Promise<string>((resolve) =>
    lookupForeign(hostname(), {}, (error) => resolve(error?.message ?? "")),
  );
  if (!found.includes("Waybill's own")) return t.skip("this machine's name does not resolve to loopback");
  let asked = 0;
  const ours = createServer((_, response) => {
    asked++;
    response.end("private");
  });
  await new Promise<void>((resolve) => ours.listen(0, resolve));
  const { port } = ours.address() as AddressInfo;
  try {
    await using product = await besideGood({
      "traefik.http.routers.bad.rule": "Host(`bad`)",
      "traefik.http.services.bad.loadbalancer.server.url": `http://${hostname()}:${port}`,
      "traefik.http.services.bad.loadbalancer.healthcheck.path": "/",
      "traefik.http.services.bad.loadbalancer.healthcheck.interval": "50ms",
    });
    const { status, body } = await product.get("bad");
    assert.ok(status >= 500, `${status}`);
    assert.doesNotMatch(body, /private/);
    assert.equal(asked, 0);
  } finally {
    ours.close();
  }
});
