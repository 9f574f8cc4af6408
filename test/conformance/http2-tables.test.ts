import assert from "node:assert/strict";
import { test } from "node:test";
import { answer, sent } from "../listen/http2-site.ts";
import { block, CODE, GET, headers, setting, settings, TYPE, valuesOf } from "./http2-frames.ts";
import { blockOf, kept, replyTo, Setup } from "./http2-setup.ts";

/** What both sides remember of fields (RFC 7541). */

const site = new Setup();

test("RFC 7541 4.2: a client that allows no table gets replies that use none", async () => {
  const client = await site.connected(setting(1, 0));
  site.handler = (exchange) => answer(exchange, 200, "hello", ["X-Same", "every time"]);
  for (const id of [1, 3, 5]) {
    client.send(headers(id, GET));
    assert.equal(await replyTo(client, id), "hello");
    assert.deepEqual(valuesOf(client.heads.at(-1)!.fields, "x-same"), ["every time"]);
  }
  const blocks = client.frames.filter(({ type }) => type === TYPE.headers).map(({ payload }) => payload);
  // An index beyond the static table, or a field kept, would need one.
  assert.equal(blocks[0]?.[0], 0x20);
  assert.ok(blocks.slice(1).every((bytes) => bytes.length >= blocks[0]!.length - 1));
});

test("RFC 7541 4.2: a client that changes its table's size in mid-connection still understands replies", async () => {
  const client = await site.connected();
  site.handler = (exchange) =>
    answer(exchange, 200, "hello", ["X-Same", "every time", "X-Path", exchange.path]);
  let id = -1;
  for (const size of [4096, 0, 100, 4096, 65_536, 64, 0, 4096]) {
    client.send(settings([1, size]));
    for (let i = 0; i < 3; i++) {
      id += 2;
      client.send(headers(id, GET));
      assert.equal(await replyTo(client, id), "hello");
      assert.deepEqual(valuesOf(client.heads.at(-1)!.fields, "x-same"), ["every time"]);
    }
  }
  client.send(settings([1, 4096], [1, 0]), settings([1, 4096]), headers(id + 2, GET));
  assert.equal(await replyTo(client, id + 2), "hello");
});

test("RFC 7541 4.3, 4.4: entries are evicted, and one larger than the table empties it", async () => {
  const client = await site.connected();
  let id = 1;
  const ask = async (...parts: Buffer[]) => {
    client.send(blockOf(id, block(GET), ...parts));
    await client.verdict(id);
    id += 2;
  };
  // 128 entries of 32 bytes and more do not fit 4,096.
  for (let i = 0; i < 13; i++) {
    await ask(...Array.from({ length: 10 }, (_, k) => kept("x-n", `${100 + i * 10 + k}`)));
  }
  const fit = Math.floor(4096 / (32 + 3 + 3));
  await ask(Buffer.from([0xff, 61 + fit - 127]));
  assert.deepEqual(sent(site.last), ["x-n", `${230 - fit}`]);
  await ask(kept("x-large", "v".repeat(4100)));
  client.send(blockOf(id, block(GET), Buffer.from([0xbe])));
  assert.equal(await client.goaway(), CODE.compression);
});

test("RFC 7541 4.2, 6.3: a client may make its table smaller and larger, at the start of a block only", async () => {
  const client = await site.connected();
  client.send(blockOf(1, block(GET), kept("x-kept", "1")));
  await replyTo(client, 1);
  // To 0 and back to 4,096: what was there is gone.
  client.send(blockOf(3, Buffer.from([0x20, 0x3f, 0xe1, 0x1f]), block(GET), kept("x-new", "2")));
  await replyTo(client, 3);
  client.send(blockOf(5, block(GET), Buffer.from([0xbe])));
  await replyTo(client, 5);
  assert.deepEqual(sent(site.last), ["x-new", "2"]);
  client.send(blockOf(7, block(GET), Buffer.from([0xbf])));
  assert.equal(await client.goaway(), CODE.compression);
});

for (const [about, ...bytes] of [
  ["a number without an end", 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
  ["a text longer than its block", 0x00, 0x05, 0x61, 0x62],
  ["a block that ends in a number", 0x00, 0x7f],
  ["a block that ends behind a name", 0x00, 0x01, 0x61],
  ["a name that is no entry", 0x7f, 0x50, 0x01, 0x61],
  ["a table larger than ours", 0x3f, 0xe2, 0x1f],
  ["three table sizes above ours", 0x3f, 0xff, 0xff, 0x03],
  ["a table size behind a field", 0x82, 0x3f, 0xe1, 0x1f],
  ["Huffman's code cut in 8 ones", 0x00, 0x01, 0x61, 0x82, 0x1f, 0xff],
] as const) {
  test(`RFC 7541: ${about} ends the connection`, async () => {
    const client = await site.connected();
    client.send(blockOf(1, Buffer.from([0x82, 0x84, 0x86, 0x01, 0x01, 0x61]), Buffer.from([...bytes])));
    assert.equal(await client.goaway(), CODE.compression);
    assert.equal(site.handled.length, 0);
    await client.until(() => client.closed);
  });
}
