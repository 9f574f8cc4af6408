import { type TransportOptions, transportOptions } from "../model/dynamic.ts";
import type { Place } from "../schema/node.ts";
import type { Subject } from "../schema/problem.ts";
import { faultInAuthorities } from "../tls/certificate.ts";
import { checkVersionsAndCiphers } from "../tls/options.ts";
import { type Context, collect, type Found } from "./context.ts";
import { optionOf, pointed } from "./ledger.ts";

export const DEFAULT_TRANSPORT = "default@internal";

/** All transports by name; those in force have their authorities and certificates read. */
export class TransportBook {
  readonly found: ReadonlyMap<string, Found<TransportOptions>>;
  readonly specs = new Map<string, TransportOptions>();

  constructor(context: Context) {
    this.found = collect(context.declarations, (declaration) => declaration.transports);
    for (const { name, declared } of this.found.values()) {
      if (declared.broken) continue;
      const options = readTransport(context, { kind: "transport", name }, declared);
      if (options !== undefined) this.specs.set(name, options);
    }
  }
}

/** The names of its options, for those who look for one that is not known. */
export const TRANSPORT_OPTIONS = Object.keys(transportOptions);

function readTransport(
  context: Context,
  subject: Subject,
  declared: Found<TransportOptions>["declared"],
): TransportOptions | undefined {
  const { value: options } = declared;
  const problems = checkVersionsAndCiphers(options, declared.place);
  for (const problem of problems) context.ledger.take([{ ...pointed(problem, declared), subject }]);
  let isWhole = !problems.some((problem) => problem.severity === "error");
  const read = (value: string, option: string) => {
    const pem = readPem(context, subject, optionOf(declared, option), value);
    if (pem === undefined) isWhole = false;
    return pem ?? "";
  };
  const complete = {
    ...options,
    rootCAs: options.rootCAs.map((value) => {
      const pem = readAuthorities(context, subject, optionOf(declared, "rootCAs"), value);
      if (pem === undefined) isWhole = false;
      return pem ?? "";
    }),
    certificates: options.certificates.map((pair) => ({
      certFile: read(pair.certFile, "certificates.certFile"),
      keyFile: read(pair.keyFile, "certificates.keyFile"),
    })),
  };
  return isWhole ? complete : undefined;
}

/** As `readPem`, for what must be authorities: the data plane would notice only when somebody connects. */
export function readAuthorities(
  context: Context,
  subject: Subject,
  place: Place,
  value: string,
): string | undefined {
  const pem = readPem(context, subject, place, value);
  const fault = pem === undefined ? undefined : faultInAuthorities(pem);
  if (fault === undefined) return pem;
  context.ledger.error(subject, place, "bad-value", fault);
  return undefined;
}

/** The text of an option that holds PEM, or the path of a file that does. Undefined after reporting why not. */
export function readPem(context: Context, subject: Subject, place: Place, value: string): string | undefined {
  if (value.includes("-----BEGIN ")) return value;
  try {
    const text = context.readFile(value);
    if (text.includes("-----BEGIN ")) return text;
    context.ledger.error(subject, place, "bad-value", `expected PEM in the file ${value}, found none`);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    context.ledger.error(subject, place, "unreadable-file", `the file cannot be read: ${reason}`);
  }
  return undefined;
}
