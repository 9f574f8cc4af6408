import type { Http2Connection } from "./http2.ts";

/** Bytes that may wait in all HTTP/2 streams of an entry point: for clients that do not read, or servers that do not. */
const BACKLOG_MAX = 24 * 1024 * 1024;
/** What is left when some had to go: room enough that the next count is far away. */
const KEPT_SHARE = 0.75;

/**
 * The memory that HTTP/2 streams hold together, in one thread. Each stream and each connection has a limit of its own,
 * but a client may open many of both and read from none. Passing bytes are added up roughly; only when that comes to
 * the limit are those that really wait counted. If they are too many, the connection that holds most loses streams on
 * which nothing has moved for long.
 */
export class Http2Backlog {
  readonly #bytesMax: number;
  readonly #connections: Set<Http2Connection>;
  #bytes: number;

  constructor(threads: number, bytesMax: number = BACKLOG_MAX) {
    this.#bytesMax = bytesMax / threads;
    this.#connections = new Set();
    this.#bytes = 0;
  }

  opened(connection: Http2Connection): void {
    this.#connections.add(connection);
  }

  closed(connection: Http2Connection): void {
    this.#connections.delete(connection);
  }

  /** That many bytes may have to wait. */
  add(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > this.#bytesMax) this.#count();
  }

  #count(): void {
    let bytes = 0;
    const held = [...this.#connections].map((connection) => {
      const bytesHeld = connection.held();
      bytes += bytesHeld;
      return { connection, bytesHeld };
    });
    if (bytes > this.#bytesMax * KEPT_SHARE) {
      held.sort((a, b) => b.bytesHeld - a.bytesHeld);
      for (const { connection } of held) {
        if (bytes <= this.#bytesMax * KEPT_SHARE) break;
        bytes -= connection.shed(bytes - this.#bytesMax * KEPT_SHARE);
      }
    }
    // What may not go yet is not counted again at every chunk.
    this.#bytes = Math.min(bytes, this.#bytesMax * KEPT_SHARE);
  }
}
