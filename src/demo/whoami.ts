import { createServer, type Server } from "node:http";

/** A small service that says who answered and what arrived, like the well-known whoami image. */
export function createWhoami(name: string): Server {
  return createServer((request, response) => {
    const { remoteAddress, localAddress, localPort } = request.socket;
    const lines = [
      `Name: ${name}`,
      `Address: ${localAddress}:${localPort}`,
      `From: ${remoteAddress}`,
      `${request.method} ${request.url} HTTP/${request.httpVersion}`,
    ];
    for (let i = 0; i < request.rawHeaders.length; i += 2) {
      lines.push(`${request.rawHeaders[i]}: ${request.rawHeaders[i + 1]}`);
    }
    request.resume();
    response.writeHead(200, { "content-type": "text/plain; charset=utf-8" }).end(`${lines.join("\n")}\n`);
  });
}

/** Listens on an address of its own where the system has many on loopback (Linux), else on any free port. */
export async function listen(
  server: Server,
  address: string,
  port: number,
): Promise<{ host: string; port: number }> {
  const attempts: [string, number][] = [
    [address, port],
    ["127.0.0.1", port],
    ["127.0.0.1", 0],
  ];
  for (const [host, wanted] of attempts) {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const failed = () => resolve(false);
    server.once("error", failed);
    server.listen(wanted, host, () => resolve(true));
    const isListening = await promise;
    server.off("error", failed);
    const bound = server.address();
    if (isListening && bound !== null && typeof bound === "object") return { host, port: bound.port };
  }
  throw new Error(`no port is free on ${address} or 127.0.0.1`);
}
