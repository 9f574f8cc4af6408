import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Answer, eventually, type Product, startProduct, startServer } from "../e2e/harness.ts";
import { startDeaf } from "../upstream/deaf.ts";

/** What services can be told, seen by clients and servers: each option by its name. */

type Started = Awaited<ReturnType<typeof startServer>>;
const started: Started[] = [];
let a: Started;
let b: Started;
let silent: Started;
let deaf: Awaited<ReturnType<typeof startDeaf>>;
let product: Product;
/** Which service each health check was for. */
const probed: string[] = [];
const seen: string[] = [];
const statuses = new Map<string, number>();

async function server(name: string): Promise<Started> {
  const one = await startServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => (body += chunk));
    request.on("end", () => {
      if (request.headers["x-probe"] !== undefined) probed.push(String(request.headers["x-probe"]));
      seen.push(`${name} ${request.method} ${request.headers.host} ${request.url} ${body}`);
      if (request.url === "/slow") return response.write("first");
      response.writeHead(statuses.get(name) ?? 200).end(`${name} ${request.headers.host} ${request.url}`);
    });
  });
  started.push(one);
  return one;
}

before(async () => {
  [a, b, silent] = [await server("a"), await server("b"), await startServer(() => {})];
  started.push(silent);
  deaf = await startDeaf();
  const check = (name: string, unhealthyInterval: string) =>
    `healthCheck: { path: /probe, status: 299, interval: 50ms, unhealthyInterval: ${unhealthyInterval}, headers: { X-Probe: ${name} } }`;
  const to = (...urls: string[]) => `servers: [ ${urls.map((url) => `{ url: "${url}" }`).join(", ")} ]`;
  const services: Record<string, string> = {
    a: `loadBalancer: { ${to(a.url)} }`,
    b: `loadBalancer: { ${to(b.url)} }`,
    down: "loadBalancer: { healthCheck: {}, servers: [] }",
    weights: `loadBalancer: { servers: [ { url: "${a.url}", weight: 3 }, { url: "${b.url}" } ] }`,
    path: `loadBalancer: { servers: [ { url: "${a.url}/base", preservePath: true } ] }`,
    nopath: `loadBalancer: { servers: [ { url: "${a.url}/base" } ] }`,
    ownhost: `loadBalancer: { passHostHeader: false, ${to(a.url)} }`,
    cookie: `loadBalancer: { ${to(a.url)}, sticky: { cookie: { name: stick, secure: true, httpOnly: true, sameSite: strict, maxAge: 9, path: /p, domain: x.test } } }`,
    weighted: `weighted: { services: [ { name: a, weight: 3 }, { name: b } ], sticky: { cookie: { name: side, secure: true, httpOnly: true, sameSite: strict, maxAge: 9, path: /p, domain: x.test } } }`,
    turns: "weighted: { services: [ { name: a, weight: 3 }, { name: b } ] }",
    checked: "weighted: { healthCheck: {}, services: [ { name: down, weight: 99 }, { name: b } ] }",
    hrw: "highestRandomWeight: { services: [ { name: a, weight: 0 }, { name: b } ] }",
    hrwdown:
      "highestRandomWeight: { healthCheck: {}, services: [ { name: down, weight: 1000000 }, { name: b } ] }",
    mirror: "mirroring: { service: a, mirrors: [ { name: b, percent: 100 } ] }",
    nobody: "mirroring: { service: a, mirrorBody: false, mirrors: [ { name: b, percent: 100 } ] }",
    smallmirror: "mirroring: { service: a, maxBodySize: 3, mirrors: [ { name: b, percent: 100 } ] }",
    failover: 'failover: { service: a, fallback: b, errors: { status: [ "500" ], maxRequestBodyBytes: 3 } }',
    nested: "failover: { service: parent, fallback: b }",
    parent: "failover: { healthCheck: {}, service: down, fallback: down }",
    marked: `{ middlewares: [ mark ], loadBalancer: { ${to(a.url)} } }`,
    idle: `{ timeouts: { idle: 100ms }, loadBalancer: { ${to(a.url)} } }`,
    whole: `{ timeouts: { request: 100ms }, loadBalancer: { ${to(silent.url)} } }`,
    limited: `{ limits: { body: 3 }, loadBalancer: { ${to(a.url)} } }`,
    deaf: `{ timeouts: { connect: 100ms }, loadBalancer: { servers: [ { url: "http://127.0.0.1:${deaf.port}" } ] } }`,
    seldom: `loadBalancer: { ${check("seldom", "1h")}, ${to(b.url)} }`,
    often: `loadBalancer: { ${check("often", "50ms")}, ${to(b.url)} }`,
    patient: `loadBalancer: { passiveHealthCheck: { failureWindow: 1s, maxFailedAttempts: 2 }, ${to(a.url)} }`,
    transport: `loadBalancer: { serversTransport: hasty, ${to(silent.url)} }`,
  };
  const routers = Object.keys(services).map(
    (name) => `${name}: { rule: "Host(\`${name}.test\`)", service: ${name} }`,
  );
  const written = Object.entries(services).map(
    ([name, text]) => `    ${name}: ${text.startsWith("{") ? text : `{ ${text} }`}`,
  );
  product = await startProduct({
    threads: 1,
    file: `
http:
  routers: { ${routers.join(", ")} }
  middlewares: { mark: { headers: { customResponseHeaders: { X-Mark: service } } } }
  serversTransports: { hasty: { forwardingTimeouts: { responseHeaderTimeout: 100ms } } }
  services:
${written.join("\n")}
`,
  });
});

after(async () => {
  await product[Symbol.asyncDispose]();
  deaf.close();
  for (const one of started) await one[Symbol.asyncDispose]();
});

const get = (name: string, path = "/x", body?: string): Promise<Answer> =>
  product.get(`${name}.test`, path, body === undefined ? {} : { method: "POST", body });

async function who(name: string, times: number): Promise<string> {
  let text = "";
  for (let i = 0; i < times; i++) text += (await get(name)).body[0];
  return [...text].sort().join("");
}

test("servers: url, weight and preservePath", async () => {
  assert.equal(await who("weights", 8), "aaaaaabb");
  assert.match((await get("path")).body, / \/base\/x$/);
  assert.match((await get("nopath")).body, / \/x$/);
});

test("passHostHeader: the server's own host is sent if it is off", async () => {
  assert.match((await get("a")).body, /^a a\.test /);
  assert.equal((await get("ownhost")).body.split(" ")[1], new URL(a.url).host);
});

for (const [name, cookie] of [
  ["cookie", "stick"],
  ["weighted", "side"],
] as const) {
  test(`sticky.cookie of ${name}: name, secure, httpOnly, sameSite, maxAge, path and domain`, async () => {
    const [text] = (await get(name)).headers["set-cookie"] as string[];
    assert.match(text!, new RegExp(`^${cookie}=[0-9a-f]+; `));
    assert.deepEqual(text!.split("; ").slice(1).sort(), [
      "Domain=x.test",
      "HttpOnly",
      "Max-Age=9",
      "Path=/p",
      "SameSite=Strict",
      "Secure",
    ]);
  });
}

test("weighted: services with name and weight, and healthCheck, which leaves out those that are down", async () => {
  assert.equal(await who("turns", 8), "aaaaaabb");
  assert.equal(await who("checked", 3), "bbb");
});

test("highestRandomWeight: services with name and weight, and healthCheck", async () => {
  assert.equal(await who("hrw", 3), "bbb");
  assert.equal(await who("hrwdown", 3), "bbb");
});

const copies = () => seen.filter((line) => line.startsWith("b POST"));

test("mirroring: mirrorBody and maxBodySize", async () => {
  for (const [name, copy] of [
    ["mirror", "b POST mirror.test /x hello"],
    ["nobody", "b POST nobody.test /x "],
  ] as const) {
    seen.length = 0;
    await get(name, "/x", "hello");
    await eventually(() => assert.deepEqual(copies(), [copy]));
  }
  seen.length = 0;
  await get("smallmirror", "/x", "hello");
  await get("smallmirror", "/x", "abc");
  await eventually(() => assert.deepEqual(copies(), ["b POST smallmirror.test /x abc"]));
});

test("failover: errors.status and errors.maxRequestBodyBytes", async () => {
  statuses.set("a", 500);
  assert.match((await get("failover", "/x", "abc")).body, /^b /);
  assert.equal((await get("failover", "/x", "abcd")).status, 413);
  statuses.delete("a");
  assert.match((await get("failover", "/x", "abc")).body, /^a /);
});

test("failover: healthCheck tells its parent that both its services are down", async () => {
  assert.match((await get("nested")).body, /^b /);
});

test("middlewares of a service", async () => {
  assert.equal((await get("marked")).headers["x-mark"], "service");
});

// Without the option these would end too, after the minute that is the default.
const SOON = { timeout: 30_000 };

test("timeouts.request, timeouts.idle and limits.body", SOON, async () => {
  assert.equal((await get("whole")).status, 504);
  await assert.rejects(get("idle", "/slow"), /cut off|aborted|hang up/);
  assert.equal((await get("limited", "/x", "abcd")).status, 413);
});

test("timeouts.connect: a server that takes no connection is 504 after this time", {
  timeout: 4500,
}, async () => {
  assert.equal((await product.get("deaf.test")).status, 504);
});

test("serversTransport: its limits are the service's", SOON, async () => {
  assert.equal((await get("transport")).status, 504);
});

test("healthCheck.unhealthyInterval: how often a server that is down is asked", async () => {
  const probesOf = (name: string) => probed.filter((one) => one === name).length;
  await eventually(() => assert.ok(probesOf("seldom") >= 1));
  const before = probesOf("often");
  await eventually(() => assert.ok(probesOf("often") >= before + 8));
  assert.equal(probesOf("seldom"), 1);
});

test("passiveHealthCheck.maxFailedAttempts and failureWindow: after how many failures a server rests, and how long", async () => {
  statuses.set("a", 500);
  assert.equal((await get("patient")).status, 500);
  assert.equal((await get("patient")).status, 500);
  assert.equal((await get("patient")).status, 503, "the second failure took it out");
  statuses.delete("a");
  // By default it would be ten seconds.
  await eventually(async () => assert.equal((await get("patient")).status, 200), 5);
});
