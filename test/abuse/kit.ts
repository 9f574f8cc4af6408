import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";

/** A server that understands nothing: it keeps what it is sent, byte for byte, and says what it is told to. */
export interface RawServer extends AsyncDisposable {
  readonly url: string;
  /** All bytes, by connection. */
  readonly heard: readonly string[];
  readonly sockets: readonly Socket[];
}

export async function startRaw(
  answer: (socket: Socket, text: string, connection: number) => void,
): Promise<RawServer> {
  const heard: string[] = [];
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    const connection = heard.push("") - 1;
    sockets.push(socket);
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => {
      heard[connection] += chunk.toString("latin1");
      answer(socket, heard[connection]!, connection);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    heard,
    sockets,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Answers every head that has come with an empty 200, whatever the bodies are. */
export function answerHeads(): (socket: Socket, text: string, connection: number) => void {
  const answered = new Map<number, number>();
  return (socket, text, connection) => {
    const heads = text.split("\r\n\r\n").length - 1;
    for (let i = answered.get(connection) ?? 0; i < heads; i++)
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    answered.set(connection, heads);
  };
}

/** One router, one server, for a file provider. */
export function site(url: string, rule = "PathPrefix(`/`)", more = ""): string {
  return `
http:
  routers:
    r:
      rule: ${JSON.stringify(rule)}
      service: s
      entryPoints: [web]
${more}
  services:
    s:
      loadBalancer:
        servers:
          - url: ${url}
`;
}

export const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
