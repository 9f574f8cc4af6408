import assert from "node:assert/strict";
import { test } from "node:test";
import { HpackDecoder } from "../../src/wire/hpack-decoder.ts";
import { blockBytesMax, HpackEncoder } from "../../src/wire/hpack-encoder.ts";

const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(/\s/g, ""), "hex");

function decoded(
  decoder: HpackDecoder,
  block: Buffer,
  listBytesMax = 65536,
  pairsMax = 1000,
): string[] | false {
  const list: string[] = [];
  return decoder.decode(block, 0, block.length, list, listBytesMax, pairsMax) && list;
}

function encoded(encoder: HpackEncoder, list: readonly string[]): Buffer {
  const target = Buffer.alloc(blockBytesMax(list));
  return target.subarray(0, encoder.encode(list, target, 0));
}

const REQUESTS = [
  [":method", "GET", ":scheme", "http", ":path", "/", ":authority", "www.example.com"],
  [
    ":method",
    "GET",
    ":scheme",
    "http",
    ":path",
    "/",
    ":authority",
    "www.example.com",
    "cache-control",
    "no-cache",
  ],
  [
    ":method",
    "GET",
    ":scheme",
    "https",
    ":path",
    "/index.html",
    ":authority",
    "www.example.com",
    "custom-key",
    "custom-value",
  ],
];
const DATE = "Mon, 21 Oct 2013 20:13:21 GMT";
const COOKIE = "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";
const REPLIES = [
  [":status", "302", "cache-control", "private", "date", DATE, "location", "https://www.example.com"],
  [":status", "307", "cache-control", "private", "date", DATE, "location", "https://www.example.com"],
  [
    ...[":status", "200", "cache-control", "private", "date", DATE.replace("21 GMT", "22 GMT")],
    ...["location", "https://www.example.com", "content-encoding", "gzip", "set-cookie", COOKIE],
  ],
];

/** RFC 7541 appendix C: a table size, and blocks in hexadecimal with what they say. */
const EXAMPLES: readonly (readonly [string, number, readonly string[], readonly (readonly string[])[]])[] = [
  [
    "C.2.1 a literal with indexing",
    4096,
    ["400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572"],
    [["custom-key", "custom-header"]],
  ],
  [
    "C.2.2 a literal without indexing",
    4096,
    ["040c 2f73 616d 706c 652f 7061 7468"],
    [[":path", "/sample/path"]],
  ],
  [
    "C.2.3 a literal never indexed",
    4096,
    ["1008 7061 7373 776f 7264 0673 6563 7265 74"],
    [["password", "secret"]],
  ],
  ["C.2.4 an indexed field", 4096, ["82"], [[":method", "GET"]]],
  [
    "C.3 requests without Huffman codes",
    4096,
    [
      "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
      "8286 84be 5808 6e6f 2d63 6163 6865",
      "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ],
    REQUESTS,
  ],
  [
    "C.4 requests with Huffman codes",
    4096,
    [
      "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
      "8286 84be 5886 a8eb 1064 9cbf",
      "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ],
    REQUESTS,
  ],
  [
    "C.5 replies without Huffman codes, with eviction",
    256,
    [
      `4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133
       2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d`,
      "4803 3330 37c1 c0bf",
      `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d
       54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049
       5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31`,
    ],
    REPLIES,
  ],
  [
    "C.6 replies with Huffman codes, with eviction",
    256,
    [
      `4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6
       2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3`,
      "4883 640e ffc1 c0bf",
      `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab
       77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f
       9587 3160 65c0 03ed 4ee5 b106 3d50 07`,
    ],
    REPLIES,
  ],
];

for (const [name, tableBytes, blocks, lists] of EXAMPLES)
  test(`HPACK decodes RFC 7541 ${name}`, () => {
    const decoder = new HpackDecoder(4096);
    if (tableBytes !== 4096) assert.deepEqual(decoded(decoder, bytes("3fe101")), []);
    blocks.forEach((block, i) => {
      assert.deepEqual(decoded(decoder, bytes(block)), lists[i]);
    });
  });

test("HPACK encodes the requests of RFC 7541 C.3 byte by byte as they are printed there", () => {
  const encoder = new HpackEncoder(4096);
  const [, , blocks, lists] = EXAMPLES[4]!;
  lists.forEach((list, i) => {
    assert.equal(encoded(encoder, list).toString("hex"), bytes(blocks[i]!).toString("hex"));
  });
});

test("HPACK integers are read as in RFC 7541 C.1, and with zeros to spare", () => {
  for (const block of ["2a", "3f9a0a", "3f9a8a00", "3f9a8a8000"])
    assert.deepEqual(decoded(new HpackDecoder(4096), bytes(block)), [], block);
});

const WRONG: readonly (readonly [string, string])[] = [
  ["index 0", "80"],
  ["an index beyond the static table while the dynamic one is empty", "be"],
  ["an index beyond the dynamic table", "4001610162 bf"],
  ["an index as large as the limit of integers", "ffffffff7f"],
  ["the name of an entry that is not there, with indexing", "7e0161"],
  ["the name of an entry that is not there, without indexing", "0f2f0161"],
  ["the name of an entry that is not there, never indexed", "1f2f0161"],
  ["an integer that ends in the middle", "ff80"],
  ["an integer that does not begin", "7f"],
  ["an integer of five more bytes", "ff8080808000"],
  ["a size update with an integer that ends in the middle", "3f"],
  ["a literal without a name", "40"],
  ["a literal without a value", "400161"],
  ["a literal with the name of an entry and no value", "41"],
  ["a name that is longer than the block", "400261"],
  ["a value that is longer than the block", "4001610262"],
  ["a value with a length that ends in the middle", "4001617fff"],
  ["a Huffman value that is longer than the block", "4001618261"],
  ["Huffman padding of zeros", "4001618118"],
  ["Huffman padding of ones and a zero", "400161811e"],
  ["Huffman padding of eight ones", "400161821fff"],
  ["Huffman padding of a whole byte alone", "40016181ff"],
  ["EOS in a Huffman text", "40016184ffffffff"],
  ["EOS in the middle of a Huffman text", "400161851fffffffe0"],
  ["a Huffman code that ends in the middle", "40016182fffe"],
  ["a wrong Huffman text as a name", "4082ffff0161"],
  ["a size update after a field", "8220"],
  ["a size update above what we allow", "3fe21f"],
  ["a size update above what we allow after one below", "203fe21f"],
];

for (const [name, block] of WRONG)
  test(`H2-08 HPACK refuses ${name}`, () => {
    const decoder = new HpackDecoder(4096);
    assert.equal(decoded(decoder, bytes(block)), false);
    // Also where the field would not be kept anyway.
    const late = new HpackDecoder(4096);
    assert.equal(decoded(late, bytes(block), 0, 0), false);
  });

test("HPACK takes Huffman padding of three and of seven ones, and texts that are empty", () => {
  for (const [text, value] of [
    ["8107", "0"],
    ["83002e7f", "00:"],
    ["80", ""],
    ["00", ""],
  ] as const)
    assert.deepEqual(decoded(new HpackDecoder(4096), bytes(`400161${text}`)), ["a", value]);
});

test("H2-08 HPACK limits the list, and keeps its table right beyond the limits", () => {
  const list = ["a", "1".repeat(67), "b", "2".repeat(67), "c", "3"];
  const block = encoded(new HpackEncoder(4096), list);
  const again = bytes("bebfc0");
  for (const [bytesMax, pairsMax, length] of [
    [234, 3, 6],
    [233, 3, 4],
    [200, 3, 4],
    [199, 3, 2],
    [99, 3, 0],
    [0, 3, 0],
    [234, 2, 4],
    [234, 1, 2],
    [234, 0, 0],
  ] as const) {
    const decoder = new HpackDecoder(4096);
    const found = decoded(decoder, block, bytesMax, pairsMax);
    assert.deepEqual(found, list.slice(0, length));
    assert.equal(decoder.tooLarge, length < list.length);
    assert.deepEqual(decoded(decoder, again), [...list.slice(4), ...list.slice(2, 4), ...list.slice(0, 2)]);
    assert.equal(decoder.tooLarge, false);
  }
});

test("H2-04 HPACK does not build what thousands of references to one large entry stand for", () => {
  const decoder = new HpackDecoder(4096);
  const entry = encoded(new HpackEncoder(65536), ["a", "v".repeat(1000)]);
  const bomb = Buffer.concat([entry, Buffer.alloc(500_000, 0xbe)]);
  const list: string[] = [];
  assert.equal(decoder.decode(bomb, 0, bomb.length, list, 65536, 100), true);
  assert.equal(decoder.tooLarge, true);
  assert.equal(list.length, 2 * Math.floor(65536 / (1000 + 1 + 32)));
});

test("H2-04 HPACK stops at so many pairs, however small they are", () => {
  const decoder = new HpackDecoder(4096);
  const block = Buffer.concat([bytes("40016100"), Buffer.from("0f2f00".repeat(100_000), "hex")]);
  const list: string[] = [];
  assert.equal(decoder.decode(block, 0, block.length, list, 1e9, 100), true);
  assert.equal(decoder.tooLarge, true);
  assert.equal(list.length, 200);
});

test("H2-08 HPACK keeps no entry that is larger than the table, and loses all others by it", () => {
  const decoder = new HpackDecoder(4096);
  assert.deepEqual(decoded(decoder, bytes("400161016240016301 64bf")), ["a", "b", "c", "d", "a", "b"]);
  const large = "x".repeat(4096 - 32);
  const block = encoded(new HpackEncoder(65536), ["a", large]);
  block[0] = 0x40;
  assert.deepEqual(decoded(decoder, block), ["a", large]);
  assert.equal(decoded(decoder, bytes("be")), false);
});

test("H2-08 HPACK keeps an entry that fills the table to the last byte", () => {
  const decoder = new HpackDecoder(4096);
  const exact = "x".repeat(4096 - 32 - 1);
  const block = encoded(new HpackEncoder(65536), ["a", exact]);
  block[0] = 0x40;
  assert.deepEqual(decoded(decoder, block), ["a", exact]);
  assert.deepEqual(decoded(decoder, bytes("be")), ["a", exact]);
  assert.equal(decoded(decoder, bytes("bf")), false);
});

test("HPACK takes size updates at the beginning of a block, each of which may evict", () => {
  const decoder = new HpackDecoder(4096);
  assert.deepEqual(decoded(decoder, bytes("4001610162 4001630164")), ["a", "b", "c", "d"]);
  // 34 bytes: one entry.
  assert.deepEqual(decoded(decoder, bytes("3f03 be")), ["c", "d"]);
  assert.deepEqual(decoded(decoder, bytes("4001650166 be")), ["e", "f", "e", "f"]);
  assert.deepEqual(decoded(decoder, bytes("20 3fe11f 82")), [":method", "GET"]);
  assert.equal(decoded(decoder, bytes("be")), false);
});

test("HPACK allows a peer the usual table until it has seen that ours is smaller", () => {
  const decoder = new HpackDecoder(100);
  assert.deepEqual(decoded(decoder, bytes("3fe11f 400161 0162")), ["a", "b"]);
  decoder.settingsAcknowledged();
  assert.deepEqual(decoded(decoder, bytes("3f45 be")), ["a", "b"]);
  assert.equal(decoded(decoder, bytes("3f46")), false);
  const late = new HpackDecoder(100);
  late.settingsAcknowledged();
  assert.equal(decoded(late, bytes("82")), false);
});

test("HPACK allows a larger table than usual only once the peer asks for it", () => {
  const decoder = new HpackDecoder(8192);
  const field = (name: string): Buffer =>
    Buffer.concat([Buffer.from("40", "hex"), text(name), text("x".repeat(4000))]);
  for (const name of ["a", "b"]) decoded(decoder, field(name));
  assert.equal(decoded(decoder, bytes("bf")), false);
  const larger = new HpackDecoder(8192);
  assert.deepEqual(decoded(larger, bytes("3fe13f")), []);
  for (const name of ["a", "b"]) decoded(larger, field(name));
  assert.deepEqual(decoded(larger, bytes("bf")), ["a", "x".repeat(4000)]);
});

function text(value: string): Buffer {
  return encoded(new HpackEncoder(4096), ["location", value]).subarray(2);
}

test("HPACK has no more than an index to send for what it sent before", () => {
  const encoder = new HpackEncoder(4096);
  const list = [":status", "200", "Content-Type", "text/html", "server", "nginx", "x-own", "1", "x-own", "2"];
  encoded(encoder, list);
  assert.equal(encoded(encoder, list).toString("hex"), "88c1c0bfbe");
});

test("HPACK sends names in lower case, whatever they were before", () => {
  const decoder = new HpackDecoder(4096);
  const block = encoded(new HpackEncoder(4096), [
    "X-Own",
    "A",
    "CONTENT-TYPE",
    "B",
    "x-own",
    "A",
    "X-OWN",
    "A",
  ]);
  assert.deepEqual(decoded(decoder, block), ["x-own", "A", "content-type", "B", "x-own", "A", "x-own", "A"]);
});

test("HPACK marks secrets as never to be indexed", () => {
  for (const name of ["set-cookie", "authorization", "cookie", "proxy-authorization", "x-api-key"]) {
    const encoder = new HpackEncoder(4096);
    for (let i = 0; i < 2; i++) assert.equal(encoded(encoder, [name, "secret"])[0]! & 0xf0, 0x10, name);
  }
});

test("HPACK does not index what differs from reply to reply, nor what would fill the table", () => {
  const encoder = new HpackEncoder(4096);
  for (const name of ["content-length", "etag", "last-modified", "age", "location", "content-range"])
    assert.equal(encoded(encoder, [name, "1"])[0]! & 0xf0, 0x00, name);
  assert.equal(encoded(encoder, ["link", "x".repeat(1025)])[0]! & 0xf0, 0x00);
});

test("HPACK stops indexing a header whose value was never the same, and tries again later", () => {
  const encoder = new HpackEncoder(4096);
  const decoder = new HpackDecoder(4096);
  const kinds: number[] = [];
  for (let i = 0; i < 1000; i++) {
    const list = ["x-request-id", `${i}`, "server", "nginx"];
    const block = encoded(encoder, list);
    kinds.push(block[0]! & 0x40);
    assert.deepEqual(decoded(decoder, block), list);
  }
  assert.equal(kinds[0], 0x40);
  const indexed = kinds.filter((kind) => kind === 0x40).length;
  assert.ok(indexed > 8 && indexed < 50, `${indexed} of 1000`);
});

test("HPACK announces a table that becomes smaller, and one that became smaller in between", () => {
  const encoder = new HpackEncoder(4096);
  const field = ["a", "b"];
  const start = (...sizes: number[]): string => {
    for (const size of sizes) encoder.peerTableSize(size);
    return encoded(encoder, field).toString("hex");
  };
  assert.equal(start(), "4001610162");
  assert.equal(start(65536), "be");
  assert.equal(start(100), "3f45be");
  assert.equal(start(0, 4096), "203fe11f4001610162");
  assert.equal(start(4096), "be");
  assert.equal(start(50, 20, 40), "343f094001610162");
  assert.equal(start(0), "200001610162");
  assert.equal(start(4096), "3fe11f4001610162");
});

test("HPACK announces at once that it will spend less than usual, or more when it may", () => {
  assert.equal(encoded(new HpackEncoder(100), ["a", "b"]).toString("hex"), "3f454001610162");
  assert.equal(encoded(new HpackEncoder(0), ["a", "b"]).toString("hex"), "200001610162");
  const large = new HpackEncoder(8192);
  assert.equal(encoded(large, ["a", "b"]).toString("hex"), "4001610162");
  large.peerTableSize(65536);
  assert.equal(encoded(large, ["a", "b"]).toString("hex"), "3fe13fbe");
});

/** Numbers below a limit, the same in every run. */
function dice(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const NAMES = [
  ":status",
  ":path",
  "accept",
  "cache-control",
  "content-type",
  "date",
  "etag",
  "server",
  "set-cookie",
  "vary",
];

function someList(below: (limit: number) => number): string[] {
  const list: string[] = [];
  for (let i = below(20); i >= 0; i--) {
    const name = below(3) === 0 ? `x-${below(200)}` : NAMES[below(NAMES.length)]!;
    const length = [0, 3, 30, 130, 1500][below(5)]!;
    const value = below(2) === 0 ? `${below(4)}` : String.fromCharCode(below(256)).repeat(below(length + 1));
    list.push(name, value);
  }
  return list;
}

test("HPACK comes back as it went through random lists and tables of random sizes", () => {
  for (let seed = 1; seed <= 40; seed++) {
    const below = dice(seed);
    const most = [0, 64, 1000, 4096, 20_000][below(5)]!;
    const encoder = new HpackEncoder([0, 100, 4096, 30_000][below(4)]!);
    const decoder = new HpackDecoder(most);
    encoder.peerTableSize(most);
    decoder.settingsAcknowledged();
    for (let i = 0; i < 60; i++) {
      for (let changes = below(10) - 6; changes > 0; changes--) encoder.peerTableSize(below(most + 1));
      const list = someList(below);
      assert.deepEqual(decoded(decoder, encoded(encoder, list), 1e6), list, `seed ${seed}, block ${i}`);
    }
  }
});

test("H2-08 HPACK neither throws nor hangs nor exceeds its limits on 40,000 blocks that are broken", () => {
  const below = dice(7541);
  const sound = EXAMPLES.flatMap(([, , blocks]) => blocks.map(bytes));
  const encoder = new HpackEncoder(4096);
  for (let i = 0; i < 100; i++) sound.push(encoded(encoder, someList(below)));
  let decoder = new HpackDecoder(4096);
  let refused = 0;
  for (let i = 0; i < 40_000; i++) {
    const block = broken(sound[below(sound.length)]!, below);
    const list: string[] = [];
    const fine = decoder.decode(block, 0, block.length, list, 4000, 20);
    let size = 0;
    for (const one of list) size += one.length + 16;
    assert.ok(size <= 4000 && list.length <= 40 && list.length % 2 === 0, block.toString("hex"));
    if (fine) continue;
    refused++;
    decoder = new HpackDecoder(4096);
  }
  assert.ok(refused > 1000 && refused < 39_000, `${refused} refused`);
});

function broken(block: Buffer, below: (limit: number) => number): Buffer {
  if (below(10) === 0) return Buffer.from(Array.from({ length: below(60) }, () => below(256)));
  const copy = Buffer.from(block.subarray(0, below(4) === 0 ? below(block.length + 1) : block.length));
  for (let changes = below(4); changes > 0 && copy.length > 0; changes--)
    copy[below(Math.min(copy.length, 64))] = below(256);
  return copy;
}
