import { isList, isMap, show, type TemplateValue } from "./go-template-values.ts";

const VERB = /%(?:%|([-+ #0]*)(\*|\d+)?(?:\.(\d+))?([a-zA-Z]))/g;
const WIDTH_MAX = 1000;

/** Go's `Sprintf`, with its way of saying what did not fit: `%!d(string=x)`, `%!s(MISSING)`, `%!(EXTRA ...)`. */
export function sprintf(format: string, args: readonly TemplateValue[]): string {
  let next = 0;
  const text = format.replace(
    VERB,
    (
      whole,
      flags: string | undefined,
      width: string | undefined,
      precision: string | undefined,
      verb: string | undefined,
    ) => {
      if (whole === "%%") return "%";
      const wide = Math.min(WIDTH_MAX, width === "*" ? Number(args[next++] ?? 0) : Number(width ?? 0));
      if (next >= args.length) return `%!${verb}(MISSING)`;
      const places = precision === undefined ? undefined : Math.min(100, Number(precision));
      return pad(oneVerb(verb!, flags!, places, args[next++]), wide, flags!);
    },
  );
  if (next >= args.length) return text;
  return `${text}%!(EXTRA ${args
    .slice(next)
    .map((value) => `${goType(value)}=${show(value)}`)
    .join(", ")})`;
}

function oneVerb(verb: string, flags: string, precision: number | undefined, value: TemplateValue): string {
  const plus = flags.includes("+") && typeof value === "number" && value >= 0 ? "+" : "";
  switch (verb) {
    case "v":
      return plus + (value === undefined ? "<nil>" : show(value));
    case "s":
      if (typeof value === "number" || typeof value === "boolean") break;
      return precision === undefined ? show(value) : [...show(value)].slice(0, precision).join("");
    case "q":
      if (typeof value === "string") return goQuote(value);
      if (isList(value)) return `[${value.map((item) => goQuote(show(item))).join(" ")}]`;
      break;
    case "t":
      if (typeof value === "boolean") return String(value);
      break;
    case "T":
      return goType(value);
    case "x":
    case "X":
      if (typeof value === "string") return inCase(verb, Buffer.from(value).toString("hex"));
      break;
    default:
  }
  if (typeof value === "number") {
    const text = numberVerb(verb, precision, value);
    if (text !== undefined) return plus + text;
  }
  return `%!${verb}(${goType(value)}=${show(value)})`;
}

function numberVerb(verb: string, precision: number | undefined, value: number): string | undefined {
  const isWhole = Number.isInteger(value);
  if (isWhole && verb === "d") return String(value);
  if (isWhole && verb === "b") return value.toString(2);
  if (isWhole && verb === "o") return value.toString(8);
  if (isWhole && verb === "c") return String.fromCodePoint(Math.min(0x10ffff, Math.max(0, value)));
  if (isWhole && (verb === "x" || verb === "X")) return inCase(verb, value.toString(16));
  if (verb === "f" || verb === "F") return value.toFixed(precision ?? 6);
  if (verb === "g")
    return precision === undefined
      ? String(value)
      : String(Number(value.toPrecision(Math.max(1, precision))));
  if (verb === "e") return value.toExponential(precision ?? 6).replace(/e([+-])(\d)$/, "e$10$2");
  return undefined;
}

function pad(text: string, width: number, flags: string): string {
  const missing = width - [...text].length;
  if (missing <= 0) return text;
  if (flags.includes("-")) return text + " ".repeat(missing);
  if (!flags.includes("0")) return " ".repeat(missing) + text;
  const sign = /^[+-]/.exec(text)?.[0] ?? "";
  return sign + "0".repeat(missing) + text.slice(sign.length);
}

function inCase(verb: string, text: string): string {
  return verb === "X" ? text.toUpperCase() : text;
}

export function goType(value: TemplateValue): string {
  if (value === undefined) return "<nil>";
  if (isList(value)) return "[]interface {}";
  if (isMap(value)) return "map[string]interface {}";
  if (value instanceof Date) return "time.Time";
  if (typeof value === "number") return Number.isInteger(value) ? "int" : "float64";
  return typeof value === "boolean" ? "bool" : "string";
}

/** `strconv.Quote`. */
export function goQuote(text: string): string {
  return JSON.stringify(text)
    .replace(/\\u00([01][0-9a-f])/g, "\\x$1")
    .replaceAll("\u007f", "\\x7f");
}

const MONTHS = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
];
const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const LAYOUT =
  /January|Jan|Monday|Mon|MST|2006|01|02|03|04|05|06|002|15|Z07:00|Z0700|-07:00|-0700|-07|PM|pm|_2|\.0+|\.9+|1|2|3|4|5/g;

/** A time by Go's layout, whose parts are those of `Mon Jan 2 15:04:05 MST 2006`. In UTC. */
export function formatTime(layout: string, time: Date): string {
  const two = (value: number) => String(value).padStart(2, "0");
  const hour = time.getUTCHours();
  const twelve = hour % 12 === 0 ? 12 : hour % 12;
  const startOfYear = Date.UTC(time.getUTCFullYear(), 0, 1);
  const parts: Record<string, string> = {
    January: MONTHS[time.getUTCMonth()]!,
    Jan: MONTHS[time.getUTCMonth()]!.slice(0, 3),
    Monday: DAYS[time.getUTCDay()]!,
    Mon: DAYS[time.getUTCDay()]!.slice(0, 3),
    MST: "UTC",
    2006: String(time.getUTCFullYear()).padStart(4, "0"),
    "06": two(time.getUTCFullYear() % 100),
    "01": two(time.getUTCMonth() + 1),
    1: String(time.getUTCMonth() + 1),
    "02": two(time.getUTCDate()),
    _2: String(time.getUTCDate()).padStart(2),
    2: String(time.getUTCDate()),
    "002": String(Math.floor((time.getTime() - startOfYear) / 86_400_000) + 1).padStart(3, "0"),
    15: two(hour),
    "03": two(twelve),
    3: String(twelve),
    "04": two(time.getUTCMinutes()),
    4: String(time.getUTCMinutes()),
    "05": two(time.getUTCSeconds()),
    5: String(time.getUTCSeconds()),
    PM: hour < 12 ? "AM" : "PM",
    pm: hour < 12 ? "am" : "pm",
    "Z07:00": "Z",
    Z0700: "Z",
    "-07:00": "+00:00",
    "-0700": "+0000",
    "-07": "+00",
  };
  return layout.replace(LAYOUT, (part) => {
    if (part[0] !== ".") return parts[part]!;
    const digits = String(time.getUTCMilliseconds())
      .padStart(3, "0")
      .padEnd(part.length - 1, "0");
    const kept = digits.slice(0, part.length - 1);
    if (part[1] === "0") return `.${kept}`;
    const trimmed = kept.replace(/0+$/, "");
    return trimmed === "" ? "" : `.${trimmed}`;
  });
}

/** Go's `Sprint`: a space between two values of which neither is a text. */
export function sprint(args: readonly TemplateValue[]): string {
  return args
    .map((value, i) => {
      const spaced = i > 0 && typeof value !== "string" && typeof args[i - 1] !== "string";
      return (spaced ? " " : "") + show(value);
    })
    .join("");
}
