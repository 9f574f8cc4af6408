import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { launch, skip as noBrowser } from "../e2e/browser.ts";
import { eventually, type Product, send, startProduct } from "../e2e/harness.ts";
import { freePort } from "../free-port.ts";
import { IMAGES, LARGE, numbers, startApplications, sum } from "./http2-applications.ts";

/** Clients that people use, by HTTP/2, to the whole product: what they send and what they get is whole. */

const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), "waybill-http2-"));
const file = join(folder, "upload");
const applications = await startApplications();
let product: Product;
let plain = "";
let secure = "";

before(async () => {
  writeFileSync(file, numbers(LARGE));
  const file1 = `
http:
  routers:
    one: { rule: "PathPrefix(\`/\`)", service: one }
    two: { rule: "Host(\`grpc.test\`)", service: two, priority: 1000 }
  services:
    one: { loadBalancer: { servers: [{ url: ${applications.http1} }] } }
    two: { loadBalancer: { servers: [{ url: ${applications.http2} }] } }
`;
  product = await startProduct({
    file: file1,
    flags: ["--entryPoints.websecure.address=127.0.0.1:0", "--entryPoints.websecure.http.tls=true"],
  });
  plain = `http://127.0.0.1:${product.ports.get("web")}`;
  secure = `https://127.0.0.1:${product.ports.get("websecure")}`;
  await eventually(async () => assert.equal((await product.get("app.test")).body, "hello"));
});
after(async () => {
  await product?.[Symbol.asyncDispose]();
  applications.close();
  rmSync(folder, { recursive: true, force: true });
});

/** For tests that need a program: why they are left out, if they are. */
function needs(program: string): { skip?: string } {
  const isThere = ["/usr/bin", "/usr/local/bin", "/bin"].some((path) => existsSync(join(path, program)));
  return isThere || process.env["CI"] === "true" ? {} : { skip: `${program} is not installed` };
}

// --- curl.

async function curl(...args: readonly string[]): Promise<string> {
  const { stdout } = await run("curl", ["-sSk", "--max-time", "60", ...args], { maxBuffer: 2 * LARGE });
  return stdout;
}

for (const [about, at, how] of [
  ["over TLS", () => secure, "--http2"],
  ["by prior knowledge", () => plain, "--http2-prior-knowledge"],
] as const) {
  test(`H2-19 curl ${about} downloads and uploads 10 MB, and asks for heads`, needs("curl"), async () => {
    const output = join(folder, "download");
    const written = await curl(how, "-o", output, "-w", "%{http_version} %{size_download}", `${at()}/large`);
    assert.equal(written, `2 ${LARGE}`);
    assert.equal(sum(readFileSync(output)), sum(numbers(LARGE)));
    for (const length of [[], ["-H", "content-length:"]]) {
      const said = JSON.parse(await curl(how, "-T", file, ...length, `${at()}/sum`)) as {
        bytes: number;
        sum: string;
      };
      assert.deepEqual([said.bytes, said.sum], [LARGE, sum(numbers(LARGE))]);
    }
    const head = await curl(how, "-I", `${at()}/large`);
    assert.match(head, /^HTTP\/2 200/);
    assert.match(head, new RegExp(`content-length: ${LARGE}`));
    const mirrored = await curl(
      how,
      "--data-binary",
      `@${file}`,
      "-H",
      "expect: 100-continue",
      "-o",
      output,
      `${at()}/mirror`,
    );
    assert.deepEqual([mirrored, sum(readFileSync(output))], ["", sum(numbers(LARGE))]);
  });
}

test("H2-22 curl that asks for h2c by an upgrade is answered by HTTP/1.1", needs("curl"), async () => {
  assert.equal(await curl("--http2", "-w", " %{http_version}", plain), "hello 1.1");
});

// --- nghttp2's programs.

test("H2-19 nghttp fetches and uploads with trailers, padding and priorities", needs("nghttp"), async () => {
  const uploaded = await run("nghttp", ["-b", "200", "-d", file, "--trailer", "x-sum: 7", `${plain}/sum`]);
  assert.match(uploaded.stdout, new RegExp(`"sum":"${sum(numbers(LARGE))}"`));
  const fetched = await run("nghttp", ["-n", "-s", "-m", "3", "-w", "12", "-W", "14", `${secure}/large`]);
  assert.match(fetched.stdout, /\s200\s+9M/);
});

for (const [about, ...args] of [
  ["100 streams at once", "-c2", "-m100", "-n4000", "/"],
  ["large replies and small windows", "-c2", "-m5", "-n10", "-w12", "-W14", "/large"],
  ["uploads", "-c2", "-m4", "-n8", "-d", file, "/sum"],
  ["long heads that repeat", "-c1", "-m50", "-n1000", "-H", `x-long: ${"v".repeat(3000)}`, "/"],
] as const) {
  test(`H2-19 h2load gets an answer to every one of its requests: ${about}`, needs("h2load"), async () => {
    for (const at of [plain, secure]) {
      const { stdout } = await run("h2load", [...args.slice(0, -1), `${at}${args.at(-1)}`]);
      const [, asked] = /^requests: (\d+) total/m.exec(stdout)!;
      assert.match(stdout, new RegExp(`${asked} succeeded, 0 failed, 0 errored, 0 timeout`));
      assert.match(stdout, new RegExp(`status codes: ${asked} 2xx`));
    }
  });
}

// --- Node.js.

const open: ClientHttp2Session[] = [];
function session(at: string): ClientHttp2Session {
  const one = connect(at, { rejectUnauthorized: false });
  one.on("error", () => {});
  open.push(one);
  return one;
}
after(() => {
  for (const one of open) one.destroy();
});

async function textOf(stream: ClientHttp2Stream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  await once(stream, "end");
  return Buffer.concat(chunks);
}

test("H2-19 Node's client sends and gets trailers, pings, changes its settings and cancels, on one connection", async () => {
  const one = session(secure);
  const body = numbers(300_000);
  const whole = async () => {
    const stream = one.request({ ":method": "POST", ":path": "/mirror" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": "9" }));
    let trailers: Record<string, unknown> | undefined;
    stream.on("trailers", (fields) => {
      trailers = fields;
    });
    stream.end(body);
    assert.equal(sum(await textOf(stream)), sum(body));
    assert.equal(trailers?.["x-end"], "9");
  };
  const cancelled = async () => {
    const stream = one.request({ ":path": "/large" });
    await once(stream, "data");
    stream.close(8);
    stream.resume();
    await once(stream, "close");
  };
  for (let i = 0; i < 5; i++) {
    await Promise.all([whole(), cancelled(), whole(), whole(), cancelled()]);
    await promisify(one.ping.bind(one))();
    await new Promise<void>((resolve) =>
      one.settings({ initialWindowSize: 1000 * 10 ** i, headerTableSize: i * 1000 }, () => resolve()),
    );
  }
  assert.equal(sum(await textOf(one.request({ ":path": "/large" }))), sum(numbers(LARGE)));
});

for (const at of ["plain", "secure"]) {
  test(`H2-19 a hundred replies at once are whole, each to its last byte, to clients that stop reading now and then, ${at}`, async () => {
    const all = Array.from({ length: 3 }, (_, k) => {
      const one = session(at === "plain" ? plain : secure);
      return Array.from({ length: 100 }, async (_, i) => {
        const length = 4 * (1 + ((i * 7919 + k * 104_729) % 100_000));
        const stream = one.request({ ":path": `/numbers/${length}` });
        if (i % 3 === 0) setTimeout(() => stream.pause(), i).unref();
        if (i % 3 === 0) setTimeout(() => stream.resume(), i * 3);
        assert.equal(sum(await textOf(stream)), sum(numbers(length)), `${length} bytes`);
      });
    });
    await Promise.all(all.flat());
  });
}

for (const [about, authority, path] of [
  ["a server of HTTP/2", "grpc.test", "/chat.Chat/Talk"],
  ["a server of HTTP/1.1", "app.test", "/mirror"],
] as const) {
  test(`H2-19 both sides talk at once, message by message, with ${about}`, async () => {
    const one = session(plain);
    const talk = async (messages: number, size: number) => {
      const stream = one.request({
        ":method": "POST",
        ":authority": authority,
        ":path": path,
        "content-type": "application/grpc",
        te: "trailers",
      });
      let trailers: Record<string, unknown> = {};
      stream.on("trailers", (fields) => {
        trailers = fields;
      });
      let came = 0;
      let wake = () => {};
      stream.on("data", (chunk: Buffer) => {
        came += chunk.length;
        wake();
      });
      for (let i = 1; i <= messages; i++) {
        stream.write(Buffer.alloc(size, i));
        while (came < i * size) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      }
      stream.end();
      await once(stream, "close");
      assert.equal(came, messages * size);
      assert.equal(trailers["grpc-status"] ?? trailers["x-end"], authority === "grpc.test" ? "0" : "none");
    };
    await Promise.all([talk(50, 5), talk(20, 30_000), talk(3, 1_000_000), talk(50, 500)]);
  });
}

// --- A browser.

test("WS-09 SL-10 a browser loads a page of 100 images, an event stream and a WebSocket on one connection", {
  skip: noBrowser,
}, async () => {
  const browser = await launch();
  after(() => browser.close());
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const page = await context.newPage();
  const failures: string[] = [];
  page.on("requestfailed", (request) => failures.push(`${request.url()}: ${request.failure()?.errorText}`));
  page.on("response", (response) => {
    if (response.status() !== 200) failures.push(`${response.url()}: ${response.status()}`);
  });
  // Whenever a network comes or goes on the machine, the browser begins anew, and has what was under way fail.
  for (let left = 10; ; left--) {
    failures.length = 0;
    await page.goto(`${secure}/page`).catch(() => {});
    const isLoaded = `counts.broken > 0 || counts.images === ${IMAGES} && counts.events >= 10 && counts.echoes >= 20`;
    await page.waitForFunction(isLoaded, undefined, { timeout: 20_000 }).catch(() => {});
    if (left === 0 || !failures.some((failure) => failure.includes("ERR_NETWORK_CHANGED"))) break;
  }
  const { images, events, echoes } = (await page.evaluate("counts")) as Record<string, number>;
  assert.ok(images === IMAGES && events! >= 10 && echoes === 20, `${images} ${events} ${echoes} ${failures}`);
  const protocols = await page.evaluate(
    "[...new Set(performance.getEntriesByType('resource').map((entry) => entry.nextHopProtocol))]",
  );
  assert.deepEqual(protocols, ["h2"]);
});

// --- Another proxy before us.

test("H2-19 caddy passes requests on by HTTP/2 without TLS", needs("caddy"), async () => {
  const port = await freePort();
  const config = {
    admin: { disabled: true },
    logging: { logs: { default: { level: "ERROR" } } },
    apps: {
      http: {
        servers: {
          one: {
            listen: [`127.0.0.1:${port}`],
            automatic_https: { disable: true },
            routes: [
              {
                handle: [
                  {
                    handler: "reverse_proxy",
                    transport: { protocol: "http", versions: ["h2c", "2"] },
                    upstreams: [{ dial: plain.slice(7) }],
                    flush_interval: -1,
                  },
                ],
              },
            ],
          },
        },
      },
    },
  };
  const path = join(folder, "caddy.json");
  writeFileSync(path, JSON.stringify(config));
  const caddy: ChildProcess = spawn("caddy", ["run", "--config", path], {
    stdio: "ignore",
    env: { ...process.env, HOME: folder },
  });
  try {
    await eventually(async () => assert.equal((await send(port, "app.test", "/")).body, "hello"), 20);
    const large = await Promise.all(
      Array.from({ length: 8 }, () =>
        run("curl", ["-sS", `http://127.0.0.1:${port}/large`], { maxBuffer: 2 * LARGE, encoding: "buffer" }),
      ),
    );
    for (const { stdout } of large) assert.equal(sum(stdout as unknown as Buffer), sum(numbers(LARGE)));
    const said = JSON.parse(await curl("-T", file, `http://127.0.0.1:${port}/sum`)) as { sum: string };
    assert.equal(said.sum, sum(numbers(LARGE)));
  } finally {
    caddy.kill();
    await once(caddy, "exit");
  }
});
