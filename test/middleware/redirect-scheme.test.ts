import assert from "node:assert/strict";
import { test } from "node:test";
import redirectScheme from "../../src/middleware/redirect-scheme.ts";
import { make, problemsOf, type RequestExtras, request, run } from "./harness.ts";

const redirect = async (options: Record<string, string>, extras: RequestExtras) => {
  const { stopped, header } = await run(make(redirectScheme, options), request(extras));
  return stopped && `${stopped.status} ${header("location")}`;
};

test("redirectScheme redirects another scheme, keeping host, path and query", async () => {
  assert.equal(
    await redirect({ scheme: "https" }, { url: "http://app.test/a%20b?x=1" }),
    "302 https://app.test/a%20b?x=1",
  );
  assert.equal(await redirect({ scheme: "https" }, { url: "https://app.test/" }), undefined);
  assert.equal(await redirect({ scheme: "http" }, { url: "https://app.test/" }), "302 http://app.test/");
});

test("redirectScheme puts its own port in place of the one that was asked for", async () => {
  assert.equal(
    await redirect({ scheme: "https" }, { url: "http://app.test:8080/" }),
    "302 https://app.test/",
  );
  assert.equal(
    await redirect({ scheme: "https", port: "8443" }, { url: "http://app.test:8080/" }),
    "302 https://app.test:8443/",
  );
  assert.equal(
    await redirect({ scheme: "https", port: "443" }, { url: "http://[::1]:80/" }),
    "302 https://[::1]/",
  );
  assert.equal(
    await redirect({ scheme: "https", port: "8443" }, { url: "https://app.test:8443/" }),
    undefined,
  );
  assert.equal(await redirect({ scheme: "https" }, { url: "https://app.test:443/" }), undefined);
  assert.equal(
    await redirect({ scheme: "https" }, { url: "https://app.test:8443/" }),
    "302 https://app.test/",
  );
});

test("redirectScheme chooses the status by method and permanence", async () => {
  const url = "http://app.test/";
  assert.match((await redirect({ scheme: "https" }, { url, method: "POST" }))!, /^307/);
  assert.match((await redirect({ scheme: "https" }, { url, method: "HEAD" }))!, /^307/);
  assert.match((await redirect({ scheme: "https", permanent: "true" }, { url }))!, /^301/);
  assert.match((await redirect({ scheme: "https", permanent: "true" }, { url, method: "PUT" }))!, /^308/);
});

test("redirectScheme takes the scheme that a trusted proxy names", async () => {
  const told = (scheme: string) =>
    redirect({ scheme: "https" }, { url: "http://app.test/", headers: ["X-Forwarded-Proto", scheme] });
  assert.equal(await told("https"), undefined);
  assert.equal(await told("wss"), undefined);
  assert.equal(await told("ws"), "302 https://app.test/");
  assert.equal(await told("gopher"), "302 https://app.test/", "what is no scheme of ours does not count");
});

test("PR-15 redirectScheme has no open redirect", async () => {
  assert.equal(
    await redirect(
      { scheme: "https" },
      {
        url: "http://app.test/",
        path: "//evil.test/",
        headers: ["X-Forwarded-Prefix", "//evil.test", "X-Forwarded-Host", "evil.test"],
      },
    ),
    "302 https://app.test//evil.test/",
  );
  assert.equal(
    await redirect({ scheme: "https" }, { url: "http:///" }),
    "400 undefined",
    "no host, nowhere to go",
  );
});

test("redirectScheme refuses what is no scheme or port", () => {
  assert.match(problemsOf(redirectScheme, { scheme: "" }).join(), /scheme/);
  assert.match(problemsOf(redirectScheme, { scheme: "https", port: "99999" }).join(), /port/);
});
