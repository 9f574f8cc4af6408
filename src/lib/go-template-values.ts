import type { TemplateContext } from "./go-template.ts";

/** What templates work on. Undefined is Go's nil; maps are never plain objects, so that no key is special. */
export type TemplateValue = string | number | boolean | undefined | Date | TemplateList | TemplateMap;
export type TemplateList = readonly TemplateValue[];
export type TemplateMap = ReadonlyMap<string, TemplateValue>;

/** A sentence about what a function was given; the executor adds the place. */
export class BadValue extends Error {}

export function isList(value: TemplateValue): value is TemplateList {
  return Array.isArray(value);
}

export function isMap(value: TemplateValue): value is TemplateMap {
  return value instanceof Map;
}

/** Go's idea of it: false, 0, empty text, empty list, empty map and nil are all no. */
export function isTrue(value: TemplateValue): boolean {
  if (isList(value)) return value.length > 0;
  if (isMap(value)) return value.size > 0;
  return value !== undefined && value !== false && value !== 0 && value !== "";
}

export function kindOf(value: TemplateValue): string {
  if (value === undefined) return "nothing";
  if (isList(value)) return "a list";
  if (isMap(value)) return "a map";
  if (value instanceof Date) return "a time";
  if (typeof value === "string") return "a text";
  return typeof value === "boolean" ? "true or false" : "a number";
}

/** As Go prints it, but nil is printed as nothing, which no configuration file minds. */
export function show(value: TemplateValue): string {
  refuseEndless(value);
  return showInside(value);
}

function showInside(value: TemplateValue): string {
  if (value === undefined) return "";
  if (isList(value)) return `[${value.map(showInside).join(" ")}]`;
  if (isMap(value))
    return `map[${sortedEntries(value)
      .map(([k, v]) => `${k}:${showInside(v)}`)
      .join(" ")}]`;
  if (value instanceof Date)
    return value
      .toISOString()
      .replace("T", " ")
      .replace(/\.\d+Z$/, " +0000 UTC");
  return String(value);
}

const VALUES_MAX = 100_000;
const DEPTH_MAX = 100;

/** A map that holds itself, or a list that doubles at every level, cannot be walked to its end. */
function refuseEndless(value: TemplateValue): void {
  let left = VALUES_MAX;
  const visit = (inside: TemplateValue, depth: number) => {
    if (depth > DEPTH_MAX || --left < 0)
      throw new BadValue("the value is too deep or too large to be walked through");
    if (isList(inside)) for (const item of inside) visit(item, depth + 1);
    else if (isMap(inside)) for (const item of inside.values()) visit(item, depth + 1);
  };
  if (isList(value) || isMap(value)) visit(value, 0);
}

/** Go walks maps in the order of their keys. */
export function sortedEntries(map: TemplateMap): [string, TemplateValue][] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

/** A map of texts answers a missing key with an empty text, as Go's `map[string]string` does. */
export function fieldOf(map: TemplateMap, key: string): TemplateValue {
  const value = map.get(key);
  if (value !== undefined || map.has(key)) return value;
  for (const other of map.values()) if (typeof other !== "string") return undefined;
  return "";
}

export function equal(a: TemplateValue, b: TemplateValue): boolean {
  refuseEndless(a);
  return equalInside(a, b);
}

function equalInside(a: TemplateValue, b: TemplateValue): boolean {
  if (isList(a) && isList(b)) return a.length === b.length && a.every((item, i) => equalInside(item, b[i]));
  if (isMap(a) && isMap(b)) {
    return a.size === b.size && [...a].every(([key, item]) => b.has(key) && equalInside(item, b.get(key)));
  }
  if (a instanceof Date && b instanceof Date) return a.getTime() === b.getTime();
  return a === b;
}

export function toJson(value: TemplateValue): unknown {
  refuseEndless(value);
  return jsonInside(value);
}

function jsonInside(value: TemplateValue): unknown {
  if (isList(value)) return value.map(jsonInside);
  if (isMap(value))
    return Object.fromEntries(sortedEntries(value).map(([key, item]) => [key, jsonInside(item)]));
  return value instanceof Date ? value.toISOString() : (value ?? null);
}

export function fromJson(value: unknown): TemplateValue {
  if (Array.isArray(value)) return value.map(fromJson);
  if (typeof value === "object" && value !== null)
    return new Map(Object.entries(value).map(([key, item]) => [key, fromJson(item)]));
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return value;
  return undefined;
}

export interface TemplateFunction {
  readonly least: number;
  readonly most: number;
  /** Throws `BadValue` with a sentence when it cannot work with what it got. */
  readonly call: (args: readonly TemplateValue[], context: TemplateContext) => TemplateValue;
}

/** A row of a table of functions: least and most number of values, and what it does. */
export type Row = readonly [name: string, least: number, most: number, body: TemplateFunction["call"]];

export const ANY = Number.POSITIVE_INFINITY;

export function text(value: TemplateValue): string {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (value === undefined) return "";
  throw new BadValue(`expected a text, found ${kindOf(value)}`);
}

/** sprig's `toInt64`: what is no number is 0. */
export function integer(value: TemplateValue): number {
  const whole = Math.trunc(number(value));
  return Number.isFinite(whole) ? whole + 0 : 0;
}

export function number(value: TemplateValue): number {
  if (typeof value === "number") return value;
  if (typeof value === "boolean") return value ? 1 : 0;
  if (typeof value === "string" && /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(value.trim()))
    return Number(value);
  if (typeof value === "string" || value === undefined) return 0;
  throw new BadValue(`expected a number, found ${kindOf(value)}`);
}

export function list(value: TemplateValue): TemplateList {
  if (isList(value)) return value;
  throw new BadValue(`expected a list, found ${kindOf(value)}`);
}

export function map(value: TemplateValue): TemplateMap {
  if (isMap(value)) return value;
  throw new BadValue(`expected a map, found ${kindOf(value)}`);
}
