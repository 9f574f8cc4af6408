import { createServer, request as httpRequest, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import type { Assets } from "../../src/admin/assets.ts";
import { createPages } from "../../src/admin/pages.ts";
import { loadCatalogue } from "../../src/compile/catalogue.ts";
import type { CertificateView } from "../../src/model/certificate-view.ts";
import type { Report, ServerState } from "../../src/model/report.ts";
import type { Runtime } from "../../src/model/runtime.ts";
import type { RequestSample } from "../../src/model/traffic.ts";
import { readTraffic, TrafficCells } from "../../src/model/traffic.ts";
import { loadSettings } from "../../src/settings/load.ts";
import type { BrokenSetup } from "../check/broken.ts";
import { gather } from "../control/gather.ts";

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface SiteOptions {
  readonly flags?: readonly string[];
  /** By provider, in YAML. */
  readonly yaml?: Readonly<Record<string, string>>;
  readonly certificates?: readonly CertificateView[];
  readonly servers?: readonly ServerState[];
  /** Files that were read, rather than flags and YAML. */
  readonly made?: BrokenSetup;
  /** The real dashboard, rather than a word in its place. */
  readonly assets?: () => Promise<Assets>;
}

/** Our own pages on a socket, made from a configuration and nothing that runs. */
export async function openSite(options: SiteOptions = {}) {
  const { flags = [], yaml = {}, certificates = [], made, servers = made?.servers ?? [] } = options;
  const argv = ["--entryPoints.web.address=:80", "--api.insecure=true", "--providers.docker=false", ...flags];
  const loaded = loadSettings({ argv, env: new Map(), cwd: "/", readFile: () => "" });
  const report = made?.world.report ?? gather(yaml, argv).report;
  const reportHearers = new Set<(report: Report) => void>();
  const requestHearers = new Set<(samples: readonly RequestSample[], dropped: number) => void>();
  const traffic = TrafficCells.memory(1);
  const source: Runtime = {
    settings: made?.world.settings ?? loaded.settings,
    inForce: loaded.sources,
    registry: (await loadCatalogue()).middlewares,
    version: "1.2.3",
    startedAtMs: Date.UTC(2026, 0, 2, 3, 4, 5),
    report: () => report,
    servers: () => servers,
    certificates: () => certificates,
    issuance: () => [],
    ports: () => new Map(),
    metrics: () => "metrics\n",
    notReady: () => undefined,
    traffic: () => readTraffic(traffic),
    onRequests: (hear) => listen(requestHearers, hear),
    onReport: (hear) => listen(reportHearers, hear),
  };
  const word = new Map([["index.html", Buffer.from("<title>Waybill</title>")]]);
  const server = createServer(createPages(source, options.assets ?? (async () => word)));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    readers: requestHearers,
    send: (samples: readonly RequestSample[], dropped = 0) => {
      for (const hear of requestHearers) hear(samples, dropped);
    },
    ask: (path: string, options: AskOptions = {}) => ask(port, path, options),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function listen<T>(hearers: Set<T>, hear: T): () => void {
  hearers.add(hear);
  return () => void hearers.delete(hear);
}

interface AskOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export function ask(
  port: number,
  path: string,
  { method = "GET", headers = {}, body = "" }: AskOptions = {},
) {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const outgoing = httpRequest(
    { host: "127.0.0.1", port, path, method, headers, agent: false },
    (incoming) => {
      let text = "";
      incoming.on("data", (chunk: Buffer) => (text += chunk.toString()));
      incoming.on("error", reject);
      incoming.on("end", () =>
        resolve({ status: incoming.statusCode!, headers: incoming.headers, body: text }),
      );
    },
  );
  outgoing.on("error", reject);
  outgoing.end(body);
  return promise;
}
