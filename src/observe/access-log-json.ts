import { X509Certificate } from "node:crypto";
import type { Connection, ConnectionTls, Exchange } from "../model/exchange.ts";
import type { Fault } from "../model/fault.ts";
import type { AccessLogOptions } from "../model/log-settings.ts";
import { HeaderFields } from "./access-log-headers.ts";
import { clientHost, inOnePiece, jsonText, protocolOf } from "./access-log-text.ts";
import { LocalClock, SecondClock, UtcClock } from "./clock-text.ts";
import { traceOf } from "./tracer.ts";

/**
 * Makes JSON lines. Names, quotes and whatever comes again and again are made ahead, in the order of the alphabet as
 * Traefik writes them, and few long strings are added to each other: an object a line, or a function a field, would
 * cost more than all the rest, and a string of many small ones is dear to write (`bench/observe.ts`).
 */
export class JsonLines {
  readonly #keys: Keys;
  readonly #dropsQuery: boolean;
  readonly #requestHeaders: HeaderFields | undefined;
  readonly #originHeaders: HeaderFields | undefined;
  readonly #replyHeaders: HeaderFields | undefined;
  readonly #clients = new WeakMap<Connection, string>();
  readonly #tls = new WeakMap<ConnectionTls, string>();
  readonly #addr: Fragments;
  readonly #host: Fragments;
  readonly #port: Fragments;
  readonly #method: Fragments;
  readonly #protocol: Fragments;
  readonly #scheme: Fragments;
  readonly #router: Fragments;
  readonly #serverAddr: Fragments;
  readonly #service: Fragments;
  readonly #server: Fragments;
  readonly #entryPoint: Fragments;
  readonly #local: LocalClock;
  readonly #utc: UtcClock;
  readonly #end: SecondClock;

  constructor({ fields }: AccessLogOptions, keeps: (field: string) => boolean) {
    const k = keysOf(keeps);
    this.#keys = k;
    this.#dropsQuery = fields.queryParameters.defaultMode === "drop";
    this.#requestHeaders = HeaderFields.of("request_", fields.headers);
    this.#originHeaders = HeaderFields.of("origin_", fields.headers);
    this.#replyHeaders = HeaderFields.of("downstream_", fields.headers);
    this.#addr = new Fragments(k.RequestAddr);
    this.#host = new Fragments(k.RequestHost);
    this.#port = new Fragments(k.RequestPort, portOf);
    this.#method = new Fragments(k.RequestMethod);
    this.#protocol = new Fragments(k.RequestProtocol);
    this.#scheme = new Fragments(k.RequestScheme);
    this.#router = new Fragments(k.RouterName);
    this.#serverAddr = new Fragments(k.ServiceAddr, (url) => url.slice(url.indexOf("/") + 2));
    this.#service = new Fragments(k.ServiceName);
    this.#server = new Fragments(k.ServiceURL);
    this.#entryPoint = new Fragments(k.entryPointName, undefined, ',"level":"info","msg":""');
    this.#local = new LocalClock(`${k.StartLocal}"`, '"');
    this.#utc = new UtcClock(`${k.StartUTC}"`, '"');
    this.#end = new SecondClock(',"time":"', '"');
  }

  /** `count` numbers the requests of the process. */
  line(exchange: Exchange, durationMs: number, count: number): string {
    const text = this.#reply(exchange, durationMs) + this.#request(exchange, count);
    return `{${(text + this.#route(exchange, durationMs)).slice(1)}}\n`;
  }

  /** `BeforeDuration` to `ReplyDuration`. */
  #reply(exchange: Exchange, durationMs: number): string {
    const k = this.#keys;
    const { sentAtMs, repliedAtMs, startedAtMs } = exchange;
    const asked = sentAtMs > 0;
    const replied = repliedAtMs > 0;
    const originMs = asked ? durationMs - (sentAtMs - startedAtMs) : 0;
    let text = "";
    if (asked && k.BeforeDuration !== "") text += k.BeforeDuration + ns(sentAtMs - startedAtMs);
    text += this.#client(exchange);
    if (k.DownstreamContentSize !== "") text += k.DownstreamContentSize + exchange.replyBytes;
    if (k.DownstreamStatus !== "") text += k.DownstreamStatus + exchange.status;
    if (k.Duration !== "") text += k.Duration + ns(durationMs);
    if (exchange.fault !== undefined) text += this.#fault(exchange.fault, exchange.detail);
    if (replied) text += this.#origin(exchange);
    if (asked && k.OriginDuration !== "") text += k.OriginDuration + ns(originMs);
    if (exchange.originStatus > 0 && k.OriginStatus !== "") text += k.OriginStatus + exchange.originStatus;
    if (k.Overhead !== "") text += k.Overhead + ns(durationMs - originMs);
    if (replied && k.ReplyDuration !== "")
      text += k.ReplyDuration + ns(durationMs - (repliedAtMs - startedAtMs));
    return text;
  }

  /** `ClientAddr` to `ClientUsername`; nearly always the same for a whole connection. */
  #client(exchange: Exchange): string {
    const { connection, username } = exchange;
    const host = clientHost(exchange);
    const isPlain = username === undefined && host === connection.peerIp;
    const known = isPlain ? this.#clients.get(connection) : undefined;
    if (known !== undefined) return known;
    const k = this.#keys;
    const { peerIp, peerPort } = connection;
    const addr = `${peerIp.includes(":") ? `[${peerIp}]` : peerIp}:${peerPort}`;
    let text = k.ClientAddr === "" ? "" : k.ClientAddr + jsonText(addr);
    if (k.ClientHost !== "") text += k.ClientHost + jsonText(host);
    if (k.ClientPort !== "") text += `${k.ClientPort}"${peerPort}"`;
    if (k.ClientUsername !== "") text += k.ClientUsername + jsonText(username ?? "-");
    if (isPlain) this.#clients.set(connection, inOnePiece(text));
    return text;
  }

  #fault({ code, source }: Fault, detail: string | undefined): string {
    const k = this.#keys;
    let text = k.Fault === "" ? "" : `${k.Fault}"${code}"`;
    if (k.FaultDetail !== "" && detail !== undefined) text += k.FaultDetail + jsonText(detail);
    if (k.FaultSource !== "") text += `${k.FaultSource}"${source}"`;
    return text;
  }

  /** `GzipRatio` and `OriginContentSize`: what a middleware has done to the body. */
  #origin({ originBytes, replyBytes }: Exchange): string {
    const k = this.#keys;
    const size = originBytes >= 0 ? originBytes : replyBytes;
    const isChanged = size !== replyBytes && replyBytes > 0;
    const ratio = isChanged && k.GzipRatio !== "" ? k.GzipRatio + size / replyBytes : "";
    return k.OriginContentSize === "" ? ratio : ratio + k.OriginContentSize + size;
  }

  /** `RequestAddr` to `RetryAttempts`. */
  #request(exchange: Exchange, count: number): string {
    const k = this.#keys;
    const { authority, askedPath, askedQuery, attempts } = exchange;
    let text = this.#addr.of(authority);
    if (k.RequestContentSize !== "") text += k.RequestContentSize + exchange.requestBytes;
    if (k.RequestCount !== "") text += k.RequestCount + count;
    text += this.#host.of(exchange.host);
    text += this.#method.of(exchange.method);
    if (k.RequestPath !== "") {
      const path = askedQuery === undefined || this.#dropsQuery ? askedPath : `${askedPath}?${askedQuery}`;
      text += k.RequestPath + jsonText(path);
    }
    text += this.#port.of(authority);
    text += this.#protocol.of(protocolOf(exchange));
    text += this.#scheme.of(exchange.scheme);
    if (k.RetryAttempts !== "") text += k.RetryAttempts + (attempts > 1 ? attempts - 1 : 0);
    return text;
  }

  /** `RouterName` to the end. */
  #route(exchange: Exchange, durationMs: number): string {
    const k = this.#keys;
    const { route, server, service, connection, sentAtMs, repliedAtMs } = exchange;
    const trace = exchange.notes === undefined ? undefined : traceOf(exchange);
    const endMs = Date.now();
    let text = route === undefined ? "" : this.#router.of(route.name);
    if (server !== undefined) text += this.#serverAddr.of(server);
    if (service !== undefined) text += this.#service.of(service);
    if (server !== undefined) text += this.#server.of(server);
    if (trace !== undefined && k.SpanId !== "") text += `${k.SpanId}"${trace.spanId}"`;
    if (k.StartLocal !== "") text += this.#local.text(endMs - durationMs);
    if (k.StartUTC !== "") text += this.#utc.text(endMs - durationMs);
    if (connection.tls !== undefined) text += this.#tlsText(connection.tls);
    if (trace !== undefined && k.TraceId !== "") text += `${k.TraceId}"${trace.traceId}"`;
    if (repliedAtMs > 0 && sentAtMs > 0 && k.WaitDuration !== "")
      text += k.WaitDuration + ns(repliedAtMs - sentAtMs);
    if (this.#replyHeaders !== undefined) text += this.#replyHeaders.text(exchange.replyHeaders);
    text += this.#entryPoint.of(connection.entryPoint);
    if (this.#originHeaders !== undefined && exchange.originHeaders !== undefined)
      text += this.#originHeaders.text(exchange.originHeaders);
    if (this.#requestHeaders !== undefined) text += this.#requestHeaders.text(exchange.headers);
    if (trace !== undefined && k.span_id !== "") text += `${k.span_id}"${trace.spanId}"`;
    text += this.#end.text(endMs);
    if (trace !== undefined && k.trace_id !== "") text += `${k.trace_id}"${trace.traceId}"`;
    return text;
  }

  #tlsText(tls: ConnectionTls): string {
    let text = this.#tls.get(tls);
    if (text === undefined) {
      const k = this.#keys;
      const subject = k.TLSClientSubject === "" ? "" : subjectOf(tls);
      text = k.TLSCipher === "" ? "" : k.TLSCipher + jsonText(tls.cipher);
      if (subject !== "") text += k.TLSClientSubject + jsonText(subject);
      if (k.TLSVersion !== "") text += k.TLSVersion + jsonText(tls.version);
      this.#tls.set(tls, inOnePiece(text));
    }
    return text;
  }
}

/** One field whose values come again and again, name and quotes included; forgotten all at once when there are many. */
class Fragments {
  readonly #key: string;
  readonly #shown: (text: string) => string;
  readonly #after: string;
  readonly #known = new Map<string, string>();

  /** `after` is added to every one. */
  constructor(key: string, shown: (text: string) => string = (text) => text, after = "") {
    this.#key = key;
    this.#shown = shown;
    this.#after = after;
  }

  of(text: string): string {
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    const field = this.#key === "" ? "" : this.#key + jsonText(this.#shown(text));
    const made = field + this.#after;
    if (this.#known.size >= KNOWN_MAX) this.#known.clear();
    if (text.length <= KNOWN_LENGTH_MAX) this.#known.set(text, inOnePiece(made));
    return made;
  }
}

// Hosts and methods are the client's to choose: these bound what they can make us remember.
const KNOWN_MAX = 1000;
const KNOWN_LENGTH_MAX = 300;

const ns = (ms: number) => (ms > 0 ? Math.round(ms * 1e6) : 0);

function portOf(authority: string): string {
  const colon = authority.lastIndexOf(":");
  // The colons of an IPv6 address stand before its bracket.
  return colon < 0 || colon < authority.indexOf("]") ? "-" : authority.slice(colon + 1).replace(/\D/g, "");
}

/** Go's order of a name's parts, the most particular one first, and its letters for them. */
const SUBJECT_PARTS = ["serialNumber", "CN", "postalCode", "street", "ST", "L", "OU", "O", "C"];

function subjectOf(tls: ConnectionTls): string {
  const [leaf] = tls.peerCertificates();
  if (leaf === undefined) return "";
  const written = (new X509Certificate(leaf).subject ?? "").split("\n");
  return SUBJECT_PARTS.flatMap((part) => {
    const values = written.filter((line) => line.startsWith(`${part}=`));
    const shown = part === "serialNumber" ? "SERIALNUMBER" : part.toUpperCase();
    return values.length === 0
      ? []
      : [values.map((line) => `${shown}=${line.slice(part.length + 1)}`).join("+")];
  }).join(",");
}

type Keys = ReturnType<typeof keysOf>;

/** What stands before each value; empty for fields that are dropped. */
function keysOf(keeps: (field: string) => boolean) {
  const key = (name: string) => (keeps(name) ? `,"${name}":` : "");
  return {
    BeforeDuration: key("BeforeDuration"),
    ClientAddr: key("ClientAddr"),
    ClientHost: key("ClientHost"),
    ClientPort: key("ClientPort"),
    ClientUsername: key("ClientUsername"),
    DownstreamContentSize: key("DownstreamContentSize"),
    DownstreamStatus: key("DownstreamStatus"),
    Duration: key("Duration"),
    Fault: key("Fault"),
    FaultDetail: key("FaultDetail"),
    FaultSource: key("FaultSource"),
    GzipRatio: key("GzipRatio"),
    OriginContentSize: key("OriginContentSize"),
    OriginDuration: key("OriginDuration"),
    OriginStatus: key("OriginStatus"),
    Overhead: key("Overhead"),
    ReplyDuration: key("ReplyDuration"),
    RequestAddr: key("RequestAddr"),
    RequestContentSize: key("RequestContentSize"),
    RequestCount: key("RequestCount"),
    RequestHost: key("RequestHost"),
    RequestMethod: key("RequestMethod"),
    RequestPath: key("RequestPath"),
    RequestPort: key("RequestPort"),
    RequestProtocol: key("RequestProtocol"),
    RequestScheme: key("RequestScheme"),
    RetryAttempts: key("RetryAttempts"),
    RouterName: key("RouterName"),
    ServiceAddr: key("ServiceAddr"),
    ServiceName: key("ServiceName"),
    ServiceURL: key("ServiceURL"),
    SpanId: key("SpanId"),
    StartLocal: key("StartLocal"),
    StartUTC: key("StartUTC"),
    TLSCipher: key("TLSCipher"),
    TLSClientSubject: key("TLSClientSubject"),
    TLSVersion: key("TLSVersion"),
    TraceId: key("TraceId"),
    WaitDuration: key("WaitDuration"),
    entryPointName: key("entryPointName"),
    span_id: key("span_id"),
    trace_id: key("trace_id"),
  };
}
