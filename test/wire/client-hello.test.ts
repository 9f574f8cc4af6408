import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { HELLO_BYTES_MAX, normalServerName, parseClientHello } from "../../src/wire/client-hello.ts";
import { helloOf } from "../tls/hello.ts";

test("TL-01 TL-02 the server name is lower-case and without a trailing dot, or it is none", () => {
  assert.equal(parseClientHello(helloOf({ serverName: "App.Example.COM." }))?.serverName, "app.example.com");
  assert.equal(parseClientHello(helloOf({}))?.serverName, undefined);
  for (const name of ["a".repeat(300), "a\0b", "\xfc.test", "", ".", "a b", "*.test"]) {
    assert.equal(
      parseClientHello(helloOf({ serverName: name }))?.serverName,
      undefined,
      JSON.stringify(name),
    );
  }
  assert.equal(normalServerName("xn--bcher-kva.example"), "xn--bcher-kva.example");
});

test("TL-03 protocols are read in their order", () => {
  assert.deepEqual(parseClientHello(helloOf({ protocols: ["acme-tls/1"] }))?.protocols, ["acme-tls/1"]);
  assert.deepEqual(parseClientHello(helloOf({ protocols: ["h2", "http/1.1"] }))?.protocols, [
    "h2",
    "http/1.1",
  ]);
  const many = Array.from({ length: 100 }, (_, i) => `p${i}`);
  assert.deepEqual(parseClientHello(helloOf({ protocols: many }))?.protocols, many);
});

test("H1-33 a hello is complete at its last byte and not before, in however many records it comes", () => {
  for (const recordBytes of [16_384, 100, 7, 1]) {
    const hello = helloOf({ serverName: "a.test", protocols: ["h2"], recordBytes });
    for (let length = 0; length < hello.length; length++) {
      assert.equal(parseClientHello(hello.subarray(0, length)), undefined);
    }
    assert.deepEqual(parseClientHello(hello), { serverName: "a.test", protocols: ["h2"] });
    assert.equal(parseClientHello(Buffer.concat([hello, Buffer.from("more")]))?.serverName, "a.test");
  }
});

test("what is not TLS is known by its first byte", () => {
  for (const text of ["GET / HTTP/1.1", "PRI * HTTP/2.0", "SSH-2.0", "\x80\x2e\x01"]) {
    assert.equal(parseClientHello(Buffer.from(text, "latin1")), null, text);
  }
  assert.equal(parseClientHello(Buffer.from([22, 2, 0])), null);
  assert.equal(parseClientHello(Buffer.alloc(0)), undefined);
});

test("a hello longer than any real one is not waited for", () => {
  const long = helloOf({ serverName: "a.test", padding: 40_000 });
  assert.equal(parseClientHello(long.subarray(0, HELLO_BYTES_MAX - 1)), undefined);
  assert.deepEqual(parseClientHello(long.subarray(0, HELLO_BYTES_MAX)), {
    serverName: undefined,
    protocols: [],
  });
});

test("a broken hello is left to OpenSSL, and never throws", () => {
  const hello = helloOf({ serverName: "a.test", protocols: ["h2"] });
  for (let at = 5; at < hello.length; at++) {
    for (const byte of [0, 0x7f, 0xff]) {
      const broken = Buffer.from(hello);
      broken[at] = byte;
      parseClientHello(broken);
    }
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      const size = Buffer.alloc(2);
      size.writeUInt16BE(bytes.length);
      parseClientHello(Buffer.from(bytes));
      parseClientHello(Buffer.concat([Buffer.from([22, 3, 1]), size, bytes]));
    }),
    { numRuns: 1000 },
  );
});
