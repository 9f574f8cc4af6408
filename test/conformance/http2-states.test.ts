import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { answer, gather, Http2Port, sent } from "../listen/http2-site.ts";
import {
  block,
  CODE,
  data,
  END_HEADERS,
  END_STREAM,
  type Frame,
  frame,
  GET,
  grant,
  headers,
  POST,
  RawClient,
  reset,
  TYPE,
  uint32,
} from "./http2-frames.ts";

/**
 * Every type of frame in every state of a stream (RFC 9113 5.1), on stream 5. Whatever happens to it, a connection that
 * goes on answers the next request, and has kept up with the compression of all blocks, those that it dropped included.
 */

const STREAM = 5;

/** How a stream may have come into the state; the answer of the server that tells when it has. */
const STATES: Record<string, { frames: readonly Buffer[]; until?: (client: RawClient) => boolean }> = {
  idle: { frames: [] },
  "never used, and smaller than the last": { frames: [headers(STREAM + 2, GET)] },
  open: { frames: [headers(STREAM, [...POST, ["x-wait", "1"]], false)] },
  "half-closed": { frames: [headers(STREAM, [...GET, ["x-wait", "1"]])] },
  "closed by both ends": {
    frames: [headers(STREAM, GET)],
    until: (client) => client.ended(STREAM),
  },
  "closed by a reset of the client": {
    frames: [headers(STREAM, [...POST, ["x-wait", "1"]], false), reset(STREAM)],
  },
  "closed by a reset of ours": {
    frames: [headers(STREAM, [...POST, ["x-cut", "1"]], false)],
    until: ({ frames }) => frames.some(({ type, stream }) => type === TYPE.reset && stream === STREAM),
  },
};
type State = keyof typeof STATES;

/** `ok`: the connection goes on and says nothing of the stream; else the stream's or the connection's error. */
type Outcome = "ok" | `stream ${number}` | `connection ${number}`;

const BROKEN: readonly Outcome[] = [`connection ${CODE.protocol}`];
const OVER: readonly Outcome[] = ["ok", `stream ${CODE.closed}`, `connection ${CODE.closed}`];
/** A stream's number that is too small is an error of its own (5.1.1). */
const OVER_OR_OLD: readonly Outcome[] = [...OVER, `stream ${CODE.protocol}`, `connection ${CODE.protocol}`];
const HALF: readonly Outcome[] = [`stream ${CODE.closed}`, `connection ${CODE.closed}`];
const MALFORMED: readonly Outcome[] = [`stream ${CODE.protocol}`, `connection ${CODE.protocol}`];
const OK: readonly Outcome[] = ["ok"];
const DEAF = "closed by a reset of ours";
const SKIPPED = "never used, and smaller than the last";

/** Fields that go into the table on their way, so that a server that does not read them is found out. */
const kept = (fields: typeof GET) =>
  Buffer.concat([block(fields), Buffer.from([0x40]), block([["x-kept", "1"]]).subarray(1)]);
const FIELDS_OF_TRAILERS = kept([["x-trailer", "1"]]);

/** What comes, and what may become of it; `otherwise` in all states that are not named. */
interface Row {
  readonly frame: Buffer;
  readonly otherwise: readonly Outcome[];
  readonly in: Partial<Record<State, readonly Outcome[]>>;
}

const OF_DATA: Omit<Row, "frame"> = {
  otherwise: OVER,
  in: { idle: BROKEN, open: OK, "half-closed": HALF, [DEAF]: OK, [SKIPPED]: OVER_OR_OLD },
};

const ROWS: Record<string, Row> = {
  DATA: {
    frame: data(STREAM, "x", false),
    ...OF_DATA,
  },
  "DATA that ends the stream": {
    frame: data(STREAM, "x"),
    ...OF_DATA,
  },
  "empty DATA": {
    frame: data(STREAM, "", false),
    ...OF_DATA,
  },
  "HEADERS that end the stream": {
    frame: frame(TYPE.headers, END_HEADERS | END_STREAM, STREAM, FIELDS_OF_TRAILERS),
    otherwise: OVER_OR_OLD,
    in: { idle: MALFORMED, open: OK, "half-closed": HALF, [DEAF]: OK },
  },
  "HEADERS that do not end the stream": {
    frame: frame(TYPE.headers, END_HEADERS, STREAM, FIELDS_OF_TRAILERS),
    otherwise: OVER_OR_OLD,
    in: { idle: MALFORMED, open: MALFORMED, "half-closed": HALF, [DEAF]: OK },
  },
  "a whole request": {
    frame: frame(TYPE.headers, END_HEADERS | END_STREAM, STREAM, kept([...GET, ["x-wait", "1"]])),
    otherwise: OVER_OR_OLD,
    in: { idle: OK, open: MALFORMED, "half-closed": HALF, [DEAF]: OK },
  },
  PRIORITY: {
    frame: frame(TYPE.priority, 0, STREAM, Buffer.concat([uint32(0), Buffer.from([16])])),
    otherwise: OK,
    in: {},
  },
  "PRIORITY of 4 bytes": {
    frame: frame(TYPE.priority, 0, STREAM, uint32(0)),
    otherwise: [`stream ${CODE.frameSize}`, `connection ${CODE.frameSize}`],
    in: {},
  },
  RST_STREAM: {
    frame: reset(STREAM),
    otherwise: OK,
    in: {
      idle: BROKEN,
      "closed by a reset of the client": OVER,
      [SKIPPED]: OVER_OR_OLD,
    },
  },
  "RST_STREAM of 3 bytes": {
    frame: frame(TYPE.reset, 0, STREAM, Buffer.alloc(3)),
    otherwise: [`connection ${CODE.frameSize}`],
    in: { idle: [`connection ${CODE.frameSize}`, ...BROKEN] },
  },
  WINDOW_UPDATE: {
    frame: grant(STREAM, 10),
    otherwise: OK,
    in: {
      idle: BROKEN,
      "closed by a reset of the client": OVER,
      [SKIPPED]: OVER_OR_OLD,
    },
  },
  "WINDOW_UPDATE of 3 bytes": {
    frame: frame(TYPE.window, 0, STREAM, Buffer.alloc(3)),
    otherwise: [`connection ${CODE.frameSize}`],
    in: { idle: [`connection ${CODE.frameSize}`, ...BROKEN] },
  },
  CONTINUATION: {
    frame: frame(TYPE.continuation, END_HEADERS, STREAM, block([["x-a", "1"]])),
    otherwise: BROKEN,
    in: {},
  },
  PUSH_PROMISE: {
    frame: frame(TYPE.push, END_HEADERS, STREAM, Buffer.concat([uint32(2), block(GET)])),
    otherwise: BROKEN,
    in: {},
  },
  "SETTINGS of the stream": { frame: frame(TYPE.settings, 0, STREAM), otherwise: BROKEN, in: {} },
  "PING of the stream": {
    frame: frame(TYPE.ping, 0, STREAM, Buffer.alloc(8)),
    otherwise: BROKEN,
    in: {},
  },
  "GOAWAY of the stream": {
    frame: frame(TYPE.goaway, 0, STREAM, Buffer.alloc(8)),
    otherwise: BROKEN,
    in: {},
  },
  "a frame of an unknown type": {
    frame: frame(0x2a, 0xff, STREAM, Buffer.from("xyz")),
    otherwise: OK,
    in: {},
  },
};

let port: Http2Port;
before(async () => {
  port = await Http2Port.open((exchange) => {
    if (exchange.headers.includes("x-wait")) return;
    if (exchange.headers.includes("x-cut")) return exchange.client.abort(exchange);
    gather(exchange.requestBody).then(
      () => answer(exchange, 200, "hello"),
      () => {},
    );
  });
});
after(() => port.close());

/** The first word about the stream, or about the connection, among the frames. */
function outcomeOf(frames: readonly Frame[]): string {
  for (const { type, stream, payload } of frames) {
    if (type === TYPE.goaway) return `connection ${payload.readUInt32BE(4)}`;
    if (type === TYPE.reset && stream === STREAM) return `stream ${payload.readUInt32BE(0)}`;
  }
  return "ok";
}

/** Whether the connection still answers, and the fields that were sent before mean what they meant. */
async function goesOn(client: RawClient, hasKept: boolean): Promise<void> {
  const last = STREAM + 20;
  const table = Buffer.from(hasKept ? [0xbe, 0xbf] : [0xbe]);
  client.send(frame(TYPE.headers, END_HEADERS | END_STREAM, last, Buffer.concat([block(GET), table])));
  await client.until(() => client.ended(last));
  assert.deepEqual(client.statuses(last), ["200"]);
  const known = ["x-first", "1"];
  assert.deepEqual(sent(port.record.handled.at(-1)!), hasKept ? ["x-kept", "1", ...known] : known);
}

for (const [about, { frame: bytes, otherwise, in: named }] of Object.entries(ROWS)) {
  for (const [state, { frames, until }] of Object.entries(STATES)) {
    const accepted = named[state] ?? otherwise;
    test(`RFC 9113 5.1: ${about} on a stream that is ${state}: ${accepted.join(" or ")}`, async () => {
      const client = await RawClient.open(port.port);
      const first = Buffer.concat([block(GET), Buffer.from([0x40]), block([["x-first", "1"]]).subarray(1)]);
      client.send(frame(TYPE.headers, END_HEADERS | END_STREAM, 1, first), ...frames);
      await client.until(() => client.ended(1) && (until === undefined || until(client)));
      const before = client.frames.length;
      client.send(bytes);
      await client.settle();
      const outcome = outcomeOf(client.frames.slice(before));
      assert.ok((accepted as readonly string[]).includes(outcome), outcome);
      if (outcome.startsWith("connection")) await client.until(() => client.closed);
      else await goesOn(client, bytes.includes("x-kept"));
      client.close();
    });
  }
}
