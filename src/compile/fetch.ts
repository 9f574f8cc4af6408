import { Agent, type Dispatcher, errors } from "undici";
import { FetchFailure, type FetchReply, type FetchRequest } from "../model/host.ts";

/** Requests that middlewares make in their own name. Connections are kept by TLS settings; redirects are never followed. */
export class Fetcher {
  readonly #agents = new Map<string, Agent>();

  readonly fetch = async (request: FetchRequest): Promise<FetchReply> => {
    const { url, method, headers, body, timeoutMs, replyBytesMax, tls } = request;
    const signal = AbortSignal.timeout(timeoutMs);
    try {
      const reply = await this.#agentFor(tls).request({
        origin: new URL(url).origin,
        path: pathOf(url),
        method: method as Dispatcher.HttpMethod,
        headers: [...headers],
        body: body ?? null,
        signal,
        responseHeaders: "raw",
      });
      const chunks: Buffer[] = [];
      let bytes = 0;
      for await (const chunk of reply.body as AsyncIterable<Buffer>) {
        bytes += chunk.length;
        if (bytes > replyBytesMax)
          throw new FetchFailure("too-large", `the answer has more than ${replyBytesMax} bytes`);
        chunks.push(chunk);
      }
      // With `raw`, undici gives the flat list that came, in spite of its type.
      const flat = (reply.headers as unknown as readonly (Buffer | string)[]).map((part) =>
        typeof part === "string" ? part : part.toString("latin1"),
      );
      return { status: reply.statusCode, headers: flat, body: Buffer.concat(chunks, bytes) };
    } catch (error) {
      throw failureOf(error, signal, timeoutMs);
    }
  };

  close(): void {
    for (const agent of this.#agents.values()) void agent.destroy();
    this.#agents.clear();
  }

  #agentFor(tls: FetchRequest["tls"]): Agent {
    const key = tls === undefined ? "" : JSON.stringify(tls);
    let agent = this.#agents.get(key);
    if (agent === undefined) {
      agent = new Agent({
        allowH2: false,
        connect: tls === undefined ? {} : connectOptions(tls),
        keepAliveTimeout: 30_000,
      });
      this.#agents.set(key, agent);
    }
    return agent;
  }
}

function connectOptions({ ca, cert, key, insecureSkipVerify }: NonNullable<FetchRequest["tls"]>) {
  return {
    rejectUnauthorized: !insecureSkipVerify,
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
  };
}

function pathOf(url: string): string {
  const { pathname, search } = new URL(url);
  return pathname + search;
}

function failureOf(error: unknown, signal: AbortSignal, timeoutMs: number): FetchFailure {
  if (error instanceof FetchFailure) return error;
  const timedOut =
    signal.aborted || error instanceof errors.HeadersTimeoutError || error instanceof errors.BodyTimeoutError;
  if (timedOut) return new FetchFailure("timeout", `no whole answer within ${timeoutMs} ms`);
  return new FetchFailure("network", error instanceof Error ? error.message : String(error));
}
