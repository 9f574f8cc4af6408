import { type TlsOptionsOptions, tlsOptionsOptions } from "../model/dynamic.ts";
import { Node } from "../schema/node.ts";
import type { Subject } from "../schema/problem.ts";
import { readOptions } from "../schema/read-options.ts";
import { checkTlsOptions } from "../tls/options.ts";
import { type Context, collect, type Found } from "./context.ts";
import { optionOf, pointed } from "./ledger.ts";
import { readAuthorities } from "./transports.ts";

export const DEFAULT_OPTIONS = "default";

/** All TLS options by name. `default` has no provider: whoever comes first in precedence declares it. */
export class TlsOptionsBook {
  readonly found: ReadonlyMap<string, Found<TlsOptionsOptions>>;
  readonly specs = new Map<string, TlsOptionsOptions>();

  constructor(context: Context) {
    const collected = collect(context.declarations, (declaration) => declaration.tlsOptions);
    this.found = withOneDefault(context, collected);
    this.specs.set(DEFAULT_OPTIONS, readOptions(tlsOptionsOptions, EMPTY, { report() {}, secret: () => "" }));
    for (const { name, declared } of this.found.values()) {
      const options = declared.broken
        ? undefined
        : readTlsOptions(context, { kind: "tls-options", name }, declared);
      if (options !== undefined) this.specs.set(name, options);
      // Handshakes for names that ask for nothing would otherwise be laxer than what someone meant.
      else if (name === DEFAULT_OPTIONS) this.specs.delete(DEFAULT_OPTIONS);
    }
  }
}

const EMPTY = new Node("", { source: "default", key: "tls.options.default" });

function withOneDefault(context: Context, collected: ReadonlyMap<string, Found<TlsOptionsOptions>>) {
  const found = new Map<string, Found<TlsOptionsOptions>>();
  const rank = ({ provider }: Found<TlsOptionsOptions>) => precedenceOf(context, provider);
  for (const one of [...collected.values()].sort((a, b) => rank(a) - rank(b))) {
    const isDefault = one.name === `${DEFAULT_OPTIONS}@${one.provider}`;
    const name = isDefault ? DEFAULT_OPTIONS : one.name;
    const first = found.get(name);
    if (first === undefined) found.set(name, { ...one, name });
    else {
      const message = `the default TLS options of provider ${first.provider} are in force, so these are not`;
      context.ledger.error({ kind: "tls-options", name: one.name }, one.declared.place, "conflict", message);
    }
  }
  return found;
}

/** Rank of a provider in `providers.precedence`; those that it does not name come last. */
export function precedenceOf({ settings }: Context, provider: string): number {
  const { precedence } = settings.providers;
  const rank = precedence.indexOf(provider);
  return rank < 0 ? precedence.length : rank;
}

function readTlsOptions(
  context: Context,
  subject: Subject,
  declared: Found<TlsOptionsOptions>["declared"],
): TlsOptionsOptions | undefined {
  const { value } = declared;
  const problems = checkTlsOptions(value, declared.place);
  for (const problem of problems) context.ledger.take([{ ...pointed(problem, declared), subject }]);
  let isWhole = !problems.some((problem) => problem.severity === "error");
  const caFiles = (value.clientAuth?.caFiles ?? []).map((file) => {
    const pem = readAuthorities(context, subject, optionOf(declared, "clientAuth.caFiles"), file);
    if (pem === undefined) isWhole = false;
    return pem ?? "";
  });
  if (!isWhole) return undefined;
  return value.clientAuth === undefined ? value : { ...value, clientAuth: { ...value.clientAuth, caFiles } };
}
