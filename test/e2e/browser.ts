import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";

const CHROMIUM = "/usr/bin/chromium";
const isThere = existsSync(CHROMIUM);

/** For tests that need a browser: why they are left out, or false. */
export const skip = !isThere && process.env["CI"] !== "true" ? `${CHROMIUM} is not installed` : false;

export function launch(): Promise<Browser> {
  assert.ok(isThere, `${CHROMIUM} is needed`);
  return chromium.launch({
    executablePath: CHROMIUM,
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

export interface Visit extends AsyncDisposable {
  readonly page: Page;
  go(hash: string, heading: string): Promise<void>;
  /** What the browser complained of, and whom it asked beside us. */
  readonly complaints: readonly string[];
}

/** A window on the dashboard, which is at `home`. */
export async function visit(
  browser: Browser,
  home: string,
  options: BrowserContextOptions = {},
): Promise<Visit> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, ...options });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("request", (request) => {
    if (!request.url().startsWith(home.replace("/dashboard/", "/"))) complaints.push(request.url());
  });
  return {
    page,
    complaints,
    async go(hash, heading) {
      await page.goto(`${home}#/${hash}`);
      await page.getByRole("heading", { level: 1, name: heading, exact: true }).waitFor();
      await page.locator(".waiting").waitFor({ state: "detached" });
    },
    async [Symbol.asyncDispose]() {
      await context.close();
    },
  };
}
