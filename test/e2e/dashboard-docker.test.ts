import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import axe, { type AxeResults } from "axe-core";
import type { Browser } from "playwright-core";
import { makePages } from "../../src/cli/pages.ts";
import { BUSYBOX_IMAGE, docker as command, importBusybox, skipWithoutContainers } from "../busybox-image.ts";
import { launch, skip, visit } from "./browser.ts";
import { eventually, type Product, startProduct } from "./harness.ts";

/** Every page, about real containers on a real engine, with a login before it. */

const options = { ...skipWithoutContainers(), ...(skip !== false && { skip }) };
const PREFIX = `waybill-board-${process.pid}`;
const TOKEN = "a-token-of-this-test";
let product: Product;
let browser: Browser;

function start(name: string, labels: Record<string, string>): Promise<string> {
  const all = { ...labels, "e2e.test": PREFIX };
  const flags = Object.entries(all).flatMap(([key, value]) => ["-l", `${key}=${value}`]);
  return command(["run", "-d", "--name", `${PREFIX}-${name}`, "--hostname", name, ...flags, BUSYBOX_IMAGE]);
}

before(async () => {
  if ("skip" in options) return;
  await importBusybox();
  await start("web", {
    "traefik.http.routers.web.rule": "Host(`web.localhost`)",
    "traefik.http.routers.web.middlewares": "squeeze",
    "traefik.http.middlewares.squeeze.compress": "true",
  });
  await start("typo", { "traefik.http.routers.typo.rule": "Hots(`typo.localhost`)" });
  await start("off", { "traefik.enable": "false" });
  product = await startProduct({
    pages: makePages,
    flags: [
      "--providers.docker.endpoint=unix:///var/run/docker.sock",
      `--providers.docker.constraints=Label(\`e2e.test\`, \`${PREFIX}\`)`,
      "--entryPoints.traefik.address=127.0.0.1:0",
      "--api.insecure=true",
      `--api.auth.token=${TOKEN}`,
    ],
  });
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await product?.[Symbol.asyncDispose]();
  if ("skip" in options) return;
  await command(["rm", "-f", ...["web", "typo", "off"].map((name) => `${PREFIX}-${name}`)]);
});

test("a person logs in, sees every page about real containers, and logs out", options, async () => {
  await eventually(async () => assert.equal((await product.get("web.localhost")).status, 200), 20);
  await using browsing = await visit(browser, `http://127.0.0.1:${product.ports.get("traefik")}/dashboard/`);
  const { page, go } = browsing;
  await page.goto(`http://127.0.0.1:${product.ports.get("traefik")}/dashboard/`);
  await page.getByLabel(/token/i).fill("wrong");
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("alert").waitFor();
  await page.evaluate(axe.source);
  const { violations } = (await page.evaluate("axe.run()")) as AxeResults;
  assert.deepEqual(
    violations.map(({ id }) => id),
    [],
  );
  await page.getByLabel(/token/i).fill(TOKEN);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
  for (const [hash, heading, text] of [
    ["", "Overview", "not in force"],
    ["requests", "Live requests", "listening"],
    ["explain?url=web.localhost", "Explain a URL", "routed by web@docker"],
    ["explain?url=typo.localhost", "Explain a URL", "Hots is not a matcher"],
    ["problems", "Problems", "Hots is not a matcher"],
    ["routers", "Routers", "Host(`web.localhost`)"],
    ["routers/web@docker", "web@docker", "squeeze@docker"],
    ["services", "Services", "1 of 1 up"],
    ["middlewares", "Middlewares", "squeeze@docker"],
    ["middlewares/squeeze@docker", "squeeze@docker", "encodings"],
    ["containers", "Containers", `${PREFIX}-off`],
    ["certificates", "Certificates", "No certificates yet"],
    ["settings", "Settings", "providers.docker.constraints"],
  ] as const) {
    await go(hash, heading);
    await page.getByText(text).first().waitFor();
  }
  assert.doesNotMatch((await page.locator("main").textContent()) ?? "", new RegExp(TOKEN));
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByLabel(/token/i).waitFor();
  const complaints = browsing.complaints.filter((one) => !one.includes("401"));
  assert.deepEqual(complaints, []);
});
