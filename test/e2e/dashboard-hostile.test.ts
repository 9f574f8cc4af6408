import assert from "node:assert/strict";
import { test } from "node:test";
import { loadDashboard } from "../../src/cli/dashboard-files.ts";
import type { RequestSample } from "../../src/model/traffic.ts";
import { openSite } from "../admin/site.ts";
import { launch, skip, visit } from "./browser.ts";

const HARM = "<img src=x onerror=alert(1)>";
/** Controls, a turn of the reading direction, what ends a script, a link that runs, and more than anybody reads. */
const NAMES = [
  HARM,
  "</script><script>alert(1)</script>",
  "javascript:alert(1)",
  "a\u0000b\u001b[31mc\u202edcba",
  "x".repeat(4096),
  "__proto__",
  "../../etc%2fpasswd",
];

const YAML = JSON.stringify({
  http: {
    routers: Object.fromEntries(
      NAMES.map((name) => [
        name,
        { rule: `Host(\`h.test\`) && Path(\`/${HARM}\`)`, service: name, middlewares: [name], priority: 5 },
      ]),
    ),
    services: Object.fromEntries(
      NAMES.map((name) => [name, { loadBalancer: { servers: [{ url: "http://10.0.0.1" }] } }]),
    ),
    middlewares: Object.fromEntries(
      NAMES.map((name) => [name, { headers: { customRequestHeaders: { "X-A": HARM } } }]),
    ),
  },
});

const SAMPLE = {
  atMs: Date.now(),
  durationMs: 1,
  beforeMs: 0,
  waitMs: 1,
  method: "GET",
  scheme: "http",
  httpVersion: 11,
  host: HARM,
  path: `/${HARM}\u202e`,
  hasQuery: false,
  status: 502,
  client: HARM,
  username: HARM,
  entryPoint: HARM,
  router: HARM,
  service: HARM,
  server: "javascript:alert(1)",
  attempts: 1,
  fault: "connect-failed",
  detail: HARM,
  bytesIn: 0,
  bytesOut: 0,
} as unknown as RequestSample;

test("AD-04 AD-05 hostile names of everything are text on every page, in lists and one by one", {
  skip,
}, async () => {
  await using browser = await launch();
  await using site = await openSite({ yaml: { docker: YAML }, assets: loadDashboard });
  const listed = JSON.parse((await site.ask("/api/http/routers?search=h.test")).body) as { name: string }[];
  assert.deepEqual(listed.map(({ name }) => name).sort(), NAMES.map((name) => `${name}@docker`).sort());
  await using browsing = await visit(browser, `http://127.0.0.1:${site.port}/dashboard/`);
  const { page } = browsing;
  page.on("dialog", (dialog) => assert.fail(`a script ran: ${dialog.message()}`));
  const pages = ["", "problems", "routers", "services", "middlewares", "settings", "explain?url=h.test/"];
  for (const name of NAMES)
    for (const kind of ["routers", "services", "middlewares"])
      pages.push(`${kind}/${encodeURIComponent(`${name}@docker`)}`);
  pages.push(`explain?url=${encodeURIComponent(HARM)}`, `routers?search=${encodeURIComponent(HARM)}`, HARM);
  for (const hash of pages) {
    await page.goto(`http://127.0.0.1:${site.port}/dashboard/#/${hash}`);
    await page.locator("h1").waitFor();
    await page.locator(".waiting").waitFor({ state: "detached" });
    assert.equal(
      await page.locator("img, main script, a[href^='javascript:']").count(),
      0,
      hash.slice(0, 80),
    );
    assert.doesNotMatch((await page.locator("main").textContent()) ?? "", /[\0-\x08\x0e-\x1f\u202e]/);
    assert.ok(Number(await page.evaluate("document.documentElement.scrollWidth")) <= 1280, hash.slice(0, 80));
  }
  await page.goto(`http://127.0.0.1:${site.port}/dashboard/#/requests`);
  await page.getByText("listening").waitFor();
  site.send([SAMPLE]);
  await page.locator(".requests summary").first().click();
  await page.getByText(HARM).first().waitFor();
  assert.equal(await page.locator("img, main script, a[href^='javascript:']").count(), 0);
  const complaints = browsing.complaints.filter((one) => !/40[04]/.test(one));
  assert.deepEqual(complaints, []);
});
