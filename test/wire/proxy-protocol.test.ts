import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { encodeProxyHeader, mayBeProxyHeader, parseProxyHeader } from "../../src/wire/proxy-protocol.ts";

const v1 = (line: string) => parseProxyHeader(Buffer.from(line, "latin1"));
const SIGNATURE = "0d0a0d0a000d0a515549540a";
const v2 = (hex: string) => parseProxyHeader(Buffer.from(SIGNATURE + hex, "hex"));
const ADDRESSES = "0a000001" + "0a000002" + "1f90" + "01bb";

test("SL-09 version 1 says who the client is", () => {
  assert.deepEqual(v1("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\nGET /"), {
    length: 45,
    source: { ip: "192.0.2.1", port: 56324 },
    destination: { ip: "198.51.100.2", port: 443 },
  });
  assert.deepEqual(v1("PROXY TCP6 2001:DB8::1 ::ffff:10.0.0.1 1 2\r\n")?.source, {
    ip: "2001:db8::1",
    port: 1,
  });
  assert.deepEqual(v1("PROXY TCP6 2001:DB8::1 ::ffff:10.0.0.1 1 2\r\n")?.destination, {
    ip: "10.0.0.1",
    port: 2,
  });
  assert.deepEqual(v1("PROXY UNKNOWN whatever it is\r\n")?.source, undefined);
});

test("SL-09 version 1 is read strictly", () => {
  for (const line of [
    "PROXY TCP4 192.0.2.1 198.51.100.2 56324\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443 x\r\n",
    "PROXY TCP4 192.0.2.1  198.51.100.2 56324 443\r\n",
    "PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
    "PROXY TCP6 192.0.2.1 198.51.100.2 1 2\r\n",
    "PROXY TCP4 192.0.2.256 198.51.100.2 1 2\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2 65536 2\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2 01 2\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2 -1 2\r\n",
    "PROXY TCP6 fe80::1%eth0 fe80::2 1 2\r\n",
    "PROXY UDP4 192.0.2.1 198.51.100.2 1 2\r\n",
    "PROXY  TCP4 192.0.2.1 198.51.100.2 1 2\r\n",
    "proxy TCP4 192.0.2.1 198.51.100.2 1 2\r\n",
    `PROXY UNKNOWN ${"x".repeat(100)}\r\n`,
    `PROXY TCP4 ${"1".repeat(200)}`,
  ]) {
    assert.equal(v1(line), null, line);
  }
});

test("SL-09 version 2 says who the client is, with and without extensions", () => {
  assert.deepEqual(v2(`21110${"00c"}${ADDRESSES}`), {
    length: 28,
    source: { ip: "10.0.0.1", port: 8080 },
    destination: { ip: "10.0.0.2", port: 443 },
  });
  assert.equal(v2(`2111${"0012"}${ADDRESSES}${"03 0003 010203".replaceAll(" ", "")}`)?.length, 34);
  const six = `${"20010db8".padEnd(31, "0")}1${"00000000000000000000ffff0a000001"}00010002`;
  assert.deepEqual(v2(`21210024${six}`)?.source, { ip: "2001:db8::1", port: 1 });
  assert.deepEqual(v2(`21210024${six}`)?.destination, { ip: "10.0.0.1", port: 2 });
});

test("SL-09 version 2 of the proxy's own connections names nobody", () => {
  assert.deepEqual(v2("20000000"), { length: 16, source: undefined, destination: undefined });
  assert.deepEqual(v2(`2011000c${ADDRESSES}`)?.source, undefined);
  assert.equal(v2(`213100d8${"00".repeat(216)}`)?.source, undefined);
});

test("SL-09 version 2 is read strictly", () => {
  assert.equal(v2(`1111000c${ADDRESSES}`), null, "version 1 in a version 2 header");
  assert.equal(v2(`2211000c${ADDRESSES}`), null, "unknown command");
  assert.equal(v2(`2112000c${ADDRESSES}`), null, "datagrams");
  assert.equal(v2("2111000b"), undefined, "there must be more");
  assert.equal(v2(`2111000b${ADDRESSES.slice(2)}`), null, "addresses cut short");
  assert.equal(v2(`21110010${ADDRESSES}03000401`), null, "an extension longer than the header");
  assert.equal(v2(`2111000e${ADDRESSES}0300`), null, "an extension without a length");
  assert.equal(v2("2111ffff"), null, "too long");
});

test("SL-09 what is no header is told from what is not complete, at every length", () => {
  const whole = [
    Buffer.from("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n"),
    Buffer.from(`${SIGNATURE}2111000c${ADDRESSES}`, "hex"),
  ];
  for (const bytes of whole) {
    for (let length = 1; length < bytes.length; length++) {
      assert.equal(parseProxyHeader(bytes.subarray(0, length)), undefined);
      assert.equal(mayBeProxyHeader(bytes.subarray(0, length)), true);
    }
    assert.equal(parseProxyHeader(bytes)?.length, bytes.length);
  }
  assert.equal(mayBeProxyHeader(Buffer.from("GET / HTTP/1.1")), false);
  assert.equal(mayBeProxyHeader(Buffer.from([0x16])), false);
  assert.equal(parseProxyHeader(Buffer.from("PRI * HTTP/2.0")), null);
});

test("what is written is read again", () => {
  const ends = fc.record(
    {
      ip: fc.oneof(fc.ipV4(), fc.constantFrom("2001:db8::1", "::1", "fe80::1:2:3:4", "::")),
      port: fc.integer({ min: 0, max: 65_535 }),
    },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(fc.constantFrom(1, 2), ends, ends, (version, source, destination) => {
      const bytes = encodeProxyHeader(version as 1 | 2, source, destination);
      assert.deepEqual(parseProxyHeader(bytes), { length: bytes.length, source, destination });
    }),
  );
  for (const version of [1, 2] as const) {
    assert.equal(parseProxyHeader(encodeProxyHeader(version, undefined, undefined))?.source, undefined);
  }
});

test("no bytes make the parser throw or read past its header", () => {
  fc.assert(
    fc.property(
      fc.constantFrom("PROXY TCP4 ", "PROXY ", ""),
      fc.uint8Array({ maxLength: 300 }),
      (start, bytes) => {
        for (const head of [Buffer.from(start), Buffer.from(SIGNATURE, "hex")]) {
          const all = Buffer.concat([head, bytes]);
          const header = parseProxyHeader(all);
          assert.ok(!header || header.length <= all.length);
        }
      },
    ),
    { numRuns: 500 },
  );
});
