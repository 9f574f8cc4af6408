import type { TemplateContext } from "./go-template.ts";
import { COLLECTION_FUNCTIONS } from "./go-template-collections.ts";
import { formatTime, goQuote, goType, sprint, sprintf } from "./go-template-format.ts";
import { TEXT_FUNCTIONS } from "./go-template-texts.ts";
import {
  ANY,
  BadValue,
  equal,
  fieldOf,
  integer,
  isList,
  isMap,
  isTrue,
  kindOf,
  number,
  type Row,
  type TemplateFunction,
  type TemplateMap,
  type TemplateValue,
  text,
} from "./go-template-values.ts";

/** All functions by name; the given ones replace ours. */
export function templateFunctions(
  more: ReadonlyMap<string, TemplateFunction["call"]> = new Map(),
): ReadonlyMap<string, TemplateFunction> {
  if (more.size === 0) return ALL;
  const all = new Map(ALL);
  for (const [name, call] of more) all.set(name, { least: 0, most: ANY, call });
  return all;
}

const BUILTIN: readonly Row[] = [
  // The executor stops at the first value that decides; these are here for their names and counts.
  ["and", 1, ANY, (args) => args.at(-1)],
  ["or", 1, ANY, (args) => args.at(-1)],
  ["not", 1, 1, ([value]) => !isTrue(value)],
  ["len", 1, 1, ([value]) => lengthOf(value)],
  ["index", 1, ANY, ([value, ...keys]) => keys.reduce(elementOf, value)],
  ["print", 0, ANY, sprint],
  ["println", 0, ANY, (args) => `${args.map((arg) => sprint([arg])).join(" ")}\n`],
  ["printf", 1, ANY, ([format, ...args]) => sprintf(text(format), args)],
  ["html", 0, ANY, (args) => sprint(args).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`)],
  ["urlquery", 0, ANY, (args) => encodeURIComponent(sprint(args).toWellFormed()).replaceAll("%20", "+")],
  ["eq", 2, ANY, ([first, ...others]) => others.some((other) => equal(first, other))],
  ["ne", 2, 2, ([a, b]) => !equal(a, b)],
  ["lt", 2, 2, ([a, b]) => compare(a, b) < 0],
  ["le", 2, 2, ([a, b]) => compare(a, b) <= 0],
  ["gt", 2, 2, ([a, b]) => compare(a, b) > 0],
  ["ge", 2, 2, ([a, b]) => compare(a, b) >= 0],
];

const CHOOSING: readonly Row[] = [
  ["default", 1, 2, ([fallback, value]) => (isTrue(value) ? value : fallback)],
  ["empty", 1, 1, ([value]) => !isTrue(value)],
  ["coalesce", 0, ANY, (args) => args.find(isTrue)],
  ["ternary", 3, 3, ([yes, no, condition]) => (isTrue(condition) ? yes : no)],
  ["all", 0, ANY, (args) => args.every(isTrue)],
  ["any", 0, ANY, (args) => args.some(isTrue)],
  ["deepEqual", 2, 2, ([a, b]) => equal(a, b)],
  ["kindOf", 1, 1, ([value]) => goKind(value)],
  ["kindIs", 2, 2, ([kind, value]) => goKind(value) === kind],
  ["typeOf", 1, 1, ([value]) => goType(value)],
  ["typeIs", 2, 2, ([type, value]) => goType(value) === type],
  [
    "fail",
    1,
    1,
    ([message]) => {
      throw new BadValue(text(message));
    },
  ],
];

const ARITHMETIC: readonly Row[] = [
  ["add", 0, ANY, (args) => args.reduce<number>((sum, arg) => sum + integer(arg), 0)],
  ["add1", 1, 1, ([value]) => integer(value) + 1],
  ["sub", 2, 2, ([a, b]) => integer(a) - integer(b)],
  ["mul", 1, ANY, (args) => args.reduce<number>((product, arg) => product * integer(arg), 1)],
  ["div", 2, 2, ([a, b]) => Math.trunc(integer(a) / divisor(b))],
  ["mod", 2, 2, ([a, b]) => integer(a) % divisor(b)],
  ["max", 1, ANY, (args) => Math.max(...args.map(integer))],
  ["biggest", 1, ANY, (args) => Math.max(...args.map(integer))],
  ["min", 1, ANY, (args) => Math.min(...args.map(integer))],
  ["addf", 0, ANY, (args) => args.reduce<number>((sum, arg) => sum + number(arg), 0)],
  [
    "subf",
    1,
    ANY,
    ([first, ...others]) => others.reduce<number>((rest, arg) => rest - number(arg), number(first)),
  ],
  ["mulf", 1, ANY, (args) => args.reduce<number>((product, arg) => product * number(arg), 1)],
  [
    "divf",
    1,
    ANY,
    ([first, ...others]) => others.reduce<number>((rest, arg) => rest / number(arg), number(first)),
  ],
  ["maxf", 1, ANY, (args) => Math.max(...args.map(number))],
  ["minf", 1, ANY, (args) => Math.min(...args.map(number))],
  ["floor", 1, 1, ([value]) => Math.floor(number(value))],
  ["ceil", 1, 1, ([value]) => Math.ceil(number(value))],
  [
    "round",
    2,
    3,
    ([value, places]) => Number(number(value).toFixed(Math.min(20, Math.max(0, integer(places))))),
  ],
  ["int", 1, 1, ([value]) => integer(value)],
  ["int64", 1, 1, ([value]) => integer(value)],
  ["float64", 1, 1, ([value]) => number(value)],
  ["atoi", 1, 1, ([value]) => (/^[+-]?\d+$/.test(text(value)) ? Number(value) : 0)],
];

const OUTSIDE: readonly Row[] = [
  ["env", 1, 1, ([name], { environment }) => environment.get(text(name)) ?? ""],
  [
    "expandenv",
    1,
    1,
    ([value], { environment }) =>
      text(value).replace(
        /\$(?:\{(\w+)\}|(\w+))/g,
        (_, braced, bare) => environment.get(braced ?? bare) ?? "",
      ),
  ],
  ["now", 0, 0, (_, { nowMs }) => new Date(nowMs())],
  ["date", 2, 2, ([layout, time], { nowMs }) => formatTime(text(layout), timeOf(time, nowMs))],
  ["dateInZone", 3, 3, inZone],
  ["htmlDate", 1, 1, ([time], { nowMs }) => formatTime("2006-01-02", timeOf(time, nowMs))],
  ["unixEpoch", 1, 1, ([time], { nowMs }) => String(Math.floor(timeOf(time, nowMs).getTime() / 1000))],
];

const ROWS: readonly Row[] = [
  ...BUILTIN,
  ...CHOOSING,
  ...ARITHMETIC,
  ...OUTSIDE,
  ...TEXT_FUNCTIONS,
  ...COLLECTION_FUNCTIONS,
];

// sprig has these twice, because its plain ones swallow errors. Here both report them.
const ALSO_MUST =
  /^(?:regex\w+|to\w*Json|fromJson|append|push|prepend|chunk|compact|deepCopy|first|has|initial|last|rest|reverse|slice|uniq|without|merge|mergeOverwrite)$/;

const ALL: ReadonlyMap<string, TemplateFunction> = new Map(
  ROWS.flatMap(([name, least, most, call]) => {
    const made = { least, most, call };
    const must = `must${name[0]!.toUpperCase()}${name.slice(1)}`;
    return ALSO_MUST.test(name) ? [[name, made] as const, [must, made] as const] : [[name, made] as const];
  }),
);

function divisor(value: TemplateValue): number {
  const whole = integer(value);
  if (whole === 0) throw new BadValue("cannot divide by 0");
  return whole;
}

function lengthOf(value: TemplateValue): number {
  if (typeof value === "string") return Buffer.byteLength(value);
  if (isList(value)) return value.length;
  if (isMap(value)) return value.size;
  throw new BadValue(`expected a text, a list or a map, found ${kindOf(value)}`);
}

function elementOf(value: TemplateValue, key: TemplateValue): TemplateValue {
  if (isMap(value)) return fieldOfMap(value, key);
  if (typeof value === "string" || isList(value)) {
    if (typeof key !== "number") throw new BadValue(`expected a number as index, found ${kindOf(key)}`);
    const size = lengthOf(value);
    if (key < 0 || key >= size) throw new BadValue(`index ${key} is out of range; there are ${size}`);
    return typeof value === "string" ? Buffer.from(value)[key] : value[key];
  }
  throw new BadValue(`expected a list or a map, found ${kindOf(value)}`);
}

function fieldOfMap(value: TemplateMap, key: TemplateValue): TemplateValue {
  if (typeof key !== "string") throw new BadValue(`expected a text as key, found ${kindOf(key)}`);
  return fieldOf(value, key);
}

function compare(a: TemplateValue, b: TemplateValue): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a === "string" && typeof b === "string") return Buffer.compare(Buffer.from(a), Buffer.from(b));
  throw new BadValue(`expected two numbers or two texts, found ${kindOf(a)} and ${kindOf(b)}`);
}

function goKind(value: TemplateValue): string {
  if (value === undefined) return "invalid";
  if (isList(value)) return "slice";
  if (isMap(value)) return "map";
  return value instanceof Date ? "struct" : goType(value);
}

function timeOf(value: TemplateValue, nowMs: () => number): Date {
  if (value instanceof Date) return value;
  // sprig takes Unix seconds, and the present for everything else.
  return typeof value === "number" ? new Date(value * 1000) : new Date(nowMs());
}

function inZone([layout, time, zone]: readonly TemplateValue[], { nowMs }: TemplateContext): string {
  if (zone !== "UTC" && zone !== "")
    throw new BadValue(`only UTC is known here, found ${goQuote(text(zone))}`);
  return formatTime(text(layout), timeOf(time, nowMs));
}
