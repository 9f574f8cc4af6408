import { createServer } from "node:net";

/**
 * A server that costs as little as it can, so that the proxy is what is measured: the path says what it replies with.
 * It reads whole request heads only as far as their end, and bodies by Content-Length.
 */

const reply = (body: string) => Buffer.from(`${head(body.length)}${body}`);
const head = (length: number) =>
  `HTTP/1.1 200 OK\r\nServer: bench\r\nDate: Sat, 21 Nov 2026 11:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: ${length}\r\n\r\n`;

const whole = new Map([
  ["/100", reply("x".repeat(100))],
  ["/64k", reply("x".repeat(65536))],
  ["/1m", reply("x".repeat(1 << 20))],
]);
const TWO_HEAD = Buffer.from(head(4096));
const TWO_BODY = Buffer.from("x".repeat(4096));

const SWITCH =
  "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

const server = createServer({ noDelay: true }, (socket) => {
  let bodyLeft = 0;
  let partial = "";
  let echoes = false;
  socket.on("error", () => {});
  socket.on("data", (chunk) => {
    if (echoes) return void socket.write(chunk);
    if (bodyLeft > 0) {
      bodyLeft -= chunk.length;
      if (bodyLeft <= 0) socket.write(whole.get("/100")!);
      return;
    }
    const text = partial + chunk.toString("latin1");
    const end = text.indexOf("\r\n\r\n");
    if (end < 0) {
      partial = text;
      return;
    }
    partial = "";
    const length = /content-length: (\d+)/i.exec(text);
    if (length !== null) {
      bodyLeft = Number(length[1]) - (text.length - end - 4);
      if (bodyLeft > 0) return;
    }
    const path = text.slice(text.indexOf(" ") + 1, text.indexOf(" ", text.indexOf(" ") + 1));
    if (path === "/ws") {
      echoes = true;
      socket.write(SWITCH);
    } else if (path === "/4k2") {
      socket.write(TWO_HEAD);
      setImmediate(() => socket.write(TWO_BODY));
    } else socket.write(whole.get(path) ?? whole.get("/100")!);
  });
});
server.listen(Number(process.argv[2]), "127.0.0.1", () => process.stdout.write("ready\n"));
