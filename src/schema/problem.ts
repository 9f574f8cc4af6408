import type { Place } from "./node.ts";

/** A thing that a person must mend, told where they must mend it. */
export interface Problem {
  /** Stable and greppable: `unknown-option`, `bad-value`, `missing-option`, `conflict`, `no-shared-network`. */
  readonly code: string;
  /** An error puts its subject out of force; a warning leaves it in force. */
  readonly severity: "error" | "warning";
  readonly place: Place;
  /** What was expected and what was found, secrets masked, without the place. */
  readonly message: string;
  /** The nearest thing that would have been right, ready to be copied. */
  readonly suggestion?: string;
  /** The object the problem belongs to, once it is known: `router app@docker`. */
  readonly subject?: Subject;
  /** What has problems of its own, because of which its user has this one. */
  readonly cause?: Subject;
}

export interface Subject {
  readonly kind:
    | "router"
    | "service"
    | "middleware"
    | "transport"
    | "tls-options"
    | "tls-store"
    | "certificate"
    | "workload"
    | "provider"
    | "settings"
    | "entry-point"
    | "resolver";
  /** `name@provider` where the kind has providers. */
  readonly name: string;
}

/** One line for a terminal or a log: place, message, suggestion. */
export function describeProblem(problem: Problem): string {
  const hint = problem.suggestion === undefined ? "" : ` (did you mean ${problem.suggestion}?)`;
  return `${describePlace(problem.place)}: ${problem.message}${hint}`;
}

export function describePlace(place: Place): string {
  const key = printable(place.key);
  if (place.file !== undefined) {
    const column = place.column === undefined ? "" : `:${place.column}`;
    const spot = place.line === undefined ? "" : `:${place.line}${column}`;
    return `${printable(place.file)}${spot} ${key}`.trimEnd();
  }
  if (place.workload !== undefined) {
    return `container ${printable(place.workload)}${key === "" ? "" : `, label ${key}`}`;
  }
  return place.source === "default" ? `default of ${key}` : `${place.source} ${key}`;
}

/** Foreign text in quotes, one line, of bounded length. */
export function quote(text: string): string {
  return `"${printable(JSON.stringify(cut(text, 120)).slice(1, -1))}"`;
}

/**
 * Foreign text that can neither break a line, nor steer a terminal, nor turn the reading direction, nor fill a
 * screen: a hostile label may be a megabyte long.
 */
export function printable(text: string, most = 400): string {
  return cut(text, most).replace(
    /[\0-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff]|\p{Surrogate}/gu,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

const cut = (text: string, most: number) => (text.length > most ? `${text.slice(0, most - 3)}...` : text);

/** Names that came from outside, one after the other; of many only the first. */
export function listNames(of: Iterable<{ readonly name: string }>): string {
  const all = [...of].map(({ name }) => (/^[\w.-]{1,60}$/.test(name) ? name : quote(name)));
  return all.length > 12 ? `${all.slice(0, 12).join(", ")} and ${all.length - 12} more` : all.join(", ");
}
