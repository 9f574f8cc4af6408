import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Plane, TestServer } from "../gateway/plane.ts";

/**
 * A data plane in a process of its own, so that its memory can be told from the test's: argument 2 is the server's
 * port, 3 its scheme, 4 options of the entry point. Says its port, and its resident memory in megabytes whenever it is asked,
 * after the garbage is collected: when that happens by itself is not in anybody's hands.
 */
setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;
// A process that has run for an hour: times that were never set lie long ago.
const now = performance.now.bind(performance);
performance.now = () => now() + 3_600_000;

const [, , port, scheme, options = "{}"] = process.argv;
const server = new TestServer(Number(port), { scheme: scheme === "h2c" ? "h2c" : "http" });
const plane = await new Plane({
  servers: [server],
  entryPoint: { "transport.maxConnectionsPerIP": "0", ...(JSON.parse(options) as Record<string, string>) },
}).start();
process.on("message", () => {
  const ended = plane.done.map(({ fault }) => fault?.code ?? "fine");
  // Nobody keeps exchanges in earnest.
  plane.done.length = 0;
  collectGarbage();
  const { user, system } = process.cpuUsage();
  process.send!({
    megabytes: process.memoryUsage.rss() / 1024 / 1024,
    active: plane.gateway.active,
    ended,
    cpuMs: (user + system) / 1000,
  });
});
process.on("disconnect", () => process.exit());
process.send!({ port: plane.port });
