import { appendFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Rows of numbers by proxy, as they are measured and as they are written down. */
export interface Table {
  readonly title: string;
  /** `µs`, `ms`, `KB`, or nothing for counts. */
  readonly unit: string;
  /** Show each number's ratio to nginx's. */
  readonly ratio: boolean;
  readonly rows: Map<string, Map<string, number>>;
}

export function makeTable(title: string, unit: string, ratio = false): Table {
  return { title, unit, ratio, rows: new Map() };
}

export function put({ rows }: Table, row: string, proxy: string, number: number): void {
  let cells = rows.get(row);
  if (cells === undefined) {
    cells = new Map();
    rows.set(row, cells);
  }
  cells.set(proxy, number);
}

export function asMarkdown(table: Table): string {
  const names = [...new Set([...table.rows.values()].flatMap((row) => [...row.keys()]))];
  const lines = [`| | ${names.join(" | ")} |`, `|${" --- |".repeat(names.length + 1)}`];
  for (const [title, row] of table.rows) {
    lines.push(`| ${title} | ${names.map((name) => cell(table, row, name)).join(" | ")} |`);
  }
  return `## ${table.title}\n\n${lines.join("\n")}\n`;
}

function cell({ unit, ratio }: Table, row: ReadonlyMap<string, number>, name: string): string {
  const number = row.get(name);
  if (number === undefined) return "-";
  const nginx = row.get("nginx");
  const text = number >= 1000 ? String(Math.round(number)) : number.toFixed(number < 10 ? 2 : 1);
  const beside = ratio && nginx !== undefined && name !== "nginx" ? ` (${(number / nginx).toFixed(2)})` : "";
  return `${text}${unit === "" ? "" : ` ${unit}`}${beside}`;
}

/** Each row's number of one column in parts of another's. */
export function asRatios({ rows }: Table, name: string, base: string): [string, Map<string, number>][] {
  return [...rows].map(([row, cells]) => [row, new Map([[name, cells.get(name)! / cells.get(base)!]])]);
}

/** One line a run, so that runs can be compared by a program. */
export function remember(
  root: string,
  run: Readonly<Record<string, unknown>>,
  tables: readonly Table[],
): void {
  const results = tables.map(({ title, unit, rows }) => ({
    title,
    unit,
    rows: Object.fromEntries([...rows].map(([row, cells]) => [row, Object.fromEntries(cells)])),
  }));
  appendFileSync(join(root, "bench/history.jsonl"), `${JSON.stringify({ ...run, results })}\n`);
}

export function writeResults(root: string, intro: string, tables: readonly Table[], remarks: string): void {
  const text = [`# Benchmark results\n\n${intro}\n`, ...tables.map(asMarkdown), remarks].join("\n");
  writeFileSync(join(root, "bench/RESULTS.md"), `${text.trimEnd()}\n`);
}
