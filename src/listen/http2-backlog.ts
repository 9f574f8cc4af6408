/** A stream as far as the memory that it holds is concerned. */
export interface HoldingStream {
  /** `performance.now()` when a part of its request or of its reply last came. */
  readonly movedAtMs: number;
  /** Bytes of its request and of its reply that wait here. */
  held(): number;
  /** Others need the memory. */
  shed(): void;
}

export interface HoldingConnection {
  /** Bytes of a reply that the client takes before it says more. */
  readonly windowAtFirst: number;
  streams(): Iterable<HoldingStream>;
}

/** Bytes that may wait in all HTTP/2 streams of an entry point: for clients that do not read, or servers that do not. */
const BACKLOG_MAX = 24 * 1024 * 1024;
/** What is left when some had to go: room enough that the next count is far away. */
const KEPT_SHARE = 0.75;
/** A window that no browser and no library begins with: who does wants us to keep replies for it. */
const TINY_WINDOW = 16 * 1024;
/** How long nothing may move on a stream that asks for no such thing, when memory is short. */
const PATIENCE_MS = 30_000;

/**
 * The memory that HTTP/2 streams hold together, in one thread. Each stream and each connection has a limit of its own,
 * but a client may open many of both and read from none. Passing bytes are added up roughly; only when that comes to
 * the limit are those that really wait counted. If they are too many, the connection that holds most loses streams on
 * which nothing has moved for long.
 */
export class Http2Backlog {
  readonly #bytesMax: number;
  readonly #connections: Set<HoldingConnection>;
  #bytes: number;

  constructor(threads: number, bytesMax: number = BACKLOG_MAX) {
    this.#bytesMax = bytesMax / threads;
    this.#connections = new Set();
    this.#bytes = 0;
  }

  opened(connection: HoldingConnection): void {
    this.#connections.add(connection);
  }

  closed(connection: HoldingConnection): void {
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
      const bytesHeld = heldBy(connection);
      bytes += bytesHeld;
      return { connection, bytesHeld };
    });
    if (bytes > this.#bytesMax * KEPT_SHARE) {
      held.sort((a, b) => b.bytesHeld - a.bytesHeld);
      for (const { connection } of held) {
        if (bytes <= this.#bytesMax * KEPT_SHARE) break;
        bytes -= shed(connection, bytes - this.#bytesMax * KEPT_SHARE);
      }
    }
    // What may not go yet is not counted again at every chunk.
    this.#bytes = Math.min(bytes, this.#bytesMax * KEPT_SHARE);
  }
}

function heldBy(connection: HoldingConnection): number {
  let bytes = 0;
  for (const stream of connection.streams()) bytes += stream.held();
  return bytes;
}

/**
 * Ends streams on which nothing has moved for long, those that have waited longest first, until as many bytes are
 * free. Gives how many are. Slow is not hostile: what moves at all is never ended.
 */
function shed(connection: HoldingConnection, bytes: number): number {
  const patienceMs = connection.windowAtFirst < TINY_WINDOW ? 0 : PATIENCE_MS;
  const sinceMs = performance.now() - patienceMs;
  const waiting = [...connection.streams()].filter(
    (stream) => stream.movedAtMs <= sinceMs && stream.held() > 0,
  );
  waiting.sort((a, b) => a.movedAtMs - b.movedAtMs);
  let freed = 0;
  for (const stream of waiting) {
    if (freed >= bytes) break;
    freed += stream.held();
    stream.shed();
  }
  return freed;
}
