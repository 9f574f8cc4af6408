import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Acceptor } from "../../src/tls/acceptor.ts";
import { Plane, TestServer } from "../gateway/plane.ts";
import { makeCertificate, specOf, tlsSpec } from "../tls/certificates.ts";

/**
 * A data plane in a process of its own, so that its memory can be told from its clients': argument 2 is the server's
 * port, 3 the entry point's scheme. Says its port, and what it holds whenever it is asked.
 */
setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;
const [, , port, scheme] = process.argv;
const certificate = await makeCertificate({ names: ["app.test"] });
const plane = await new Plane({
  servers: [new TestServer(Number(port))],
  entryPoint: {
    "transport.maxConnectionsPerIP": "0",
    // However slow the machine: they are to stay.
    "transport.respondingTimeouts.idleTimeout": "0",
  },
  ...(scheme === "https" && { acceptor: new Acceptor(tlsSpec([specOf(certificate)])) }),
}).start();
process.on("message", async () => {
  // Nobody keeps exchanges in earnest.
  plane.done.length = 0;
  // What hangs on a collected object outside of the heap goes a turn later.
  for (let round = 0; round < 3; round++) {
    collectGarbage();
    await new Promise((resolve) => setImmediate(resolve));
  }
  process.send!({ bytes: process.memoryUsage.rss(), open: plane.entryPoint.open });
});
process.on("disconnect", () => process.exit());
process.send!({ port: plane.port });
