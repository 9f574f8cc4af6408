import type { Place } from "./node.ts";
import type { Problem } from "./problem.ts";

/** What reading needs from outside: somewhere to put problems, and a way to fetch a secret that is kept elsewhere. */
export interface Reader {
  report(problem: Problem): void;
  /** Resolves `file:/run/secrets/x` or `env:NAME`. Throws `Unreadable` with a reason a person can act on. */
  secret(reference: string): string;
}

/** Thrown by a kind's `read` when the text is not of that kind; the message says what was expected. */
export class Unreadable extends Error {}

export function complain(
  reader: Pick<Reader, "report">,
  place: Place,
  code: string,
  message: string,
  suggestion?: string,
  severity: Problem["severity"] = "error",
): void {
  reader.report({ code, severity, place, message, ...(suggestion !== undefined && { suggestion }) });
}
