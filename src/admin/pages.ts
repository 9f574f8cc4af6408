import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { OWN_PATHS } from "../model/own-pages.ts";
import type { Runtime } from "../model/runtime.ts";
import type { RequestSample } from "../model/traffic.ts";
import { answerApi, refusalReply } from "./api.ts";
import { AssetServer, type Assets } from "./assets.ts";
import { guardOrigin } from "./guard.ts";
import { Refusal } from "./listing.ts";
import { Login } from "./login.ts";
import { requestFilter } from "./request-filter.ts";
import { Streams } from "./streams.ts";
import { TrafficHistory } from "./traffic.ts";

/** The proxy's own pages: API, dashboard and metrics. `assets` is asked for when somebody first wants the dashboard. */
export function createPages(source: Runtime, assets: () => Promise<Assets>): RequestListener {
  const pages = new Pages(source, assets);
  return (request, response) => void pages.answer(request, response);
}

class Pages {
  readonly #source: Runtime;
  readonly #base: string;
  readonly #login: Login;
  readonly #streams = new Streams();
  readonly #history: TrafficHistory;
  readonly #loadAssets: () => Promise<Assets>;
  #assets: Promise<AssetServer> | undefined;
  #sent: { readonly samples: readonly RequestSample[]; readonly text: string } = { samples: [], text: "[]" };

  constructor(source: Runtime, assets: () => Promise<Assets>) {
    this.#source = source;
    this.#base = (source.settings.api?.basePath ?? "/").replace(/\/+$/, "");
    this.#login = new Login(source.settings.api, Date.now);
    this.#history = new TrafficHistory(() => source.traffic());
    this.#loadAssets = assets;
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await this.#route(request, response);
    } catch (error) {
      if (response.headersSent) response.destroy();
      else if (error instanceof Refusal) send(response, refusalReply(error));
      else send(response, refusalReply(new Refusal(500, "an error of ours; the log has more")));
    }
  }

  /** The data plane has put before the path which of our services was asked. */
  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [path = "/", search = ""] = splitOnce(request.url ?? "/", "?");
    if (isUnder(path, OWN_PATHS.metrics)) return this.#metrics(response);
    if (isUnder(path, OWN_PATHS.ready)) return this.#ready(response);
    guardOrigin(request, this.#source.settings.api?.allowedHosts ?? []);
    if (isUnder(path, OWN_PATHS.dashboard)) {
      return this.#dashboard(path.slice(OWN_PATHS.dashboard.length), request, response);
    }
    const inner = isUnder(path, this.#base) ? path.slice(this.#base.length) : undefined;
    if (inner === undefined) throw NOT_FOUND;
    if (!isUnder(inner, "/api")) return this.#dashboard(inner, request, response);
    return this.#api(inner, new URLSearchParams(search), request, response);
  }

  #metrics(response: ServerResponse): void {
    response.setHeader("content-type", "text/plain; version=0.0.4; charset=utf-8");
    response.end(this.#source.metrics());
  }

  #ready(response: ServerResponse): void {
    const why = this.#source.notReady();
    response.writeHead(why === undefined ? 200 : 503, { "content-type": "text/plain; charset=utf-8" });
    response.end(why === undefined ? "OK" : `${why}\n`);
  }

  async #api(
    path: string,
    query: URLSearchParams,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const { method = "GET" } = request;
    if (path === "/api/login") return this.#answerLogin(method, request, response);
    if (path === "/api/logout" && method === "POST") {
      response.setHeader("set-cookie", this.#login.close(request));
      return send(response, { status: 204, headers: {}, body: "" });
    }
    if (!(await this.#login.admits(request))) {
      // No challenge of Basic's for browsers of the dashboard, which has a page of its own.
      const isScript =
        request.headers["sec-fetch-mode"] === "cors" || request.headers["sec-fetch-mode"] === "same-origin";
      if (!isScript) response.setHeader("www-authenticate", 'Basic realm="Waybill", Bearer');
      throw new Refusal(401, "a login is needed");
    }
    if (method === "GET" && path === "/api/events") return this.#events(request, response);
    if (method === "GET" && path === "/api/requests") return this.#requests(query, request, response);
    send(response, answerApi(this.#source, this.#history, method, path, query), method === "HEAD");
  }

  async #answerLogin(method: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (method === "GET") {
      const isIn = await this.#login.admits(request);
      const body = JSON.stringify({ asksFor: this.#login.asksFor, isIn });
      return send(response, { status: 200, headers: JSON_TYPE, body });
    }
    if (method !== "POST") throw new Refusal(405, "only GET and POST are answered here");
    const cookie = await this.#login.open(request);
    if (cookie === undefined) throw new Refusal(401, WRONG[this.#login.asksFor]);
    response.setHeader("set-cookie", cookie);
    send(response, { status: 204, headers: {}, body: "" });
  }

  // --- Streams.

  #events(request: IncomingMessage, response: ServerResponse): void {
    const stream = this.#streams.open(request, response);
    const tell = () => stream.send("configuration", changeOf(this.#source));
    tell();
    stream.onClose(this.#source.onReport(tell));
  }

  #requests(query: URLSearchParams, request: IncomingMessage, response: ServerResponse): void {
    const wants = requestFilter(query);
    const stream = this.#streams.open(request, response);
    const end = this.#source.onRequests((samples, dropped) => {
      const wanted = wants === undefined ? samples : samples.filter(wants);
      if (wanted.length > 0) stream.sendText("requests", wanted, this.#textOf, wanted.length);
      if (dropped > 0) stream.send("dropped", dropped);
    });
    stream.onClose(end);
  }

  /** Most readers see the same samples: their text is made once. */
  readonly #textOf = (samples: readonly RequestSample[]): string => {
    if (this.#sent.samples !== samples) this.#sent = { samples, text: JSON.stringify(samples) };
    return this.#sent.text;
  };

  // --- Dashboard.

  async #dashboard(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "GET" } = request;
    if (this.#source.settings.api?.dashboard === false) throw NOT_FOUND;
    if (method !== "GET" && method !== "HEAD") throw new Refusal(405, "only GET is answered here");
    const prefix = prefixOf(request);
    const inner = isUnder(path, this.#base) ? path.slice(this.#base.length) : path;
    const isStripped = prefix.endsWith("/dashboard");
    if ((inner === "" || inner === "/" || inner === "/dashboard") && !isStripped) {
      const location = `${prefix}${this.#base}/dashboard/`;
      response.writeHead(302, { location, "x-content-type-options": "nosniff" }).end();
      return;
    }
    const name = inner.replace(/^\/dashboard(?=\/)/, "").slice(1) || "index.html";
    this.#assets ??= this.#loadAssets().then((files) => new AssetServer(files));
    // Tried again the next time.
    this.#assets.catch(() => (this.#assets = undefined));
    if (!(await this.#assets).answer(name, request, response)) throw NOT_FOUND;
  }
}

const WRONG = {
  token: "the token is not right",
  password: "the user or the password is not right",
  nothing: "no login is needed",
};
const NOT_FOUND = new Refusal(404, "there is nothing here");
const JSON_TYPE = { "content-type": "application/json" };

function changeOf(source: Runtime) {
  const { version, madeAtMs, problems, routers } = source.report();
  return { version, madeAtMs, problems: problems.length, routers: routers.size };
}

interface Answer {
  readonly status: number;
  readonly headers: { readonly [name: string]: string };
  readonly body: string | Buffer;
}

function send(response: ServerResponse, { status, headers, body }: Answer, isHead = false): void {
  response.writeHead(status, {
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    ...headers,
    ...(status !== 204 && { "content-length": Buffer.byteLength(body) }),
  });
  response.end(isHead ? undefined : body);
}

/** What a middleware stripped on the way, unless it would lead elsewhere. */
function prefixOf({ headers }: IncomingMessage): string {
  const told = String(headers["x-forwarded-prefix"] ?? "")
    .split(",")[0]!
    .trim()
    .replace(/\/+$/, "");
  return /^(?:\/[\w.~-]+)*$/.test(told) ? told : "";
}

const isUnder = (path: string, prefix: string) => path === prefix || path.startsWith(`${prefix}/`);

function splitOnce(text: string, by: string): [string, string] {
  const at = text.indexOf(by);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}
