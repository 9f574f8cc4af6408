import type { Exchange } from "../model/exchange.ts";
import { getHeaders, sameName } from "../model/headers.ts";
import type { AccessLogOptions } from "../model/settings.ts";

/**
 * Makes access-log lines, in Traefik's formats and with Traefik's field names; ours are added behind them. A line is
 * always one line: everything that came from outside is escaped (HD-20).
 */
export class AccessLogFormat {
  readonly #options: AccessLogOptions;
  readonly #keeps: (field: string) => boolean;
  readonly #fields: readonly Field[];
  readonly #headerModes: ReadonlyMap<string, HeaderMode>;
  readonly #nextCount: () => number;

  /** `nextCount` numbers the requests of the whole process, from 1. */
  constructor(options: AccessLogOptions, nextCount: () => number) {
    const modes = new Map([...options.fields.names].map(([name, mode]) => [name.toLowerCase(), mode]));
    this.#options = options;
    this.#keeps = (field) => (modes.get(field.toLowerCase()) ?? options.fields.defaultMode) === "keep";
    this.#fields = FIELDS.filter(([name]) => this.#keeps(name));
    this.#headerModes = new Map(
      [...options.fields.headers.names].map(([name, mode]) => [name.toLowerCase(), mode]),
    );
    this.#nextCount = nextCount;
  }

  /** The line with its line end, or undefined when filters leave the request out. */
  line(exchange: Exchange): string | undefined {
    const durationMs = performance.now() - exchange.startedAtMs;
    if (!this.#passes(exchange, durationMs)) return undefined;
    const count = this.#nextCount();
    if (this.#options.format === "json") return this.#json(exchange, durationMs, count);
    return this.#common(exchange, durationMs, count);
  }

  #passes(exchange: Exchange, durationMs: number): boolean {
    const { filters } = this.#options;
    if (filters === undefined) return true;
    const { statusCodes, retryAttempts, minDuration } = filters;
    if (statusCodes.length === 0 && !retryAttempts && minDuration === 0) return true;
    if (retryAttempts && exchange.attempts > 1) return true;
    if (minDuration > 0 && durationMs > minDuration) return true;
    return statusCodes.some(({ from, to }) => exchange.status >= from && exchange.status <= to);
  }

  #common(exchange: Exchange, durationMs: number, count: number): string {
    const value = (field: string, found: string) => (this.#keeps(field) ? found : "-");
    const quoted = (field: string, found: string | undefined) =>
      found === undefined || !this.#keeps(field) ? '"-"' : `"${oneLine(found).replaceAll('"', '\\"')}"`;
    const request = `${exchange.method} ${this.#pathOf(exchange)} ${protocolOf(exchange)}`;
    const line =
      `${oneLine(value("ClientHost", clientHost(exchange)))} - ${oneLine(value("ClientUsername", exchange.username ?? "-"))}` +
      ` [${clfTime(Date.now() - durationMs)}] "${oneLine(request).replaceAll('"', '\\"')}"` +
      ` ${value("DownstreamStatus", String(exchange.status))} ${value("DownstreamContentSize", String(exchange.replyBytes))}` +
      ` ${this.#headerQuoted(exchange, "referer")} ${this.#headerQuoted(exchange, "user-agent")}`;
    if (this.#options.format === "genericCLF") return `${line}\n`;
    return (
      `${line} ${value("RequestCount", String(count))} ${quoted("RouterName", exchange.route?.name)}` +
      ` ${quoted("ServiceURL", exchange.server)} ${value("Duration", String(Math.floor(durationMs)))}ms\n`
    );
  }

  #headerQuoted(exchange: Exchange, lower: string): string {
    const mode = this.#headerModes.get(lower) ?? this.#options.fields.headers.defaultMode;
    const found = mode === "drop" ? undefined : getHeaders(exchange.headers, lower).join(",");
    if (found === undefined || found === "") return '"-"';
    return mode === "redact" ? '"REDACTED"' : `"${oneLine(found).replaceAll('"', '\\"')}"`;
  }

  #json(exchange: Exchange, durationMs: number, count: number): string {
    const moment: Moment = {
      startMs: Date.now() - durationMs,
      durationMs,
      count,
      path: this.#pathOf(exchange),
    };
    const entries: [string, string | number][] = [];
    for (const [name, read] of this.#fields) {
      const found = read(exchange, moment);
      if (found !== undefined) entries.push([name, found]);
    }
    this.#pushHeaders(entries, "request_", exchange.headers);
    this.#pushHeaders(entries, "downstream_", exchange.replyHeaders);
    entries.push(["level", "info"], ["msg", ""], ["time", new Date().toISOString()]);
    entries.sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([name, found]) => `${JSON.stringify(name)}:${JSON.stringify(found)}`).join(",")}}\n`;
  }

  #pushHeaders(entries: [string, string | number][], prefix: string, headers: readonly string[]): void {
    const { defaultMode } = this.#options.fields.headers;
    if (defaultMode === "drop" && this.#headerModes.size === 0) return;
    const seen = new Set<string>();
    for (let i = 0; i < headers.length; i += 2) {
      const lower = headers[i]!.toLowerCase();
      const mode = this.#headerModes.get(lower) ?? defaultMode;
      if (mode === "drop" || seen.has(lower)) continue;
      seen.add(lower);
      const found = mode === "redact" ? "REDACTED" : getHeaders(headers, lower).join(",");
      entries.push([prefix + canonical(lower), found]);
    }
  }

  #pathOf({ askedPath, askedQuery }: Exchange): string {
    const dropped = this.#options.fields.queryParameters.defaultMode === "drop";
    return askedQuery === undefined || dropped ? askedPath : `${askedPath}?${askedQuery}`;
  }
}

type HeaderMode = "keep" | "drop" | "redact";
interface Moment {
  readonly startMs: number;
  readonly durationMs: number;
  readonly count: number;
  readonly path: string;
}
type Field = readonly [
  name: string,
  read: (exchange: Exchange, moment: Moment) => string | number | undefined,
];

const ns = (ms: number) => Math.max(0, Math.round(ms * 1e6));
const asked = (exchange: Exchange) => exchange.sentAtMs > 0;
const originMs = (exchange: Exchange) =>
  exchange.repliedAtMs > 0 ? exchange.repliedAtMs - exchange.sentAtMs : undefined;

const FIELDS: readonly Field[] = [
  ["ClientAddr", ({ connection }) => `${bracket(connection.peerIp)}:${connection.peerPort}`],
  ["ClientHost", (exchange) => clientHost(exchange)],
  ["ClientPort", ({ connection }) => String(connection.peerPort)],
  ["ClientUsername", ({ username }) => username ?? "-"],
  ["DownstreamContentSize", ({ replyBytes }) => replyBytes],
  ["DownstreamStatus", ({ status }) => status],
  ["Duration", (_, { durationMs }) => ns(durationMs)],
  ["Fault", ({ fault }) => fault?.code],
  ["FaultDetail", ({ detail }) => detail],
  ["FaultSource", ({ fault }) => fault?.source],
  ["OriginContentSize", (exchange) => (exchange.repliedAtMs > 0 ? exchange.replyBytes : undefined)],
  ["OriginDuration", (exchange) => (asked(exchange) ? ns(originMs(exchange) ?? 0) : undefined)],
  [
    "OriginStatus",
    (exchange) => (exchange.repliedAtMs > 0 && exchange.fault === undefined ? exchange.status : undefined),
  ],
  ["Overhead", (exchange, { durationMs }) => ns(durationMs - (originMs(exchange) ?? 0))],
  ["RequestAddr", ({ authority }) => authority],
  ["RequestContentSize", ({ requestBytes }) => requestBytes],
  ["RequestCount", (_, { count }) => count],
  ["RequestHost", ({ host }) => host],
  ["RequestMethod", ({ method }) => method],
  ["RequestPath", (_, { path }) => path],
  ["RequestPort", ({ authority }) => /:(\d+)$/.exec(authority)?.[1] ?? "-"],
  ["RequestProtocol", (exchange) => protocolOf(exchange)],
  ["RequestScheme", ({ scheme }) => scheme],
  ["RetryAttempts", ({ attempts }) => Math.max(0, attempts - 1)],
  ["RouterName", ({ route }) => route?.name],
  ["ServiceAddr", ({ server }) => server?.replace(/^[a-z0-9]+:\/\//, "")],
  ["ServiceName", ({ service }) => service],
  ["ServiceURL", ({ server }) => server],
  ["StartLocal", (_, { startMs }) => new Date(startMs).toISOString()],
  ["StartUTC", (_, { startMs }) => new Date(startMs).toISOString()],
  ["TLSCipher", ({ connection }) => connection.tls?.cipher],
  ["TLSVersion", ({ connection }) => connection.tls?.version],
  ["entryPointName", ({ connection }) => connection.entryPoint],
];

const bracket = (ip: string) => (ip.includes(":") ? `[${ip}]` : ip);

// The first address of X-Forwarded-For that a trusted proxy passed on, as Traefik logs it; else the peer.
function clientHost({ headers, connection }: Exchange): string {
  for (let i = 0; i < headers.length; i += 2) {
    if (!sameName(headers[i]!, "x-forwarded-for")) continue;
    const value = headers[i + 1]!;
    const comma = value.indexOf(",");
    return comma < 0 ? value : value.slice(0, comma);
  }
  return connection.peerIp;
}

const protocolOf = ({ httpVersion }: Exchange) =>
  httpVersion === 11 ? "HTTP/1.1" : httpVersion === 20 ? "HTTP/2.0" : "HTTP/1.0";

const canonical = (lower: string) => lower.replace(/(?:^|-)[a-z]/g, (letters) => letters.toUpperCase());

/** Control characters, and those that turn text around or break lines, as `\xNN` or `\uNNNN`. */
function oneLine(value: string): string {
  return value.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (character) => {
    const code = character.charCodeAt(0);
    return code < 256
      ? `\\x${code.toString(16).padStart(2, "0")}`
      : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
let lastSecond = -1;
let lastText = "";

// Within one second the text is the same for all requests.
function clfTime(ms: number): string {
  const second = Math.floor(ms / 1000);
  if (second === lastSecond) return lastText;
  const date = new Date(second * 1000);
  const two = (n: number) => String(n).padStart(2, "0");
  lastSecond = second;
  lastText = `${two(date.getUTCDate())}/${MONTHS[date.getUTCMonth()]}/${date.getUTCFullYear()}:${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())} +0000`;
  return lastText;
}
