import type { Exchange } from "../model/exchange.ts";
import { getHeaders } from "../model/headers.ts";
import type { AccessLogOptions } from "../model/settings.ts";
import { clientHost, FIELDS, type Field, type Moment, protocolOf } from "./access-log-fields.ts";
import { clean, jsonText, quotable, quoted } from "./access-log-text.ts";

/**
 * Makes access-log lines, in Traefik's formats and with Traefik's field names; ours are added behind them. A line is
 * always one line: everything that came from outside is escaped (HD-20).
 */
export class AccessLogFormat {
  readonly #options: AccessLogOptions;
  readonly #kept: KeptFields;
  readonly #parts: readonly Part[];
  readonly #headerModes: ReadonlyMap<string, HeaderMode>;
  readonly #nextCount: () => number;

  /** `nextCount` numbers the requests of the whole process, from 1. */
  constructor(options: AccessLogOptions, nextCount: () => number) {
    const modes = new Map([...options.fields.names].map(([name, mode]) => [name.toLowerCase(), mode]));
    this.#options = options;
    const keeps = (field: string) =>
      (modes.get(field.toLowerCase()) ?? options.fields.defaultMode) === "keep";
    this.#kept = keptFields(keeps);
    this.#parts = partsOf(keeps);
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
    const kept = this.#kept;
    const user = kept.user && exchange.username !== undefined ? clean(exchange.username) : "-";
    const request = `${exchange.method} ${this.#pathOf(exchange)} ${protocolOf(exchange)}`;
    const line =
      `${kept.host ? clean(clientHost(exchange)) : "-"} - ${user}` +
      ` [${clfTime(Date.now() - durationMs)}] "${quotable(request)}"` +
      ` ${kept.status ? exchange.status : "-"} ${kept.size ? exchange.replyBytes : "-"}` +
      ` ${this.#headerQuoted(exchange, "referer")} ${this.#headerQuoted(exchange, "user-agent")}`;
    if (this.#options.format === "genericCLF") return `${line}\n`;
    return (
      `${line} ${kept.count ? count : "-"} ${quoted(kept.router, exchange.route?.name)}` +
      ` ${quoted(kept.server, exchange.server)} ${kept.duration ? Math.floor(durationMs) : "-"}ms\n`
    );
  }

  #headerQuoted(exchange: Exchange, lower: string): string {
    const mode = this.#headerModes.get(lower) ?? this.#options.fields.headers.defaultMode;
    if (mode === "drop") return '"-"';
    const found = getHeaders(exchange.headers, lower).join(",");
    if (found === "") return '"-"';
    return mode === "redact" ? '"REDACTED"' : `"${quotable(found)}"`;
  }

  #json(exchange: Exchange, durationMs: number, count: number): string {
    const endMs = Date.now();
    const moment: Moment = {
      startMs: endMs - durationMs,
      endMs,
      durationMs,
      count,
      path: this.#pathOf(exchange),
    };
    let text = "";
    for (const { start, read, headers } of this.#parts) {
      if (headers !== undefined) {
        text += this.#headersJson(start, headers === "request" ? exchange.headers : exchange.replyHeaders);
        continue;
      }
      const found = read!(exchange, moment);
      if (found !== undefined) text += start + (typeof found === "number" ? found : jsonText(found));
    }
    return `{${text.slice(1)}}\n`;
  }

  #headersJson(start: string, headers: readonly string[]): string {
    const { defaultMode } = this.#options.fields.headers;
    if (defaultMode === "drop" && this.#headerModes.size === 0) return "";
    const seen = new Map<string, string>();
    for (let i = 0; i < headers.length; i += 2) {
      const lower = headers[i]!.toLowerCase();
      const mode = this.#headerModes.get(lower) ?? defaultMode;
      if (mode === "drop" || seen.has(lower)) continue;
      const found = mode === "redact" ? "REDACTED" : getHeaders(headers, lower).join(",");
      seen.set(lower, `,${jsonText(start + canonical(lower))}:${jsonText(found)}`);
    }
    return [...seen.keys()]
      .sort()
      .map((lower) => seen.get(lower))
      .join("");
  }

  #pathOf({ askedPath, askedQuery }: Exchange): string {
    const dropped = this.#options.fields.queryParameters.defaultMode === "drop";
    return askedQuery === undefined || dropped ? askedPath : `${askedPath}?${askedQuery}`;
  }
}

type HeaderMode = "keep" | "drop" | "redact";

/** One stretch of a JSON line: a field, or the headers of one side. */
interface Part {
  /** `,"ClientHost":`, or what the names of the headers begin with. */
  readonly start: string;
  readonly read: Field[1] | undefined;
  readonly headers: "request" | "reply" | undefined;
}

/** In the order of the alphabet, capitals first, as Traefik writes them. */
function partsOf(keeps: (field: string) => boolean): Part[] {
  const fields = FIELDS.filter(([name]) => ALWAYS.has(name) || keeps(name)).map(([name, read]) => ({
    name,
    part: { start: `,"${name}":`, read, headers: undefined },
  }));
  const headers = (["downstream_", "request_"] as const).map((name) => ({
    name,
    part: { start: name, read: undefined, headers: name === "request_" ? "request" : "reply" } as const,
  }));
  return [...fields, ...headers].sort((a, b) => (a.name < b.name ? -1 : 1)).map(({ part }) => part);
}

const ALWAYS = new Set(["level", "msg", "time"]);

/** Fields of the common form that are not dropped. */
interface KeptFields {
  readonly host: boolean;
  readonly user: boolean;
  readonly status: boolean;
  readonly size: boolean;
  readonly count: boolean;
  readonly router: boolean;
  readonly server: boolean;
  readonly duration: boolean;
}

function keptFields(keeps: (field: string) => boolean): KeptFields {
  return {
    host: keeps("ClientHost"),
    user: keeps("ClientUsername"),
    status: keeps("DownstreamStatus"),
    size: keeps("DownstreamContentSize"),
    count: keeps("RequestCount"),
    router: keeps("RouterName"),
    server: keeps("ServiceURL"),
    duration: keeps("Duration"),
  };
}

const canonical = (lower: string) => lower.replace(/(?:^|-)[a-z]/g, (letters) => letters.toUpperCase());

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
