import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { TimeLimits } from "../../src/lib/time-limits.ts";
import { Http1Client } from "../../src/listen/http1-client.ts";
import { Site } from "../../src/listen/site.ts";
import { BytesBody } from "../../src/model/body.ts";
import type { Gateway } from "../../src/model/client.ts";
import { entryPointOptions } from "../../src/model/entry-point.ts";
import type { Exchange } from "../../src/model/exchange.ts";
import type { Fault } from "../../src/model/fault.ts";
import { written } from "../gateway/plane.ts";

/** What came of the bytes of one connection: the requests that were understood, and why the rest was refused. */
export interface Reading {
  readonly requests: { readonly exchange: Exchange; readonly body: string; readonly complete: boolean }[];
  readonly faults: string[];
  readonly statuses: number[];
  readonly closed: boolean;
  /** All that the client was sent. */
  readonly text: string;
}

class FakeSocket extends Duplex {
  readonly out: Buffer[] = [];
  override _read(): void {}
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.out.push(chunk);
    done();
  }
  override _final(done: () => void): void {
    done();
  }
  destroySoon(): void {
    this.destroy();
  }
  resetAndDestroy(): void {
    this.destroy();
  }
}

/** Answers every request once its body is complete. */
class Answering implements Gateway {
  readonly requests: { exchange: Exchange; body: string; complete: boolean }[] = [];
  readonly faults: string[] = [];

  handle(exchange: Exchange): void {
    const request = { exchange, body: "", complete: false };
    this.requests.push(request);
    const answer = (status: number) => {
      exchange.status = status;
      exchange.replyBody = new BytesBody(Buffer.from("ok"));
      exchange.client.send(exchange);
    };
    exchange.requestBody.flow({
      data(chunk) {
        request.body += chunk.toString("latin1");
        return true;
      },
      end() {
        request.complete = true;
        answer(200);
      },
      fail: (fault: Fault) => {
        this.faults.push(fault.code);
        answer(fault.status);
      },
    });
  }
  left(): void {}
  done(): void {}
  refused(_connection: unknown, fault: Fault): void {
    this.faults.push(fault.code);
  }
}

const limits = new TimeLimits(60_000);

/** Reads the pieces as one connection's bytes, each in a turn of its own. */
export async function read(
  pieces: readonly string[],
  options: Record<string, string> = {},
): Promise<Reading> {
  const gateway = new Answering();
  const site = new Site(
    "web",
    written(entryPointOptions, { address: ":0", ...options }),
    gateway,
    limits,
    "proxy",
  );
  const socket = new FakeSocket();
  const connection = {
    entryPoint: "web",
    peerIp: "192.0.2.1",
    peerPort: 1234,
    localPort: 80,
    tls: undefined,
  };
  new Http1Client(socket as unknown as Socket, site, connection, { closed() {}, holdHead() {} });
  for (const piece of pieces) {
    if (socket.destroyed) break;
    socket.push(Buffer.from(piece, "latin1"));
    await new Promise(setImmediate);
  }
  await new Promise(setImmediate);
  const text = Buffer.concat(socket.out).toString("latin1");
  const statuses = [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => Number(match[1]));
  const closed = socket.writableEnded || socket.destroyed;
  socket.destroy();
  await new Promise(setImmediate);
  return { requests: gateway.requests, faults: gateway.faults, statuses, closed, text };
}
