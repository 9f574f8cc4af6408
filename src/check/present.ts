import { describePlace, type Problem, printable } from "../schema/problem.ts";

/** Problems in the order of files and lines, once each. */
export function inOrder(problems: readonly Problem[]): Problem[] {
  const unique = new Map(
    problems.map((problem) => [`${describePlace(problem.place)} ${problem.message}`, problem]),
  );
  return [...unique.values()].sort(
    (a, b) =>
      compare(a.place.file ?? "", b.place.file ?? "") ||
      (a.place.line ?? 0) - (b.place.line ?? 0) ||
      (a.place.column ?? 0) - (b.place.column ?? 0),
  );
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

/** `compose.yml:14:9 error traefik.http.routers.app.rule: ... (did you mean Host?)` */
export function human(problems: readonly Problem[]): string {
  return problems.map((problem) => `${spotOf(problem)} ${problem.severity} ${sentence(problem)}\n`).join("");
}

function spotOf({ place }: Problem): string {
  if (place.file === undefined) return describePlace(place);
  const { line, column } = place;
  return `${printable(place.file)}${line === undefined ? "" : `:${line}:${column ?? 1}`}`;
}

function sentence({ place, message, suggestion }: Problem): string {
  const key = place.file === undefined || place.key === "" ? "" : `${printable(place.key)}: `;
  const hint = suggestion === undefined ? "" : ` (did you mean ${printable(suggestion)}?)`;
  return `${key}${message}${hint}`;
}

export function json(problems: readonly Problem[]): string {
  const rows = problems.map(({ place, code, severity, message, suggestion, subject }) => ({
    file: place.file,
    line: place.line,
    column: place.column,
    key: place.key,
    workload: place.workload,
    severity,
    code,
    message,
    suggestion,
    subject,
  }));
  return `${JSON.stringify(rows, undefined, 2)}\n`;
}

/** Workflow commands that GitHub shows beside the lines of a pull request. */
export function github(problems: readonly Problem[]): string {
  return problems
    .map((problem) => {
      const { place, severity, code } = problem;
      const where = [
        place.file && `file=${property(place.file)}`,
        place.line && `line=${place.line}`,
        place.column && `col=${place.column}`,
        `title=${property(code)}`,
      ];
      return `::${severity} ${where.filter(Boolean).join(",")}::${data(sentence(problem))}\n`;
    })
    .join("");
}

const data = (text: string) => text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
const property = (text: string) => data(text).replaceAll(":", "%3A").replaceAll(",", "%2C");
