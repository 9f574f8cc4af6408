import assert from "node:assert/strict";
import { test } from "node:test";
import { loadDashboard } from "../../src/cli/dashboard-files.ts";
import { openSite } from "../admin/site.ts";
import { brokenSetups, readDiagnoses } from "../check/broken.ts";
import { launch, skip, visit } from "./browser.ts";

const expected = readDiagnoses();

test("the dashboard says of ten broken setups what explain, check and the API say", { skip }, async () => {
  await using browser = await launch();
  for (const setup of brokenSetups) {
    await using site = await openSite({ made: setup, assets: loadDashboard });
    await using browsing = await visit(browser, `http://127.0.0.1:${site.port}/dashboard/`);
    const line = expected.get(setup.name)!;
    await browsing.go("problems", "Problems");
    const problems = await browsing.page.locator(".problems pre").allTextContents();
    assert.ok(problems.includes(line), `${setup.name}: ${problems.join("\n")}`);
    await browsing.go("explain?url=app.test", "Explain a URL");
    const verdict = await browsing.page.locator(".verdict").textContent();
    assert.ok(verdict?.includes(line), `${setup.name}: ${verdict}`);
    assert.deepEqual(browsing.complaints, [], setup.name);
  }
});
