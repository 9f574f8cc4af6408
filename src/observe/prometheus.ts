import type { Series } from "./meter-reader.ts";

/** The text format that Prometheus reads (exposition format 0.0.4): families sorted by name, each with its help. */
export function renderPrometheus(series: readonly Series[]): string {
  const byName = Map.groupBy(series, (one) => one.family.name);
  const lines: string[] = [];
  for (const name of [...byName.keys()].sort()) {
    const members = byName.get(name)!;
    const { help, type } = members[0]!.family;
    lines.push(
      `# HELP ${name} ${help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}`,
      `# TYPE ${name} ${type}`,
    );
    for (const one of members) {
      if (type === "histogram") pushHistogram(lines, one);
      else lines.push(`${name}${labelText(one.labels)} ${number(one.values[0]!)}`);
    }
  }
  return `${lines.join("\n")}\n`;
}

function pushHistogram(lines: string[], { family, labels, values }: Series): void {
  let total = 0;
  family.bounds!.forEach((bound, i) => {
    total += values[1 + i]!;
    lines.push(`${family.name}_bucket${labelText([...labels, "le", number(bound)])} ${total}`);
  });
  total += values.at(-1)!;
  lines.push(`${family.name}_bucket${labelText([...labels, "le", "+Inf"])} ${total}`);
  lines.push(`${family.name}_sum${labelText(labels)} ${number(values[0]!)}`);
  lines.push(`${family.name}_count${labelText(labels)} ${total}`);
}

function labelText(labels: readonly string[]): string {
  if (labels.length === 0) return "";
  const parts: string[] = [];
  for (let i = 0; i < labels.length; i += 2) parts.push(`${labels[i]}="${escapeValue(labels[i + 1]!)}"`);
  return `{${parts.join(",")}}`;
}

const escapeValue = (value: string) =>
  value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");

function number(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return "+Inf";
  if (value === Number.NEGATIVE_INFINITY) return "-Inf";
  return String(value);
}
