import { loadCatalogue } from "../../src/compile/catalogue.ts";
import {
  fileServiceOptions,
  routerOptions,
  tlsCertificateOptions,
  tlsOptionsOptions,
  tlsStoreOptions,
  transportOptions,
} from "../../src/model/dynamic.ts";
import { settingsOptions } from "../../src/model/settings.ts";
import { listOptions, type OptionRow } from "../../src/schema/describe.ts";
import type { Options } from "../../src/schema/option.ts";

/** Every declaration that a person can write in, by where its options stand. */
export async function declarations(): Promise<ReadonlyMap<string, Options>> {
  const { middlewares } = await loadCatalogue();
  return new Map<string, Options>([
    ["", settingsOptions],
    ["http.routers.<name>", routerOptions],
    ["http.services.<name>", fileServiceOptions],
    ["http.serversTransports.<name>", transportOptions],
    ["tls.options.<name>", tlsOptionsOptions],
    ["tls.stores.<name>", tlsStoreOptions],
    ["tls.certificates[n]", tlsCertificateOptions],
    ...[...middlewares.values()].map(
      ({ name, options }) => [`http.middlewares.<name>.${name}`, options] as const,
    ),
  ]);
}

export async function everyOption(): Promise<OptionRow[]> {
  return [...(await declarations())].flatMap(([prefix, options]) => listOptions(options, prefix));
}

/** What has an effect that a test can look for: neither refused, nor without effect, nor a group's bare name. */
export const hasEffect = ({ kind, about }: OptionRow): boolean =>
  about.refused === undefined && about.obsolete === undefined && kind !== "switch";
