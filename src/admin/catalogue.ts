import { fileServiceOptions, routerOptions } from "../model/dynamic.ts";
import type { Middleware } from "../model/middleware.ts";
import { settingsOptions } from "../model/settings.ts";
import { listOptions, type OptionRow } from "../schema/describe.ts";
import type { OptionShape } from "./shapes.ts";

/** Every option there is, by where it is written, with its documentation. */
export function catalogue(registry: ReadonlyMap<string, Middleware>): Record<string, OptionShape[]> {
  const middlewares = [...registry.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  return {
    settings: listOptions(settingsOptions).map(shape),
    routers: listOptions(routerOptions).map(shape),
    services: listOptions(fileServiceOptions).map(shape),
    middlewares: middlewares.flatMap(({ name, options }) => listOptions(options, name).map(shape)),
  };
}

function shape({ path, kind, about }: OptionRow): OptionShape {
  const { doc, required, secret, added, obsolete, refused, example } = about;
  return {
    path,
    kind,
    doc,
    ...(about.default !== undefined && { default: about.default }),
    ...(example !== undefined && { example }),
    ...(required && { required }),
    ...(secret && { secret }),
    ...(added && { added }),
    ...(obsolete !== undefined && { obsolete }),
    ...(refused !== undefined && { refused }),
  };
}

/** What each option of the settings is for, for the page that shows those in force: `entryPoints.web.address`. */
export function docsOfSettings(): (option: string) => string {
  const rows = listOptions(settingsOptions)
    .sort((a, b) => a.path.length - b.path.length)
    .map(({ path, about }) => [pattern(path), about.doc] as const);
  // A name of the user's may have dots: the longest of those that fit is meant.
  return (option) => rows.findLast(([matches]) => matches.test(option))?.[1] ?? "";
}

function pattern(path: string): RegExp {
  const escaped = path.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`^${escaped.replaceAll("<name>", ".+?").replaceAll("\\[n\\]", "\\[\\d+\\]")}$`, "i");
}
