import { startRaw } from "./kit.ts";

/** One request as a server that forgives nothing understands it. */
export interface Heard {
  readonly method: string;
  readonly path: string;
  /** Names in lower case, in the order of the lines. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
  readonly trailers: readonly string[];
}

const LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*$/;
const NEVER_A_TRAILER = /^(?:content-length|transfer-encoding|host|trailer|connection):/i;

export class Wrong extends Error {}

/** The requests of one connection's bytes, and what is left of one that is not complete. Throws at whatever is not plain. */
export function readStrictly(text: string): { readonly requests: Heard[]; readonly rest: string } {
  const requests: Heard[] = [];
  for (let at = 0; ; ) {
    const end = text.indexOf("\r\n\r\n", at);
    if (end < 0) return { requests, rest: text.slice(at) };
    const [first = "", ...lines] = text.slice(at, end).split("\r\n");
    const [, method, path] = /^([A-Z]+) (\/[\x21-\x7e]*) HTTP\/1\.1$/.exec(first) ?? [];
    if (method === undefined) throw new Wrong(`request line ${JSON.stringify(first)}`);
    const headers = lines.map(readLine);
    const body = readBody(text, end + 4, headers);
    if (body === undefined) return { requests, rest: text.slice(at) };
    requests.push({ method, path: path!, headers, body: body.body, trailers: body.trailers });
    at = body.end;
  }
}

function readLine(line: string): readonly [string, string] {
  const [, name, value] = LINE.exec(line) ?? [];
  if (name === undefined) throw new Wrong(`header line ${JSON.stringify(line)}`);
  return [name.toLowerCase(), value!];
}

type Body = { readonly body: string; readonly trailers: readonly string[]; readonly end: number };

function readBody(text: string, from: number, headers: Heard["headers"]): Body | undefined {
  const all = (wanted: string) => headers.filter(([name]) => name === wanted).map(([, value]) => value);
  const lengths = all("content-length");
  const codings = all("transfer-encoding");
  if (all("host").length !== 1) throw new Wrong(`${all("host").length} Host headers`);
  if (lengths.length + codings.length > 1) throw new Wrong(`lengths ${lengths}, codings ${codings}`);
  if (codings.length === 1) {
    if (codings[0] !== "chunked") throw new Wrong(`coding ${codings[0]}`);
    return readChunks(text, from);
  }
  if (!/^\d{0,15}$/.test(lengths[0] ?? "")) throw new Wrong(`length ${lengths[0]}`);
  const end = from + Number(lengths[0] ?? 0);
  return text.length < end ? undefined : { body: text.slice(from, end), trailers: [], end };
}

function readChunks(text: string, from: number): Body | undefined {
  let body = "";
  for (let at = from; ; ) {
    const lineEnd = text.indexOf("\r\n", at);
    if (lineEnd < 0) return undefined;
    const size = text.slice(at, lineEnd);
    if (!/^[0-9a-f]{1,8}$/.test(size)) throw new Wrong(`chunk size ${JSON.stringify(size)}`);
    at = lineEnd + 2;
    const length = Number.parseInt(size, 16);
    if (length === 0) return readTrailers(text, at, body);
    if (text.length < at + length + 2) return undefined;
    body += text.slice(at, at + length);
    at += length;
    if (text.slice(at, at + 2) !== "\r\n") throw new Wrong("chunk without its end");
    at += 2;
  }
}

function readTrailers(text: string, from: number, body: string): Body | undefined {
  const trailers: string[] = [];
  for (let at = from; ; ) {
    const end = text.indexOf("\r\n", at);
    if (end < 0) return undefined;
    const line = text.slice(at, end);
    at = end + 2;
    if (line === "") return { body, trailers, end: at };
    if (!LINE.test(line) || NEVER_A_TRAILER.test(line)) throw new Wrong(`trailer ${JSON.stringify(line)}`);
    trailers.push(line);
  }
}

export interface Recorder extends AsyncDisposable {
  readonly url: string;
  /** Every whole request of every connection. */
  requests(): Heard[];
}

/** A server that answers each request once all of it is there, and that nobody can confuse. */
export async function startRecorder(): Promise<Recorder> {
  const answered = new Map<number, number>();
  const raw = await startRaw((socket, text, connection) => {
    try {
      const { requests } = readStrictly(text);
      for (let i = answered.get(connection) ?? 0; i < requests.length; i++)
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      answered.set(connection, requests.length);
    } catch {
      // Whoever asks for the requests is told.
      socket.destroy();
    }
  });
  return {
    url: raw.url,
    requests: () => raw.heard.flatMap((text) => readStrictly(text).requests),
    [Symbol.asyncDispose]: () => raw[Symbol.asyncDispose](),
  };
}
