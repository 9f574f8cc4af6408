import type { Status } from "../model/report.ts";
import type { Place } from "../schema/node.ts";
import type { Problem, Subject } from "../schema/problem.ts";

/** What is wrong with what. Every problem found while putting a configuration together is written down here. */
export class Ledger {
  readonly all: Problem[] = [];
  readonly #bySubject = new Map<string, Problem[]>();

  /** Takes over what providers have found already. */
  take(problems: readonly Problem[]): void {
    for (const problem of problems) this.#add(problem);
  }

  error(subject: Subject, place: Place, code: string, message: string, suggestion?: string): void {
    this.#add({
      code,
      severity: "error",
      place,
      message,
      subject,
      ...(suggestion !== undefined && { suggestion }),
    });
  }

  warn(subject: Subject, place: Place, code: string, message: string, suggestion?: string): void {
    this.#add({
      code,
      severity: "warning",
      place,
      message,
      subject,
      ...(suggestion !== undefined && { suggestion }),
    });
  }

  problemsOf({ kind, name }: Subject): readonly Problem[] {
    return this.#bySubject.get(`${kind} ${name}`)?.toSorted(worstFirst) ?? NONE;
  }

  statusOf(subject: Subject, broken: boolean): Status {
    const problems = this.#bySubject.get(`${subject.kind} ${subject.name}`) ?? NONE;
    if (broken || problems.some((problem) => problem.severity === "error")) return "disabled";
    return problems.length > 0 ? "warning" : "enabled";
  }

  #add(problem: Problem): void {
    this.all.push(problem);
    if (problem.subject === undefined) return;
    const key = `${problem.subject.kind} ${problem.subject.name}`;
    const list = this.#bySubject.get(key);
    if (list === undefined) this.#bySubject.set(key, [problem]);
    else list.push(problem);
  }
}

const NONE: readonly Problem[] = [];
const worstFirst = (a: Problem, b: Problem) =>
  a.severity === b.severity ? 0 : a.severity === "error" ? -1 : 1;

/** The place of one option of something that was written at `place`. */
export function optionOf(place: Place, option: string): Place {
  return { ...place, key: place.key === "" ? option : `${place.key}.${option}` };
}
