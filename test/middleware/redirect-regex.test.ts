import assert from "node:assert/strict";
import { test } from "node:test";
import redirectRegex from "../../src/middleware/redirect-regex.ts";
import { make, problemsOf, type RequestExtras, request, run } from "./harness.ts";

const redirect = async (regex: string, replacement: string, extras: RequestExtras, permanent = "false") => {
  const { stopped, header } = await run(
    make(redirectRegex, { regex, replacement, permanent }),
    request(extras),
  );
  return stopped && `${stopped.status} ${header("location")}`;
};

test("redirectRegex matches the whole URL and redirects when it becomes another", async () => {
  const www = (url: string) => redirect("^(https?)://www\\.(.+)", "$1://$2", { url });
  assert.equal(await www("http://www.app.test:8080/a?b=1"), "302 http://app.test:8080/a?b=1");
  assert.equal(await www("https://www.app.test/"), "302 https://app.test/");
  assert.equal(await www("http://app.test/"), undefined, "no match");
  assert.equal(await redirect("(.*)", "$1", { url: "http://app.test/" }), undefined, "the same URL");
});

test("redirectRegex does not believe X-Forwarded-Proto", async () => {
  const extras = { url: "http://app.test/", headers: ["X-Forwarded-Proto", "https"] };
  assert.equal(await redirect("^http://(.*)", "https://$1", extras), "302 https://app.test/");
});

test("redirectRegex chooses the status by method and permanence", async () => {
  const to = (method: string, permanent: string) =>
    redirect("^http:", "https:", { url: "http://app.test/", method }, permanent);
  assert.match((await to("GET", "true"))!, /^301/);
  assert.match((await to("GET", "false"))!, /^302/);
  assert.match((await to("POST", "false"))!, /^307/);
  assert.match((await to("POST", "true"))!, /^308/);
});

test("PR-15 redirectRegex never sends a client to a host that its replacement does not name", async () => {
  assert.match((await redirect("^http://app.test/go(.*)", "/$1", { path: "/go/evil.test" }))!, /^400/);
  assert.match((await redirect("^http://app.test/go(.*)", "/$1", { path: "/go\\evil.test" }))!, /^400/);
  assert.match(
    (await redirect("^http://app.test/(.*)", "https://b.test$1", { path: "/@evil.test" }))!,
    /^400/,
  );
  assert.match(
    (await redirect("^http://app.test/(.*)", "https://b.test$1", { path: "/.evil.test" }))!,
    /^400/,
  );
  assert.equal(
    await redirect("^http://app.test(.*)", "https://b.test$1", { path: "/x" }),
    "302 https://b.test/x",
  );
  assert.equal(await redirect("/old", "/new", { path: "/old/x" }), "302 http://app.test/new/x");
});

test("PR-15 redirectRegex escapes what could break the Location header", async () => {
  assert.equal(
    await redirect("^http://app.test/(.*)", "https://b.test/$1 \u00e9\n", { path: "/x" }),
    "302 https://b.test/x%20%C3%A9",
  );
});

test("redirectRegex answers 502 when the result is no URL", async () => {
  assert.match((await redirect("^.*$", "http://[", {}))!, /^502/);
});

test("HD-16 redirectRegex takes linear time and names a bad expression", async () => {
  assert.equal(await redirect("(a+)+$", "x", { path: `/${"a".repeat(5000)}!` }), undefined);
  assert.match(problemsOf(redirectRegex, { regex: "[", replacement: "x" }).join(), /^regex /);
});
