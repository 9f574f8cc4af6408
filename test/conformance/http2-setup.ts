import { after, afterEach, before } from "node:test";
import type { Exchange } from "../../src/model/exchange.ts";
import { answer, gather, Http2Port } from "../listen/http2-site.ts";
import { block, END_HEADERS, END_STREAM, frame, GET, RawClient, TYPE } from "./http2-frames.ts";

/** What the tests of HTTP/2 messages share: a port, what stands behind it, and clients that are closed after each test. */

/** Answers with the path and the body. */
export const hello = (exchange: Exchange): void => {
  gather(exchange.requestBody).then(
    ({ text }) => answer(exchange, 200, `${exchange.path} ${text}`),
    () => {},
  );
};

export class Setup {
  port!: Http2Port;
  handler: (exchange: Exchange) => void = hello;
  readonly #open: RawClient[] = [];

  constructor() {
    before(() => this.reopen());
    afterEach(() => {
      this.handler = hello;
      this.port.record.clear();
      for (const client of this.#open.splice(0)) client.close();
    });
    after(() => this.port.close());
  }

  /** After the entry point was drained. */
  async reopen(): Promise<void> {
    this.port?.close();
    this.port = await Http2Port.open((exchange) => this.handler(exchange));
  }

  async connected(
    ...args: [settings?: Buffer, hello?: readonly Buffer[], halfOpen?: boolean]
  ): Promise<RawClient> {
    const client = await RawClient.open(this.port.port, ...args);
    this.#open.push(client);
    return client;
  }

  get handled(): Exchange[] {
    return this.port.record.handled;
  }

  get last(): Exchange {
    return this.handled.at(-1)!;
  }
}

export const with_ = (...fields: (readonly [string, string])[]) => [...GET, ...fields];

/** A field that goes into the table. */
export const kept = (name: string, value: string) =>
  Buffer.concat([Buffer.from([0x40]), block([[name, value]]).subarray(1)]);

/** A whole request. */
export const blockOf = (stream: number, ...parts: readonly Buffer[]) =>
  frame(TYPE.headers, END_HEADERS | END_STREAM, stream, Buffer.concat(parts));

export async function replyTo(client: RawClient, stream: number): Promise<string> {
  await client.until(() => client.ended(stream));
  return client.body(stream).toString();
}
