import { EngineError } from "./engine-error.ts";

// An event is a few KiB; one that grows beyond this is not going to end.
const LINE_MAX = 4 * 1024 * 1024;

/** The lines of a stream, however it is cut into chunks: in the middle of a line, or of a character. */
export async function* linesOf(stream: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let parts: Buffer[] = [];
  let length = 0;
  for await (const chunk of stream) {
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      parts.push(chunk.subarray(from, end));
      yield Buffer.concat(parts).toString("utf8");
      parts = [];
      length = 0;
      from = end + 1;
    }
    parts.push(chunk.subarray(from));
    length += chunk.length - from;
    if (length > LINE_MAX) throw new EngineError("sent an event without an end");
  }
}
