import { once } from "node:events";
import {
  type ClientHttp2Session,
  connect,
  createSecureServer,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo } from "node:net";

export type OnStream = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, raw: string[]) => void;

/** A server that speaks HTTP/2 and does what the test says with every stream. */
export class Http2Backend {
  readonly server: Http2Server;
  readonly sessions: ServerHttp2Session[] = [];
  port = 0;

  constructor(onStream: OnStream, options: Record<string, unknown> = {}) {
    this.server = ("key" in options ? createSecureServer(options) : createServer(options)) as Http2Server;
    this.server.on("session", (session) => {
      session.on("error", () => {});
      this.sessions.push(session);
    });
    this.server.on("sessionError", () => {});
    this.server.on("stream", (stream: ServerHttp2Stream, headers, _flags, raw) => {
      stream.on("error", () => {});
      onStream(stream, headers, raw as unknown as string[]);
    });
  }

  async start(): Promise<this> {
    this.server.listen(0, "127.0.0.1");
    await once(this.server, "listening");
    this.port = (this.server.address() as AddressInfo).port;
    return this;
  }

  close(): void {
    this.server.close();
    for (const session of this.sessions) session.destroy();
  }
}

export interface Answer {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly text: string;
  readonly trailers: Record<string, unknown> | undefined;
  /** 0 after a clean end. */
  readonly code: number;
}

/** An HTTP/2 client with one connection. */
export class Http2Client {
  readonly session: ClientHttp2Session;

  constructor(url: string, options: Record<string, unknown> = {}) {
    this.session = connect(url, { rejectUnauthorized: false, ...options });
    this.session.on("error", () => {});
  }

  async ask(headers: OutgoingHttpHeaders, body?: string | Buffer): Promise<Answer> {
    const stream = this.session.request(headers, { endStream: body === undefined });
    let trailers: Record<string, unknown> | undefined;
    let reply: Record<string, unknown> = {};
    let text = "";
    stream.on("error", () => {});
    stream.on("response", (block) => {
      reply = block;
    });
    stream.on("trailers", (block) => {
      trailers = block;
    });
    stream.on("data", (chunk) => {
      text += chunk;
    });
    if (body !== undefined) stream.end(body);
    await new Promise((resolve) => stream.once("close", resolve));
    return {
      status: Number(reply[":status"] ?? 0),
      headers: reply,
      text,
      trailers,
      code: stream.rstCode ?? 0,
    };
  }

  close(): void {
    this.session.destroy();
  }
}
