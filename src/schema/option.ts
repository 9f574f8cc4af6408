import type { Node } from "./node.ts";
import type { Reader } from "./reader.ts";

export type Form = "scalar" | "list" | "map" | "group";

/** How values of one kind are written, read, shown and described. Kinds know nothing of what an option is for. */
export interface Kind<T> {
  /** A noun phrase for people: `duration`, `list of CIDR`. */
  readonly name: string;
  readonly form: Form;
  /** JSON Schema of one value, for editors. */
  readonly json: () => Record<string, unknown>;
  /** Reads the node. Returns undefined after reporting a problem. */
  read(node: Node, reader: Reader, about: About): T | undefined;
  /** The value as a person would write it in JSON: durations as `1m30s`, secrets never masked here. */
  show(value: T): unknown;
  /** The value of an option that was not written and has no default. */
  readonly empty?: () => T;
  readonly choices?: readonly string[];
  /** Element kind of lists and maps. */
  readonly of?: Kind<unknown>;
  /** Members of a group. */
  readonly options?: Options;
  /** The group may be switched on by its bare name: `tls=true`, `tls: {}`, `--api`. */
  readonly enabler?: boolean;
}

/** What is said to people about one option. Everything else is said by its kind. */
export interface About {
  /** One sentence. */
  readonly doc: string;
  /** As a person would write it. */
  readonly default?: string;
  /** The group is there even when nobody writes it, with its members' defaults. */
  readonly always?: true;
  readonly required?: true;
  /** Shown masked everywhere; may be given as `file:/run/secrets/x` or `env:NAME`. */
  readonly secret?: true;
  readonly example?: string;
  /** Ours, not Traefik's. */
  readonly added?: true;
  /** Read, but without effect; says why, as a warning. Writing its default is no reason to warn. */
  readonly obsolete?: string;
  /** What cannot be read is a warning, and the default is used: nothing that routes depends on it. */
  readonly forgiving?: true;
  /** Known, but refused when used; says why and what to do instead. Writing its default is not using it. */
  readonly refused?: string;
}

export interface Option<T> {
  readonly about: About;
  readonly kind: Kind<unknown>;
  /** For the compiler only: the type of the value. Never set. */
  readonly type?: T;
}

export type Options = { readonly [name: string]: Option<unknown> };
export type Values<O extends Options> = {
  readonly [K in keyof O]: O[K] extends Option<infer T> ? T : never;
};

type Given<T, A extends About> = A extends { default: string } | { required: true } | { always: true }
  ? T
  : T extends readonly unknown[] | ReadonlyMap<string, unknown>
    ? T
    : T | undefined;

/** A kind that makes an option when it is called with what to say about it: `duration({ doc, default: "10s" })`. */
export interface KindMaker<T> {
  <const A extends About>(about: A): Option<Given<T, A>>;
  readonly kind: Kind<T>;
}

export function maker<T>(kind: Kind<T>): KindMaker<T> {
  const make = (about: About) => ({ about, kind: kind as Kind<unknown> });
  return Object.assign(make, { kind }) as KindMaker<T>;
}
