// Says who it is and what it was sent, as the image traefik/whoami does. Listens on WHOAMI_PORT_NUMBER, or 80.
import { createServer } from "node:http";
import { hostname, networkInterfaces } from "node:os";

const addresses = Object.values(networkInterfaces()).flatMap((list) =>
  (list ?? []).map((entry) => entry.address),
);
let healthStatus = 200;

const server = createServer((request, response) => {
  const url = new URL(request.url, "http://localhost");
  if (url.pathname === "/health") {
    if (request.method === "POST") {
      request.on("data", (chunk) => (healthStatus = Number(String(chunk))));
      request.on("end", () => response.end());
      return;
    }
    response.writeHead(healthStatus).end();
    return;
  }
  const waitMs = Number(url.searchParams.get("wait") ?? 0);
  setTimeout(() => {
    const lines = [`Hostname: ${hostname()}`, ...addresses.map((address) => `IP: ${address}`)];
    lines.push(`RemoteAddr: ${request.socket.remoteAddress}:${request.socket.remotePort}`);
    lines.push(`${request.method} ${request.url} HTTP/${request.httpVersion}`);
    for (let i = 0; i < request.rawHeaders.length; i += 2) {
      lines.push(`${request.rawHeaders[i]}: ${request.rawHeaders[i + 1]}`);
    }
    response.setHeader("content-type", "text/plain; charset=utf-8");
    response.end(`${lines.join("\n")}\n`);
  }, waitMs);
});

server.listen(Number(process.env["WHOAMI_PORT_NUMBER"] ?? 80));
process.on("SIGTERM", () => server.close(() => process.exit(0)));
