import assert from "node:assert/strict";
import { BlockList, isIP } from "node:net";
import { test } from "node:test";
import fc from "fast-check";
import { CidrSet, canonicalIp, isCidr } from "../../src/lib/cidr.ts";

test("an address is in the ranges that hold it", () => {
  const set = new CidrSet(["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "::1", "172.16.5.9/12"]);
  for (const ip of [
    "10.0.0.0",
    "10.255.255.255",
    "192.0.2.7",
    "2001:db8::",
    "2001:db8:ffff::1",
    "::1",
    "172.31.0.1",
  ])
    assert.ok(set.has(ip), ip);
  for (const ip of [
    "11.0.0.0",
    "9.255.255.255",
    "192.0.2.6",
    "192.0.2.8",
    "2001:db9::",
    "::2",
    "172.32.0.0",
    "::",
  ])
    assert.ok(!set.has(ip), ip);
});

test("ranges inside each other and the same ones twice change nothing", () => {
  const set = new CidrSet(["10.0.0.0/8", "10.1.0.0/16", "10.0.0.0/8", "10.1.2.3", "11.0.0.0/8"]);
  for (const ip of ["10.0.0.1", "10.1.2.3", "10.255.0.1", "11.0.0.0"]) assert.ok(set.has(ip), ip);
  assert.ok(!set.has("12.0.0.0"));
});

test("IPv4 written as IPv6 is IPv4, in addresses and in ranges", () => {
  const set = new CidrSet(["10.0.0.0/8", "::ffff:192.0.2.0/120"]);
  for (const ip of ["::ffff:10.1.2.3", "::ffff:a01:203", "192.0.2.255", "::FFFF:192.0.2.1"])
    assert.ok(set.has(ip), ip);
  assert.ok(!set.has("::ffff:11.0.0.1"));
  assert.ok(!set.has("::10.1.2.3"), "compatible addresses are not mapped ones");
});

test("a range of one family holds nothing of the other", () => {
  assert.ok(!new CidrSet(["::/0"]).has("10.0.0.1"));
  assert.ok(!new CidrSet(["0.0.0.0/0"]).has("2001:db8::1"));
  assert.ok(new CidrSet(["::/0"]).has("2001:db8::1"));
  assert.ok(new CidrSet(["0.0.0.0/0"]).has("255.255.255.255"));
});

test("the empty set holds nothing", () => assert.ok(!new CidrSet([]).has("127.0.0.1")));

test("what is no address is in no set", () => {
  const set = new CidrSet(["0.0.0.0/0", "::/0"]);
  for (const text of [
    "",
    "x",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.256",
    "01.2.3.4",
    "1.2.3.4 ",
    "1..2.3",
    "1.2.3.4:80",
    ":",
    ":::",
    "1::2::3",
    "12345::",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "g::",
    "1:2:3:4:5:6:7::8",
    "::1.2.3",
    "[::1]",
  ])
    assert.ok(!set.has(text), text);
});

test("a zone does not count", () => assert.ok(new CidrSet(["fe80::/10"]).has("fe80::1%eth0")));

test("what is no range is refused", () => {
  for (const text of [
    "",
    "/8",
    "10.0.0.0/",
    "10.0.0.0/33",
    "10.0.0.0/-1",
    "10.0.0.0/8/8",
    "::/129",
    "10.0.0.0/ 8",
    "::ffff:10.0.0.0/33",
    "x/8",
  ])
    assert.ok(!isCidr(text), text);
  assert.throws(() => new CidrSet(["10.0.0.0/33"]), TypeError);
});

test("addresses have one spelling", () => {
  for (const [written, canonical] of [
    ["10.0.0.1", "10.0.0.1"],
    ["::ffff:10.0.0.1", "10.0.0.1"],
    ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
    ["0:0:0:0:0:0:0:0", "::"],
    ["1:0:0:2:0:0:0:3", "1:0:0:2::3"],
    ["1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"],
    ["fe80:0:0:0:0:0:0:1%lo", "fe80::1"],
    ["1:0:0:0:0:0:0:0", "1::"],
    ["1:10:0:0:2:3:4:5", "1:10::2:3:4:5"],
    ["x", undefined],
  ] as const)
    assert.equal(canonicalIp(written), canonical, written);
});

const ip = fc.oneof(fc.ipV4(), fc.ipV6());

test("addresses are those that Node takes", () => {
  fc.assert(
    fc.property(fc.oneof(ip, fc.stringMatching(/^[0-9a-f:.]{0,20}$/)), (text) => {
      assert.equal(canonicalIp(text) !== undefined, isIP(text) !== 0, text);
    }),
    { numRuns: 1000 },
  );
});

test("sets agree with Node's block list", () => {
  const range = fc.oneof(
    fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 })),
    fc.tuple(fc.ipV6(), fc.integer({ min: 0, max: 128 })).filter(([text]) => isPlain6(text)),
  );
  fc.assert(
    fc.property(
      fc.array(range, { maxLength: 8 }),
      fc.array(ip, { minLength: 1, maxLength: 8 }),
      (ranges, ips) => {
        const set = new CidrSet(ranges.map(([text, bits]) => `${text}/${bits}`));
        // Node lets IPv6 ranges hold IPv4 addresses and Go does not, so each family has its list.
        const lists = { 4: new BlockList(), 6: new BlockList() };
        for (const [text, bits] of ranges)
          lists[isIP(text) as 4 | 6].addSubnet(text, bits, isIP(text) === 4 ? "ipv4" : "ipv6");
        for (const one of [...ips, ...ranges.map(([text]) => text)]) {
          if (isIP(one) === 4 || isPlain6(one)) {
            const family = isIP(one) as 4 | 6;
            assert.equal(set.has(one), lists[family].check(one, family === 4 ? "ipv4" : "ipv6"), one);
          }
        }
      },
    ),
    { numRuns: 300 },
  );
});

/** No IPv4 address in the form of IPv6. */
function isPlain6(text: string): boolean {
  return canonicalIp(text)!.includes(":");
}
