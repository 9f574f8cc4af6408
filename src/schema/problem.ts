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
  if (place.file !== undefined) {
    const spot =
      place.line === undefined ? "" : `:${place.line}${place.column === undefined ? "" : `:${place.column}`}`;
    return `${place.file}${spot} ${place.key}`;
  }
  if (place.workload !== undefined) return `container ${place.workload}, label ${place.key}`;
  return place.source === "default" ? `default of ${place.key}` : `${place.source} ${place.key}`;
}
