import type { Exchange } from "../model/exchange.ts";
import { getHeaders } from "../model/headers.ts";
import type { AccessLogOptions } from "../model/log-settings.ts";
import { HeaderModes } from "./access-log-headers.ts";
import { JsonLines } from "./access-log-json.ts";
import { clean, clientHost, protocolOf, quotable, quoted } from "./access-log-text.ts";
import { ClfClock } from "./clock-text.ts";

/**
 * Makes access-log lines, in Traefik's formats and with Traefik's field names; ours are added to them. A line is
 * always one line: everything that came from outside is escaped (HD-20).
 */
export class AccessLogFormat {
  readonly #options: AccessLogOptions;
  readonly #json: JsonLines | undefined;
  readonly #kept: KeptFields;
  readonly #headers: HeaderModes;
  readonly #clock = new ClfClock();
  readonly #nextCount: () => number;

  /** `nextCount` numbers the requests of the whole process, from 1. */
  constructor(options: AccessLogOptions, nextCount: () => number) {
    const modes = new Map([...options.fields.names].map(([name, mode]) => [name.toLowerCase(), mode]));
    const keeps = (field: string) =>
      (modes.get(field.toLowerCase()) ?? options.fields.defaultMode) === "keep";
    this.#options = options;
    this.#json = options.format === "json" ? new JsonLines(options, keeps) : undefined;
    this.#kept = keptFields(keeps);
    this.#headers = new HeaderModes(options.fields.headers);
    this.#nextCount = nextCount;
  }

  /** Somebody must keep the headers of servers' replies before middlewares change them. */
  get wantsOriginHeaders(): boolean {
    return this.#json !== undefined && this.#headers.some;
  }

  /** The line with its line end, or undefined when filters leave the request out. */
  line(exchange: Exchange, durationMs = performance.now() - exchange.startedAtMs): string | undefined {
    if (!this.#passes(exchange, durationMs)) return undefined;
    const count = this.#nextCount();
    if (this.#json !== undefined) return this.#json.line(exchange, durationMs, count);
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
    const line =
      `${kept.host ? clean(clientHost(exchange)) : "-"} - ${user}` +
      ` [${kept.start ? this.#clock.text(Date.now() - durationMs) : "-"}] "${this.#requestLine(exchange)}"` +
      ` ${kept.status ? exchange.status : "-"} ${kept.size ? exchange.replyBytes : "-"}` +
      ` ${this.#headerQuoted(exchange, "referer")} ${this.#headerQuoted(exchange, "user-agent")}`;
    if (this.#options.format === "genericCLF") return `${line}\n`;
    return (
      `${line} ${kept.count ? count : "-"} ${quoted(kept.router, exchange.route?.name)}` +
      ` ${quoted(kept.server, exchange.server)} ${kept.duration ? Math.floor(durationMs) : "-"}ms\n`
    );
  }

  #requestLine(exchange: Exchange): string {
    const { method, path, protocol } = this.#kept;
    const { askedPath, askedQuery } = exchange;
    const dropsQuery = this.#options.fields.queryParameters.defaultMode === "drop";
    const whole = askedQuery === undefined || dropsQuery ? askedPath : `${askedPath}?${askedQuery}`;
    return quotable(
      `${method ? exchange.method : "-"} ${path ? whole : "-"} ${protocol ? protocolOf(exchange) : "-"}`,
    );
  }

  #headerQuoted(exchange: Exchange, lower: string): string {
    const mode = this.#headers.of(lower);
    if (mode === "drop") return '"-"';
    const found = getHeaders(exchange.headers, lower).join(",");
    if (found === "") return '"-"';
    return mode === "redact" ? '"REDACTED"' : `"${quotable(found)}"`;
  }
}

type KeptFields = ReturnType<typeof keptFields>;

/** Fields of the common form that are not dropped. */
function keptFields(keeps: (field: string) => boolean) {
  return {
    host: keeps("ClientHost"),
    user: keeps("ClientUsername"),
    start: keeps("StartUTC"),
    method: keeps("RequestMethod"),
    path: keeps("RequestPath"),
    protocol: keeps("RequestProtocol"),
    status: keeps("DownstreamStatus"),
    size: keeps("DownstreamContentSize"),
    count: keeps("RequestCount"),
    router: keeps("RouterName"),
    server: keeps("ServiceURL"),
    duration: keeps("Duration"),
  };
}
