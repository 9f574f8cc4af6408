import { getHeaders, sameName } from "../model/headers.ts";
import type { AccessLogOptions } from "../model/log-settings.ts";
import { jsonText } from "./access-log-text.ts";

type HeaderMode = "keep" | "drop" | "redact";
type HeaderOptions = AccessLogOptions["fields"]["headers"];

/** What becomes of each header. */
export class HeaderModes {
  readonly #default: HeaderMode;
  readonly #named: ReadonlyMap<string, HeaderMode>;

  constructor({ defaultMode, names }: HeaderOptions) {
    this.#default = defaultMode;
    this.#named = new Map([...names].map(([name, mode]) => [name.toLowerCase(), mode]));
  }

  of(lower: string): HeaderMode {
    return this.#named.get(lower) ?? this.#default;
  }

  /** Whether any header can be in a line. */
  get some(): boolean {
    return this.#default !== "drop" || [...this.#named.values()].some((mode) => mode !== "drop");
  }
}

/** The headers of one side in a JSON line: `,"request_User-Agent":"curl/8.5.0"`, sorted by name. */
export class HeaderFields {
  readonly #prefix: string;
  readonly #modes: HeaderModes;

  /** Undefined when no header is ever kept. */
  static of(prefix: string, options: HeaderOptions): HeaderFields | undefined {
    const modes = new HeaderModes(options);
    return modes.some ? new HeaderFields(prefix, modes) : undefined;
  }

  private constructor(prefix: string, modes: HeaderModes) {
    this.#prefix = prefix;
    this.#modes = modes;
  }

  text(headers: readonly string[]): string {
    const fields: string[] = [];
    for (let i = 0; i < headers.length; i += 2) {
      const lower = headers[i]!.toLowerCase();
      const mode = this.#modes.of(lower);
      if (mode === "drop" || !isFirst(headers, i, lower)) continue;
      const found = mode === "redact" ? "REDACTED" : getHeaders(headers, lower).join(",");
      fields.push(`,${jsonText(this.#prefix + canonical(lower))}:${jsonText(found)}`);
    }
    return fields.sort().join("");
  }
}

function isFirst(headers: readonly string[], at: number, lower: string): boolean {
  for (let i = 0; i < at; i += 2) if (sameName(headers[i]!, lower)) return false;
  return true;
}

const canonical = (lower: string) => lower.replace(/(?:^|-)[a-z]/g, (letters) => letters.toUpperCase());
