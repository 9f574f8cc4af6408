import type { Declared } from "../model/declared.ts";
import type { Status } from "../model/report.ts";
import type { Node, Place } from "../schema/node.ts";
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

  /** What the subject uses is not in force, so it is not either. */
  broken(subject: Subject, place: Place, cause: Subject, message: string): void {
    this.#add({ code: `broken-${cause.kind}`, severity: "error", place, message, subject, cause });
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

  /** The worst problem of the subject, or what it comes from: what somebody must mend. */
  rootOf(subject: Subject): Problem | undefined {
    let [worst] = this.problemsOf(subject);
    for (let depth = 0; worst?.cause !== undefined && depth < DEPTH_MAX; depth++) {
      const [below] = this.problemsOf(worst.cause);
      if (below?.severity !== "error") break;
      worst = below;
    }
    return worst;
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

// Services and middlewares may be told to use each other in a circle.
const DEPTH_MAX = 20;
const NONE: readonly Problem[] = [];
const worstFirst = (a: Problem, b: Problem) =>
  a.severity === b.severity ? 0 : a.severity === "error" ? -1 : 1;

/**
 * The place of one option of something declared, such as `tls.options` or `weighted.services[1].name`: where it stands,
 * or where what would hold it does.
 */
export function optionOf({ place, node }: Pick<Declared<unknown>, "place" | "node">, option: string): Place {
  const key = place.key === "" ? option : `${place.key}.${option}`;
  let at: Node | undefined = node;
  let nearest = place;
  for (const name of option.split(/[.[\]]+/)) {
    if (name === "") continue;
    at = at?.items?.[Number(name)] ?? at?.get(name);
    if (at === undefined) return { ...nearest, key };
    nearest = at.place;
  }
  return nearest;
}

/** A problem that names an option below what was declared, at the option itself. */
export function pointed(problem: Problem, declared: Pick<Declared<unknown>, "place" | "node">): Problem {
  const option = problem.place.key.slice(declared.place.key.length + 1);
  return { ...problem, place: optionOf(declared, option) };
}
