import assert from "node:assert/strict";
import { createSecureServer, type Http2ServerRequest, type Http2ServerResponse } from "node:http2";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import type { TLSSocket } from "node:tls";
import { type Settings, settingsOptions } from "../../src/model/settings.ts";
import { makeSender, type OtlpSender, type Signal } from "../../src/observe/otlp-sender.ts";
import { written } from "../gateway/plane.ts";
import { makeCertificate } from "../tls/certificates.ts";

/** Where telemetry goes and how: each kind of it, by HTTP and by gRPC. */

interface Arrival {
  readonly path: string;
  readonly token: string;
  /** Common name of the client's certificate. */
  readonly client: string;
}

const authority = await makeCertificate({ commonName: "authority", authority: true });
const own = await makeCertificate({ ips: ["127.0.0.1"], issuer: authority });
const client = await makeCertificate({ commonName: "client", names: ["client"] });
const arrivals: Arrival[] = [];
const server = createSecureServer(
  { cert: own.chain, key: own.key, requestCert: true, rejectUnauthorized: false, allowHTTP1: true },
  (request: Http2ServerRequest, response: Http2ServerResponse) => {
    const socket = (
      request.httpVersion === "2.0" ? request.stream.session!.socket : request.socket
    ) as TLSSocket;
    const { subject } = socket.getPeerCertificate();
    arrivals.push({
      path: request.url,
      token: String(request.headers["x-token"]),
      client: String(subject?.CN ?? "nobody"),
    });
    request.resume().on("end", () => {
      if (request.httpVersion !== "2.0") return response.end("{}");
      request.stream.respond({ ":status": 200, "grpc-status": "0" }, { endStream: true });
    });
  },
);
let port = 0;
before(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  port = (server.address() as AddressInfo).port;
});
after(() => void server.close());

const KINDS: readonly [
  option: string,
  signal: Signal,
  at: (settings: Settings) => Parameters<typeof makeSender>[0],
][] = [
  ["tracing", "traces", ({ tracing }) => tracing!.otlp!],
  ["metrics", "metrics", ({ metrics }) => metrics!.otlp!],
  ["log", "logs", ({ log }) => log.otlp!],
  ["accessLog", "logs", ({ accessLog }) => accessLog!.otlp!],
];

for (const [kind, signal, at] of KINDS) {
  for (const transport of ["http", "grpc"] as const) {
    const send = async (options: Record<string, string>): Promise<Arrival | undefined> => {
      arrivals.length = 0;
      const endpoint = transport === "http" ? `https://127.0.0.1:${port}` : `127.0.0.1:${port}`;
      const all = Object.entries({ endpoint, ...options });
      const texts = all.map(([name, text]) => [`${kind}.otlp.${transport}.${name}`, text]);
      const settings = written(settingsOptions, Object.fromEntries(texts)) as Settings;
      const sender: OtlpSender = makeSender(at(settings), signal);
      await sender.send({}).catch(() => {});
      sender.close();
      return arrivals[0];
    };

    test(`${kind}.otlp.${transport}: endpoint, headers, and tls with ca, cert, key and insecureSkipVerify`, async () => {
      assert.equal(await send({}), undefined);
      const bold = await send({ "tls.insecureSkipVerify": "true", "headers.X-Token": "t" });
      assert.equal(bold?.client, "nobody");
      assert.equal(bold?.token, "t");
      const service = { traces: "Trace", metrics: "Metrics", logs: "Logs" }[signal];
      assert.match(
        bold!.path,
        transport === "http" ? new RegExp(`^/v1/${signal}$`) : new RegExp(`${service}Service/Export$`),
      );
      const careful = await send({ "tls.ca": authority.chain });
      assert.equal(careful?.client, "nobody");
      const known = { "tls.ca": authority.chain, "tls.cert": client.chain, "tls.key": client.key };
      assert.equal((await send(known))?.client, "client");
    });
  }
}

test("otlp.http.endpoint: a path of its own is kept", async () => {
  const endpoint = `https://127.0.0.1:${port}/own/path`;
  arrivals.length = 0;
  const texts = { "log.otlp.http.endpoint": endpoint, "log.otlp.http.tls.insecureSkipVerify": "true" };
  const sender = makeSender((written(settingsOptions, texts) as Settings).log.otlp!, "logs");
  await sender.send({});
  sender.close();
  assert.equal(arrivals[0]?.path, "/own/path");
});
