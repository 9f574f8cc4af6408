import {
  ANY,
  BadValue,
  equal,
  fieldOf,
  integer,
  isMap,
  isTrue,
  list,
  map,
  type Row,
  show,
  sortedEntries,
  type TemplateList,
  type TemplateMap,
  type TemplateValue,
  text,
} from "./go-template-values.ts";

/** sprig's functions on lists and maps. */
export const COLLECTION_FUNCTIONS: readonly Row[] = [
  ["list", 0, ANY, (args) => [...args]],
  ["tuple", 0, ANY, (args) => [...args]],
  ["first", 1, 1, ([value]) => elements(value)[0]],
  ["last", 1, 1, ([value]) => elements(value).at(-1)],
  ["rest", 1, 1, ([value]) => elements(value).slice(1)],
  ["initial", 1, 1, ([value]) => elements(value).slice(0, -1)],
  ["append", 2, 2, ([value, item]) => [...list(value), item]],
  ["push", 2, 2, ([value, item]) => [...list(value), item]],
  ["prepend", 2, 2, ([value, item]) => [item, ...list(value)]],
  ["concat", 0, ANY, (args) => args.flatMap(list)],
  ["reverse", 1, 1, ([value]) => [...list(value)].reverse()],
  ["uniq", 1, 1, ([value]) => unique(list(value))],
  [
    "without",
    1,
    ANY,
    ([value, ...items]) => list(value).filter((one) => !items.some((item) => equal(item, one))),
  ],
  ["has", 2, 2, ([item, value]) => value !== undefined && list(value).some((one) => equal(one, item))],
  ["compact", 1, 1, ([value]) => list(value).filter(isTrue)],
  ["slice", 1, 3, slice],
  ["sortAlpha", 1, 1, ([value]) => elements(value).map(show).sort(byBytes)],
  ["until", 1, 1, ([end]) => numbers(0, integer(end), integer(end) < 0 ? -1 : 1)],
  ["untilStep", 3, 3, ([start, end, step]) => numbers(integer(start), integer(end), integer(step))],
  ["seq", 1, 3, seq],
  ["chunk", 2, 2, ([size, value]) => chunk(integer(size), list(value))],
  ["dict", 0, ANY, dict],
  ["get", 2, 2, ([value, key]) => map(value).get(text(key)) ?? ""],
  ["set", 3, 3, ([value, key, item]) => (map(value) as Map<string, TemplateValue>).set(text(key), item)],
  ["unset", 2, 2, unset],
  ["hasKey", 2, 2, ([value, key]) => map(value).has(text(key))],
  ["keys", 1, ANY, (args) => args.flatMap((arg) => sortedEntries(map(arg)).map(([key]) => key))],
  ["values", 1, 1, ([value]) => sortedEntries(map(value)).map(([, item]) => item)],
  ["pick", 1, ANY, ([value, ...keys]) => entriesWhere(map(value), (key) => keys.includes(key))],
  ["omit", 1, ANY, ([value, ...keys]) => entriesWhere(map(value), (key) => !keys.includes(key))],
  [
    "pluck",
    1,
    ANY,
    ([key, ...maps]) => maps.filter((one) => map(one).has(text(key))).map((one) => map(one).get(text(key))),
  ],
  ["dig", 3, ANY, dig],
  ["merge", 1, ANY, (args) => mergeAll(args, false)],
  ["mergeOverwrite", 1, ANY, (args) => mergeAll(args, true)],
  ["deepCopy", 1, 1, ([value]) => value],
];

const NUMBERS_MAX = 100_000;

function elements(value: TemplateValue): TemplateList {
  return value === undefined ? [] : list(value);
}

function unique(items: TemplateList): TemplateList {
  const texts = new Set<TemplateValue>();
  const kept: TemplateValue[] = [];
  for (const item of items) {
    const isPlain = typeof item !== "object";
    if (isPlain ? texts.has(item) : kept.some((other) => equal(other, item))) continue;
    texts.add(item);
    kept.push(item);
  }
  return kept;
}

function slice([value, from, to]: readonly TemplateValue[]): TemplateValue {
  const source = typeof value === "string" ? value : list(value);
  const start = from === undefined ? 0 : integer(from);
  const end = to === undefined ? source.length : integer(to);
  if (start < 0 || end > source.length || start > end)
    throw new BadValue(`${start} to ${end} is out of range; there are ${source.length}`);
  return source.slice(start, end);
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function numbers(start: number, end: number, step: number): number[] {
  if (step === 0 || (end > start && step < 0) || (end < start && step > 0)) return [];
  const count = Math.ceil((end - start) / step);
  if (count > NUMBERS_MAX) throw new BadValue(`a list of ${count} numbers is too long`);
  return Array.from({ length: count }, (_, i) => start + i * step);
}

function seq(args: readonly TemplateValue[]): string {
  const [a, b, c] = args.map(integer) as [number, number | undefined, number | undefined];
  const [start, end] = b === undefined ? [1, a] : [a, c ?? b];
  const step = c === undefined ? (end < start ? -1 : 1) : b!;
  return numbers(start, end + Math.sign(step), step).join(" ");
}

function chunk(size: number, items: TemplateList): TemplateList {
  if (size < 1) throw new BadValue("the size of a chunk is at least 1");
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) =>
    items.slice(i * size, (i + 1) * size),
  );
}

function dict(args: readonly TemplateValue[]): TemplateMap {
  const made = new Map<string, TemplateValue>();
  for (let i = 0; i < args.length; i += 2) made.set(show(args[i]), i + 1 < args.length ? args[i + 1] : "");
  return made;
}

function unset([value, key]: readonly TemplateValue[]): TemplateValue {
  (map(value) as Map<string, TemplateValue>).delete(text(key));
  return value;
}

function entriesWhere(value: TemplateMap, keep: (key: string) => boolean): TemplateMap {
  return new Map([...value].filter(([key]) => keep(key)));
}

function dig(args: readonly TemplateValue[]): TemplateValue {
  const keys = args.slice(0, -2).map(text);
  let value = args.at(-1);
  for (const key of keys) {
    if (!isMap(value) || !value.has(key)) return args.at(-2);
    value = fieldOf(value, key);
  }
  return value;
}

function mergeAll(args: readonly TemplateValue[], overwrites: boolean): TemplateValue {
  const [target, ...sources] = args.map(map);
  for (const source of sources) merge(target as Map<string, TemplateValue>, source, overwrites, 0);
  return target;
}

function merge(
  target: Map<string, TemplateValue>,
  source: TemplateMap,
  overwrites: boolean,
  depth: number,
): void {
  if (depth > 50) throw new BadValue("the maps go too deep");
  for (const [key, value] of source) {
    const present = target.get(key);
    if (isMap(present) && isMap(value))
      merge(present as Map<string, TemplateValue>, value, overwrites, depth + 1);
    else if (overwrites || !isTrue(present)) target.set(key, value);
  }
}
