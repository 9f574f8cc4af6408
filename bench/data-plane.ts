import { Plane, TestServer } from "../test/gateway/plane.ts";

/** The data plane alone, with a table of one route, so that the HTTP/1.1 path can be profiled. Ports: own, backend. */
const [port, backend] = process.argv.slice(2).map(Number) as [number, number];
const plane = new Plane({
  entryPoint: { address: `127.0.0.1:${port}`, "transport.keepAliveMaxRequests": "0" },
  servers: [new TestServer(backend)],
});
plane.done.push = () => 0;
await plane.start();
process.stdout.write("ready\n");
// A profile (`node --cpu-prof`) is only written by a process that ends by itself.
process.on("SIGTERM", () => process.exit(0));
