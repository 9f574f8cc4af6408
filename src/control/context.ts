import { nearest } from "../lib/nearest.ts";
import type { Declaration, Declared } from "../model/declared.ts";
import type { Middleware } from "../model/middleware.ts";
import type { Settings } from "../model/settings.ts";
import type { CertificateSpec, MiddlewareSpec } from "../model/snapshot.ts";
import type { RuleCheck, RuleSyntax } from "../routing/rule.ts";
import type { Place } from "../schema/node.ts";
import type { Problem, Subject } from "../schema/problem.ts";
import type { Ledger } from "./ledger.ts";
import { qualify } from "./names.ts";

/** Everything that a configuration is put together from, the proxy's own declaration included. */
export interface Sources {
  readonly settings: Settings;
  readonly declarations: readonly Declaration[];
  readonly registry: ReadonlyMap<string, Middleware>;
  /** Certificates that were read already, and the one to show when none fits. */
  readonly certificates: readonly CertificateSpec[];
  readonly defaultCertificate: string;
  /** Those that were found elsewhere: in certificates, in threads. */
  readonly problems: readonly Problem[];
  readonly challenges: ReadonlyMap<string, string>;
  /** What session tickets are sealed with. */
  readonly ticketSecret: string | undefined;
  readonly checkRule: (rule: string, syntax: RuleSyntax) => RuleCheck;
  /** Reads a file, for options that hold a path or PEM. Throws with a reason. */
  readonly readFile: (path: string) => string;
  /** The slot of a server's state: always the same for the same service and server id. */
  readonly slotOf: (service: string, serverId: string) => number;
  /** Memory that a middleware's instances share: the same as long as its options are. */
  readonly sharedFor: (name: string, bytes: number, options: MiddlewareSpec["options"]) => SharedArrayBuffer;
  readonly version: number;
  readonly nowMs: number;
}

export interface Context extends Sources {
  readonly ledger: Ledger;
  readonly users: Users;
}

/** Who refers to what. */
export class Users {
  readonly #of = new Map<string, Subject[]>();

  add(used: Subject, user: Subject): void {
    const key = `${used.kind} ${used.name}`;
    const list = this.#of.get(key);
    if (list === undefined) this.#of.set(key, [user]);
    else if (!list.some((known) => known.kind === user.kind && known.name === user.name)) list.push(user);
  }

  of({ kind, name }: Subject): readonly Subject[] {
    return this.#of.get(`${kind} ${name}`) ?? NOBODY;
  }
}

const NOBODY: readonly Subject[] = [];

/** One declared object with its qualified name. */
export interface Found<T> {
  readonly name: string;
  readonly provider: string;
  readonly declared: Declared<T>;
}

/** Every declared object of one kind, of all providers, by qualified name. */
export function collect<T>(
  declarations: readonly Declaration[],
  pick: (declaration: Declaration) => ReadonlyMap<string, Declared<T>>,
): ReadonlyMap<string, Found<T>> {
  const found = new Map<string, Found<T>>();
  for (const declaration of declarations) {
    const { provider } = declaration;
    for (const [unqualified, declared] of pick(declaration)) {
      const name = qualify(unqualified, provider);
      found.set(name, { name, provider, declared });
    }
  }
  return found;
}

/** Says that a name leads nowhere, with the nearest one that leads somewhere. */
export function complainUnknown(
  { ledger }: Context,
  subject: Subject,
  place: Place,
  what: string,
  name: string,
  known: Iterable<string>,
): void {
  const suggestion = nearest(name, known);
  ledger.error(
    subject,
    place,
    `unknown-${what.replace(/ /g, "-")}`,
    `there is no ${what} ${name}`,
    suggestion,
  );
}
