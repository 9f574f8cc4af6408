import {
  block,
  data,
  END_HEADERS,
  END_STREAM,
  frame,
  grant,
  headers,
  PADDED,
  POST,
  ping,
  type RawClient,
  reset,
  settings,
  TYPE,
} from "../conformance/http2-frames.ts";
import { Referee } from "./http2-referee.ts";
import type { Noise } from "./noise.ts";

const STREAMS_MAX = 90;
/** What a server does with a request: see http2-fuzz.test.ts. */
const MODES = ["whole", "sip", "late", "early", "told", "mirror", "cut", "tunnel"] as const;

/** The byte of a body at a place. */
const byteAt = (i: number) => (i * 7 + (i >> 8)) & 0xff;
export function bytesFrom(from: number, to: number): Buffer {
  const bytes = Buffer.alloc(to - from);
  for (let i = from; i < to; i++) bytes[i - from] = byteAt(i);
  return bytes;
}
const isRight = (body: Buffer) => body.every((byte, i) => byte === byteAt(i));

interface Asked {
  readonly mode: string;
  readonly replyLength: number;
  readonly bodyLength: number;
  readonly announced: boolean;
  sent: number;
  done: boolean;
  cancelled: boolean;
}

/** A client that does by chance what is allowed, and knows what it must get for it. */
export class Talker {
  readonly referee: Referee;
  readonly asked = new Map<number, Asked>();
  readonly #client: RawClient;
  readonly #noise: Noise;
  readonly #replyMax: number;
  #next = 1;
  #cancelled = 0;

  constructor(client: RawClient, noise: Noise, replyMax: number) {
    this.#replyMax = replyMax;
    this.#client = client;
    this.#noise = noise;
    this.referee = new Referee(client);
  }

  get hasRoom(): boolean {
    return this.#next < STREAMS_MAX * 2;
  }

  /** Something that is allowed. */
  step(): Buffer[] {
    const noise = this.#noise;
    switch (noise.below(12)) {
      case 0:
      case 1:
      case 2:
        return this.hasRoom ? this.#ask() : [];
      case 3:
      case 4:
      case 5:
        return this.#sendSome();
      case 6:
        return this.#grant(0, 1 + noise.below(noise.pick([10, 1000, 100_000])));
      case 7: {
        const ids = [...this.asked.keys()];
        return ids.length === 0
          ? []
          : this.#grant(noise.pick(ids), 1 + noise.below(noise.pick([10, 50_000])));
      }
      case 8: {
        const initial = noise.pick([0, 1, 100, 16_384, 65_535, 200_000]);
        this.referee.settings(initial);
        return [settings([4, initial], [0x1234, noise.next()])];
      }
      case 9:
        return [
          noise.pick([
            ping("p"),
            frame(0x77, noise.below(256), noise.below(9), noise.bytes(noise.below(20))),
          ]),
        ];
      case 10:
        return this.#cancel();
      default:
        this.referee.settings(undefined);
        return [settings([1, noise.pick([0, 64, 4096, 20_000])])];
    }
  }

  #grant(id: number, bytes: number): Buffer[] {
    this.referee.grant(id, bytes);
    return [grant(id, bytes)];
  }

  #ask(): Buffer[] {
    const noise = this.#noise;
    const id = this.#next;
    this.#next += 2;
    const mode = noise.pick(MODES);
    const replyLength = noise.below(noise.pick([1, 2, 100, 70_000, this.#replyMax]));
    const bodyLength = noise.below(3) === 0 ? 0 : noise.below(noise.pick([2, 100, 100_000]));
    const isTunnel = mode === "tunnel";
    const announced = !isTunnel && noise.below(2) === 0;
    const isWhole = !isTunnel && bodyLength === 0 && noise.below(2) === 0;
    this.asked.set(id, {
      mode,
      replyLength,
      bodyLength,
      announced,
      sent: 0,
      done: isWhole,
      cancelled: false,
    });
    this.referee.begin(id);
    const path = `/${mode}/${replyLength}/${noise.next()}`;
    const fields: [string, string][] = POST.map(([name, value]) => [name, name === ":path" ? path : value]);
    if (isTunnel) fields.splice(0, 1, [":method", "CONNECT"], [":protocol", "websocket"]);
    if (announced) fields.push(["content-length", `${bodyLength}`]);
    for (let i = noise.below(4); i > 0; i--) fields.push([`x-${i}`, "v".repeat(noise.below(300))]);
    return this.#block(id, block(fields), isWhole);
  }

  /** In one piece or in several. */
  #block(id: number, bytes: Buffer, isLast: boolean): Buffer[] {
    const noise = this.#noise;
    const end = isLast ? END_STREAM : 0;
    if (noise.below(3) > 0) return [frame(TYPE.headers, END_HEADERS | end, id, bytes)];
    const at = noise.below(bytes.length);
    return [
      frame(TYPE.headers, end, id, bytes.subarray(0, at)),
      frame(TYPE.continuation, 0, id),
      frame(TYPE.continuation, END_HEADERS, id, bytes.subarray(at)),
    ];
  }

  #open(): number[] {
    return [...this.asked].filter(([id, one]) => !one.done && !this.#isOver(id)).map(([id]) => id);
  }

  #isOver(id: number): boolean {
    return this.referee.streams.get(id)!.reset || this.asked.get(id)!.cancelled;
  }

  #sendSome(): Buffer[] {
    const ids = this.#open();
    return ids.length === 0 ? [] : this.send(this.#noise.pick(ids));
  }

  /** A part of the body, as much as the windows allow, or its end. */
  send(id: number): Buffer[] {
    const noise = this.#noise;
    const one = this.asked.get(id)!;
    const left = one.bodyLength - one.sent;
    const room = Math.min(this.referee.toServer, this.referee.streams.get(id)!.toServer, 16_384);
    const padding = noise.below(4) === 0 ? noise.below(256) : -1;
    const bytes = Math.min(left, room - padding - 1, 1 + noise.below(noise.pick([3, 500, 16_384])));
    if (bytes < 0 || (bytes === 0 && left > 0)) return [];
    const isEnd = bytes === left && noise.below(2) === 0;
    const content = bytesFrom(one.sent, one.sent + bytes);
    one.sent += bytes;
    if (isEnd && noise.below(3) === 0) {
      one.done = true;
      this.referee.sent(id, bytes);
      return [data(id, content, false), headers(id, [["x-trailer", "1"]])];
    }
    one.done = isEnd;
    this.referee.sent(id, bytes + padding + 1);
    if (padding < 0) return [data(id, content, isEnd)];
    const payload = Buffer.concat([Buffer.from([padding]), content, Buffer.alloc(padding)]);
    return [frame(TYPE.data, PADDED | (isEnd ? END_STREAM : 0), id, payload)];
  }

  /** Windows that let everything through. */
  openWide(): Buffer[] {
    this.referee.settings(2 ** 21);
    return [settings([4, 2 ** 21]), ...this.#grant(0, 2 ** 29)];
  }

  #cancel(): Buffer[] {
    const ids = [...this.asked.keys()].filter(
      (id) => !this.#isOver(id) && !this.referee.streams.get(id)!.ended,
    );
    // Fewer than the budget for them.
    if (ids.length === 0 || this.#cancelled++ > 20) return [];
    const id = this.#noise.pick(ids);
    this.asked.get(id)!.cancelled = true;
    return [reset(id)];
  }

  /** All that was begun, to its end. */
  async finish(): Promise<void> {
    const client = this.#client;
    client.send(...this.openWide());
    await client.until(() => {
      for (const id of this.#open()) client.send(...this.send(id));
      return this.referee.goaway !== undefined || [...this.asked.keys()].every((id) => this.#isAnswered(id));
    }, 20_000);
  }

  #isAnswered(id: number): boolean {
    const one = this.asked.get(id)!;
    const stream = this.referee.streams.get(id)!;
    return one.cancelled || stream.reset || (stream.ended && one.done);
  }

  /** What is wrong with the replies. */
  complaints(): string[] {
    return [...this.asked].flatMap(([id, one]) => {
      if (one.cancelled || one.mode === "cut") return [];
      const body = this.#client.body(id);
      const length = one.mode === "mirror" || one.mode === "tunnel" ? one.bodyLength : one.replyLength;
      const statuses = this.#client.statuses(id).join();
      const isGood = /^(?:103,)?200$/.test(statuses) && body.length === length && isRight(body);
      return isGood && this.referee.streams.get(id)!.ended
        ? []
        : [
            `${id} ${JSON.stringify(one)}: ${statuses}, ${body.length} bytes, ${JSON.stringify(this.referee.streams.get(id))}`,
          ];
    });
  }
}
