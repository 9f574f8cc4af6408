import { randomBytes } from "node:crypto";

export interface HelloFields {
  readonly serverName?: string;
  readonly protocols?: readonly string[];
  /** Bytes of the message in one record. */
  readonly recordBytes?: number;
  /** Bytes of an extension that nobody knows. */
  readonly padding?: number;
}

const uint = (value: number, size: number) => {
  const bytes = Buffer.alloc(size);
  bytes.writeUIntBE(value, 0, size);
  return bytes;
};
const sized = (size: number, ...parts: readonly Buffer[]) => {
  const body = Buffer.concat(parts);
  return Buffer.concat([uint(body.length, size), body]);
};
const extension = (type: number, ...parts: readonly Buffer[]) =>
  Buffer.concat([uint(type, 2), sized(2, ...parts)]);

/** The bytes a TLS 1.3 client begins with, records included. */
export function helloOf({ serverName, protocols, recordBytes = 16_384, padding = 0 }: HelloFields): Buffer {
  const extensions = [
    extension(43, sized(1, uint(0x0304, 2), uint(0x0303, 2))),
    extension(10, sized(2, uint(29, 2), uint(23, 2))),
    extension(13, sized(2, uint(0x0403, 2), uint(0x0804, 2))),
    extension(51, sized(2, uint(29, 2), sized(2, randomBytes(32)))),
  ];
  if (padding > 0) extensions.push(extension(21, Buffer.alloc(padding)));
  if (serverName !== undefined)
    extensions.push(extension(0, sized(2, uint(0, 1), sized(2, Buffer.from(serverName, "latin1")))));
  if (protocols !== undefined)
    extensions.push(extension(16, sized(2, ...protocols.map((name) => sized(1, Buffer.from(name))))));
  const body = Buffer.concat([
    uint(0x0303, 2),
    randomBytes(32),
    sized(1, randomBytes(32)),
    sized(2, uint(0x1301, 2), uint(0xc02b, 2)),
    sized(1, uint(0, 1)),
    sized(2, ...extensions),
  ]);
  const message = Buffer.concat([uint(1, 1), sized(3, body)]);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += recordBytes) {
    records.push(Buffer.concat([Buffer.from([22, 3, 1]), sized(2, message.subarray(at, at + recordBytes))]));
  }
  return Buffer.concat(records);
}
