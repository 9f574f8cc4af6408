import type { Exchange } from "../model/exchange.ts";
import { getHeader, getHeaders } from "../model/headers.ts";
import type { FetchRequest } from "../model/host.ts";
import type { Settings } from "../model/settings.ts";

export type TracingOptions = NonNullable<Settings["tracing"]>;
export type Attributes = (string | number | readonly string[])[];

/** What spans say, in the words of OpenTelemetry's conventions as Traefik uses them. */
export class SpanAttributes {
  readonly #safe: ReadonlySet<string>;
  readonly #requestHeaders: readonly string[];
  readonly #replyHeaders: readonly string[];

  constructor({ safeQueryParams, capturedRequestHeaders, capturedResponseHeaders }: TracingOptions) {
    this.#safe = new Set(safeQueryParams);
    this.#requestHeaders = capturedRequestHeaders.map((name) => name.toLowerCase());
    this.#replyHeaders = capturedResponseHeaders.map((name) => name.toLowerCase());
  }

  /** Of the request as it came. */
  server(exchange: Exchange): Attributes {
    const { connection, fault, detail } = exchange;
    const attributes: Attributes = [
      "entry_point",
      connection.entryPoint,
      "http.request.method",
      exchange.method,
      "network.protocol.version",
      versionOf(exchange),
      "http.request.body.size",
      exchange.requestBytes,
      "url.path",
      exchange.askedPath,
      "url.query",
      this.#redacted(exchange.askedQuery),
      "url.scheme",
      getHeader(exchange.headers, "x-forwarded-proto") ?? exchange.scheme,
      "user_agent.original",
      getHeader(exchange.headers, "user-agent") ?? "",
      "server.address",
      exchange.authority,
      "network.peer.address",
      connection.peerIp,
      "network.peer.port",
      connection.peerPort,
      "client.address",
      connection.peerIp,
      "client.port",
      connection.peerPort,
      "http.response.status_code",
      exchange.status,
    ];
    if (fault !== undefined)
      attributes.push("waybill.fault", fault.code, "waybill.fault.source", fault.source);
    if (fault !== undefined && detail !== undefined) attributes.push("waybill.fault.detail", detail);
    this.#capture(attributes, exchange);
    return attributes;
  }

  /** Of the request as it was sent on. */
  client(exchange: Exchange): Attributes {
    const { server = "", query, status, attempts } = exchange;
    const version = server.startsWith("h2c:") ? "2" : "1.1";
    const asked = query === undefined ? exchange.path : `${exchange.path}?${query}`;
    const agent = getHeader(exchange.headers, "user-agent") ?? "";
    const attributes = this.#sent(exchange.method, version, server + asked, agent, status);
    if (attempts > 1) attributes.push("http.resend_count", attempts - 1);
    this.#capture(attributes, exchange);
    return attributes;
  }

  /** Of a request that a middleware made; status 0 when there was no answer. */
  asked({ method, url, headers }: FetchRequest, status: number): Attributes {
    return this.#sent(method, "1.1", url, getHeader(headers, "user-agent") ?? "", status);
  }

  #sent(method: string, version: string, url: string, agent: string, status: number): Attributes {
    const { hostname, port, protocol, search, username, password } = new URL(url);
    const scheme = protocol.slice(0, -1);
    const at = Number(port) || (scheme === "https" ? 443 : 80);
    const safeUrl =
      search === "" ? url : url.slice(0, url.indexOf("?") + 1) + this.#redacted(search.slice(1));
    const isNamed = username !== "" || password !== "";
    const attributes: Attributes = [
      "http.request.method",
      method,
      "network.protocol.version",
      version,
      "url.full",
      isNamed ? safeUrl.replace(/\/\/[^/@]*@/, "//REDACTED:REDACTED@") : safeUrl,
      "url.scheme",
      scheme,
      "user_agent.original",
      agent,
      "server.address",
      hostname,
      "server.port",
      at,
      "network.peer.address",
      hostname,
      "network.peer.port",
      at,
    ];
    if (status > 0) attributes.push("http.response.status_code", status);
    return attributes;
  }

  #capture(attributes: Attributes, { headers, replyHeaders }: Exchange): void {
    for (const name of this.#requestHeaders) {
      const values = getHeaders(headers, name);
      if (values.length > 0) attributes.push(`http.request.header.${name}`, values);
    }
    for (const name of this.#replyHeaders) {
      const values = getHeaders(replyHeaders, name);
      if (values.length > 0) attributes.push(`http.response.header.${name}`, values);
    }
  }

  /** Values of parameters may be secrets, unless the operator says that they are not. */
  #redacted(query: string | undefined): string {
    if (query === undefined || query === "") return "";
    const parts = query.split("&").map((part) => {
      const at = part.indexOf("=");
      return at < 0 || this.#safe.has(part.slice(0, at)) ? part : `${part.slice(0, at)}=REDACTED`;
    });
    return parts.join("&");
  }
}

const versionOf = ({ httpVersion }: Exchange) =>
  httpVersion === 20 ? "2" : httpVersion === 11 ? "1.1" : "1.0";
