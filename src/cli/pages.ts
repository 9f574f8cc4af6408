import type { RequestListener } from "node:http";
import { answerApi } from "../admin/api.ts";
import type { Runtime } from "../control/runtime.ts";

/** The proxy's own pages: API and metrics. */
export function makePages(runtime: Runtime): RequestListener {
  return (request, response) => {
    const url = new URL(request.url ?? "/", "http://waybill");
    if (url.pathname === "/metrics") {
      response.setHeader("content-type", "text/plain; version=0.0.4; charset=utf-8");
      response.end(runtime.metrics());
      return;
    }
    if (!url.pathname.startsWith("/api")) {
      response.writeHead(404, { "content-type": "text/plain; charset=utf-8" }).end("404 page not found\n");
      return;
    }
    const { status, headers, body } = answerApi(
      runtime,
      request.method ?? "GET",
      url.pathname,
      url.searchParams,
    );
    response.writeHead(status, headers).end(body);
  };
}
