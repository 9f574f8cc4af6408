import assert from "node:assert/strict";
import { test } from "node:test";
import ipAllowList from "../../src/middleware/ip-allow-list.ts";
import ipWhiteList from "../../src/middleware/ip-white-list.ts";
import { make, problemsOf, request, run } from "./harness.ts";

const RANGE = "10.0.0.0/8,2001:db8::/32,192.0.2.1";

const status = async (options: Record<string, unknown>, peerIp: string, forwarded?: string) => {
  const headers = forwarded === undefined ? [] : ["X-Forwarded-For", forwarded];
  return (await run(make(ipAllowList, { sourceRange: RANGE, ...options }), request({ peerIp, headers })))
    .status;
};

for (const middleware of [ipAllowList, ipWhiteList]) {
  test(`${middleware.name} lets its ranges through and refuses all others with 403`, async () => {
    const hooks = make(middleware as typeof ipAllowList, { sourceRange: RANGE });
    for (const peerIp of ["10.1.2.3", "2001:db8::5", "192.0.2.1"])
      assert.equal((await run(hooks, request({ peerIp }))).stopped, undefined, peerIp);
    for (const peerIp of ["11.0.0.1", "2001:db9::1", "192.0.2.2"]) {
      const { stopped } = await run(hooks, request({ peerIp }));
      assert.equal(stopped?.status, 403);
      assert.equal(stopped?.fault?.code, "refused-by-middleware");
    }
  });

  test(`${middleware.name} asks ipStrategy for the client's address`, async () => {
    const hooks = make(middleware as typeof ipAllowList, { sourceRange: RANGE, ipStrategy: { depth: "1" } });
    const through = (forwarded: string) => run(hooks, request({ headers: ["X-Forwarded-For", forwarded] }));
    assert.equal((await through("1.1.1.1, 10.0.0.1")).stopped, undefined);
    assert.equal((await through("10.0.0.1, 1.1.1.1")).status, 403);
  });

  test(`${middleware.name} needs a range that can be read`, () => {
    assert.match(problemsOf(middleware as typeof ipAllowList, {}).join(), /sourceRange is required/);
    assert.match(problemsOf(middleware as typeof ipAllowList, { sourceRange: "10.0.0.0/33" }).join(), /CIDR/);
    assert.match(problemsOf(middleware as typeof ipAllowList, { sourceRange: "" }).join(), /at least one/);
    const strategy = { sourceRange: RANGE, ipStrategy: { ipv6Subnet: "129" } };
    assert.match(problemsOf(middleware as typeof ipAllowList, strategy).join(), /1 to 128/);
  });
}

test("the peer counts without ipStrategy, and with an empty one", async () => {
  assert.equal(await status({}, "10.0.0.1", "1.1.1.1"), 200);
  assert.equal(await status({ ipStrategy: "true" }, "1.1.1.1", "10.0.0.1"), 403);
});

test("depth counts from the right, and too few addresses are none", async () => {
  assert.equal(await status({ ipStrategy: { depth: "2" } }, "1.1.1.1", "10.0.0.1, 2.2.2.2"), 200);
  assert.equal(await status({ ipStrategy: { depth: "3" } }, "10.0.0.1", "10.0.0.1, 2.2.2.2"), 403);
  assert.equal(await status({ ipStrategy: { depth: "1" } }, "10.0.0.1"), 403);
});

test("excludedIPs are passed over from the right", async () => {
  const ipStrategy = { excludedIPs: "1.1.1.0/24,2.2.2.2" };
  assert.equal(await status({ ipStrategy }, "9.9.9.9", "3.3.3.3, 10.0.0.1, 1.1.1.7, 2.2.2.2"), 200);
  assert.equal(await status({ ipStrategy }, "9.9.9.9", "10.0.0.1, 3.3.3.3, 1.1.1.7"), 403);
  assert.equal(await status({ ipStrategy }, "10.0.0.1", "1.1.1.1"), 403, "none is left");
  assert.equal(
    await status({ ipStrategy: { ...ipStrategy, depth: "3" } }, "9.9.9.9", "10.0.0.1, 3.3.3.3, 1.1.1.7"),
    200,
    "depth counts more",
  );
});

test("junk in X-Forwarded-For is refused", async () => {
  for (const junk of ["unknown", "10.0.0.1:80", "", "::ffff:zz"])
    assert.equal(await status({ ipStrategy: { depth: "1" } }, "10.0.0.1", junk), 403, junk);
  assert.equal(
    await status({ ipStrategy: { depth: "1" } }, "1.1.1.1", "::ffff:10.0.0.1"),
    200,
    "IPv4 in IPv6 is IPv4",
  );
});

test("rejectStatusCode is the status for those refused", async () => {
  assert.equal(await status({ rejectStatusCode: "404" }, "1.1.1.1"), 404);
  assert.match(
    problemsOf(ipAllowList, { sourceRange: RANGE, rejectStatusCode: "99" }).join(),
    /from 100 to 599/,
  );
});
