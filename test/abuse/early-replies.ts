import type { Http2Stream } from "../../src/listen/http2-stream.ts";
import { BytesBody } from "../../src/model/body.ts";
import type { Exchange } from "../../src/model/exchange.ts";
import { frame, headers, POST, RawClient, setting, TYPE, uint32 } from "../conformance/http2-frames.ts";
import { Http2Port } from "../listen/http2-site.ts";
import { wait } from "./kit.ts";

/** A reply to half a request waits for its client's window, and is then given up. Ends when all is over. */

const seen: Exchange[] = [];
const port = await Http2Port.open((exchange) => void seen.push(exchange));
const client = await RawClient.open(port.port, setting(4, 10));
client.send(headers(1, POST, false), headers(3, POST, false));
while (seen.length < 2) await wait(10);
const first = seen[0]!;
first.status = 413;
first.replyBody = new BytesBody(Buffer.alloc(1000));
first.client.send(first);
await wait(50);
if (process.argv[2] === "window") {
  (first.client as Http2Stream).shed();
  await wait(50);
  client.send(frame(TYPE.window, 0, 1, uint32(5000)), frame(TYPE.ping, 0, 0, Buffer.alloc(8)));
  await wait(200);
} else {
  client.send(frame(TYPE.window, 0, 1, uint32(5000)));
  client.socket.end();
  while (port.record.done.length < 2) await wait(10);
}
client.close();
await port.close();
process.exit(0);
