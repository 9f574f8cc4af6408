import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createHttp2, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";

/** The applications that real clients ask through the product: one of HTTP/1.1, and one of HTTP/2 without TLS. */

export const LARGE = 10_000_000;
export const IMAGES = 100;

/** Bytes that tell where they are. */
export function numbers(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i + 4 <= length; i += 4) bytes.writeUInt32LE(i, i);
  return bytes;
}

export const sum = (bytes: Buffer | string) => createHash("sha256").update(bytes).digest("hex");

const PAGE = `<!doctype html><meta charset="utf-8"><title>page</title><link rel="icon" href="data:,">
<body><script>
const counts = { images: 0, broken: 0, events: 0, echoes: 0 };
window.counts = counts;
for (let i = 0; i < ${IMAGES}; i++) {
  const image = new Image();
  image.onload = () => counts.images++;
  image.onerror = () => counts.broken++;
  image.src = "/image/" + i + ".svg";
  document.body.append(image);
}
new EventSource("/events").onmessage = () => counts.events++;
const socket = new WebSocket(location.origin.replace("http", "ws") + "/socket");
socket.onopen = () => socket.send("1");
socket.onmessage = ({ data }) => {
  counts.echoes++;
  if (counts.echoes < 20) socket.send(String(counts.echoes + 1));
};
</script>`;

function answer(request: IncomingMessage, response: ServerResponse): void {
  const { pathname } = new URL(request.url!, "http://app.test");
  response.on("error", () => {});
  request.on("error", () => {});
  if (pathname === "/large") return void response.setHeader("content-length", LARGE).end(numbers(LARGE));
  if (pathname.startsWith("/numbers/")) return void response.end(numbers(Number(pathname.slice(9))));
  if (pathname === "/page") return void response.setHeader("content-type", "text/html").end(PAGE);
  if (pathname === "/sum") return upload(request, response);
  if (pathname === "/mirror") {
    response.writeHead(200, { trailer: "x-end" });
    response.flushHeaders();
    request.on("end", () => response.addTrailers({ "x-end": request.trailers["x-sum"] ?? "none" }));
    return void request.pipe(response);
  }
  if (pathname === "/events") {
    response.writeHead(200, { "content-type": "text/event-stream" });
    let count = 0;
    const timer = setInterval(() => response.write(`data: ${count++}\n\n`), 20);
    return void response.on("close", () => clearInterval(timer));
  }
  if (pathname.startsWith("/image/")) {
    // Of all sizes, so that some need several frames.
    const title = "i".repeat((Number.parseInt(pathname.slice(7), 10) % 10) * 5000);
    const image = `<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"><title>${title}</title></svg>`;
    return void response.setHeader("content-type", "image/svg+xml").end(image);
  }
  response.end("hello");
}

/** Says how many bytes came, their sum and the trailers. */
function upload(request: IncomingMessage, response: ServerResponse): void {
  const hash = createHash("sha256");
  let bytes = 0;
  request.on("data", (chunk: Buffer) => {
    hash.update(chunk);
    bytes += chunk.length;
  });
  request.on("end", () =>
    response.end(JSON.stringify({ bytes, sum: hash.digest("hex"), trailers: request.trailers })),
  );
}

/** A WebSocket server for short texts from clients: it sends each of them back. */
function echo(request: IncomingMessage, socket: Duplex): void {
  socket.on("error", () => {});
  const key = createHash("sha1")
    .update(`${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    .digest("base64");
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${key}\r\n\r\n`,
  );
  socket.on("data", (bytes: Buffer) => {
    const length = bytes[1]! & 0x7f;
    if ((bytes[0]! & 0xf) !== 1) return void socket.end();
    const text = bytes.subarray(6, 6 + length).map((byte, i) => byte ^ bytes[2 + (i & 3)]!);
    socket.write(Buffer.concat([Buffer.from([0x81, length]), text]));
  });
}

/** A stream of gRPC's kind: everything comes back at once, and the status last. */
function converse(stream: ServerHttp2Stream): void {
  stream.on("error", () => {});
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0", "grpc-message": "fine" }));
  stream.on("data", (chunk: Buffer) => stream.write(chunk));
  stream.on("end", () => stream.end());
}

export async function startApplications(): Promise<{ http1: string; http2: string; close(): void }> {
  const http1 = createServer(answer).on("upgrade", echo);
  const http2 = createHttp2({ settings: { maxConcurrentStreams: 500 } });
  http2.on("stream", converse);
  http2.on("sessionError", () => {});
  const urls = [http1, http2].map(async (server) => {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return (server.address() as AddressInfo).port;
  });
  const [one, two] = await Promise.all(urls);
  return {
    http1: `http://127.0.0.1:${one}`,
    http2: `h2c://127.0.0.1:${two}`,
    close() {
      http1.closeAllConnections();
      http1.close();
      http2.close();
    },
  };
}
