import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  fileServiceOptions,
  labelServiceOptions,
  routerOptions,
  tlsCertificateOptions,
  tlsOptionsOptions,
  tlsStoreOptions,
  transportOptions,
} from "../src/model/dynamic.ts";
import { FAULTS } from "../src/model/fault.ts";
import type { Middleware } from "../src/model/middleware.ts";
import { settingsOptions } from "../src/model/settings.ts";
import { group, list, mapOf } from "../src/schema/composites.ts";
import { listOptions, type OptionRow } from "../src/schema/describe.ts";
import { groupSchema } from "../src/schema/json-schema.ts";
import type { Options } from "../src/schema/option.ts";

const NOTE = "<!-- Made by `npm run docs` from the declarations in src; changes here are lost. -->";

/** Every page and schema that is made from the declarations, by its path. */
export function referencePages(
  registry: ReadonlyMap<string, Middleware>,
  differences: string,
): ReadonlyMap<string, string> {
  const middlewares = [...registry.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  return new Map([
    ["docs/reference/settings.md", settingsPage()],
    ["docs/reference/labels.md", labelsPage()],
    ["docs/reference/files.md", filesPage()],
    ["docs/reference/middlewares.md", middlewaresPage(middlewares)],
    ["docs/reference/compatibility.md", compatibilityPage(middlewares, differences)],
    ["docs/reference/settings.schema.json", schemaOf("Settings of Waybill", settingsOptions)],
    ["docs/reference/dynamic.schema.json", schemaOf("Routes of Waybill", dynamicOptions(middlewares))],
    ["docs/faults.md", faultsPage()],
  ]);
}

function page(title: string, ...parts: readonly string[]): string {
  return `${[`# ${title}`, NOTE, ...parts].join("\n\n")}\n`;
}

function settingsPage(): string {
  const sections = Object.entries(settingsOptions)
    .filter(([, { about }]) => about.refused === undefined)
    .map(
      ([name, option]) => `## ${name}\n\n${option.about.doc}\n\n${table(rowsBelow(name, settingsOptions))}`,
    );
  return page(
    "Settings",
    "What is settled before the first request. Each option is a flag (`--log.level=DEBUG`), a variable (`WAYBILL_LOG_LEVEL` or `TRAEFIK_LOG_LEVEL`) or a line of a settings file; flags go before variables, and variables before the file. Names count in any case. `<name>` is a name of your own, `[n]` a number from 0.",
    "The file is the one that `--configFile` names, or the first of `/etc/waybill/waybill`, `/etc/traefik/traefik`, `$XDG_CONFIG_HOME/waybill`, `$HOME/.config/waybill` and `./waybill` that there is, as `.yml`, `.yaml` or `.toml`. [settings.schema.json](settings.schema.json) tells an editor what may stand in it.",
    ...sections,
    `## Not supported\n\nThese are known, and refused with the reason when they are used.\n\n${refusals(listOptions(settingsOptions))}`,
  );
}

const rowsBelow = (name: string, options: Options) =>
  listOptions({ [name]: options[name]! }).filter(({ about }) => about.refused === undefined);

function labelsPage(): string {
  const sections: [title: string, path: string, options: Options][] = [
    ["Routers", "traefik.http.routers.<name>", routerOptions],
    ["Services", "traefik.http.services.<name>", labelServiceOptions],
    ["Transports", "traefik.http.serversTransports.<name>", transportOptions],
    ["TLS options", "traefik.tls.options.<name>", tlsOptionsOptions],
    ["TLS stores", "traefik.tls.stores.<name>", tlsStoreOptions],
    ["Certificates", "traefik.tls.certificates[n]", tlsCertificateOptions],
  ];
  return page(
    "Labels",
    "What a container may say. `waybill.` may be written for `traefik.` everywhere. Names count in any case; `<name>` is a name of your own, `[n]` a number from 0. Lists are written with commas. Middlewares have [a page of their own](middlewares.md).",
    ...sections.map(([title, path, options]) => `## ${title}\n\n${tableAt(path, options)}`),
  );
}

function filesPage(): string {
  const sections: [title: string, path: string, options: Options][] = [
    ["Routers", "http.routers.<name>", routerOptions],
    ["Services", "http.services.<name>", fileServiceOptions],
    ["Transports", "http.serversTransports.<name>", transportOptions],
    ["TLS options", "tls.options.<name>", tlsOptionsOptions],
    ["TLS stores", "tls.stores.<name>", tlsStoreOptions],
    ["Certificates", "tls.certificates[n]", tlsCertificateOptions],
  ];
  return page(
    "Files",
    "What a file of `providers.file` may say, in YAML, TOML or JSON; the same below `providers.http` and in Redis. Files are Go templates. [dynamic.schema.json](dynamic.schema.json) tells an editor the same. Middlewares have [a page of their own](middlewares.md).",
    ...sections.map(([title, path, options]) => `## ${title}\n\n${tableAt(path, options)}`),
  );
}

function middlewaresPage(middlewares: readonly Middleware[]): string {
  const sections = middlewares.map(({ name, summary, options, aliases, added, enabler }) => {
    const notes = [
      added ? "Ours, not Traefik's." : "",
      enabler ? `Switched on by its bare name: \`${name}=true\`.` : "",
      aliases?.length ? `Also known as ${aliases.map((alias) => `\`${alias}\``).join(", ")}.` : "",
    ].filter(Boolean);
    const text = [summary, ...notes].join(" ");
    return `## ${name}\n\n${text}\n\n${tableAt(name, options)}`;
  });
  return page(
    "Middlewares",
    "Each stands below `traefik.http.middlewares.<name>.` in labels and below `http.middlewares.<name>` in files.",
    ...sections,
  );
}

function compatibilityPage(middlewares: readonly Middleware[], differences: string): string {
  const sectionOf = differencesByName(differences);
  const parts: [title: string, rows: OptionRow[]][] = [
    ["Settings", listOptions(settingsOptions)],
    ["Routers", at("http.routers.<name>", routerOptions)],
    ["Services", at("http.services.<name>", fileServiceOptions)],
    ["Transports", at("http.serversTransports.<name>", transportOptions)],
    [
      "TLS",
      [
        ...at("tls.options.<name>", tlsOptionsOptions),
        ...at("tls.stores.<name>", tlsStoreOptions),
        ...at("tls.certificates[n]", tlsCertificateOptions),
      ],
    ],
    [
      "Middlewares",
      middlewares
        .filter(({ added }) => !added)
        .flatMap(({ name, options }) => at(`http.middlewares.<name>.${name}`, options)),
    ],
  ];
  const lines = parts.map(([title, rows]) => {
    // A group's members speak for it, unless it is refused or without effect as a whole.
    const speaks = ({ path, about, kind }: OptionRow) =>
      kind !== "switch" ||
      about.refused !== undefined ||
      about.obsolete !== undefined ||
      !rows.some((row) => row.path.startsWith(`${path}.`));
    const traefiks = rows.filter((row) => !row.about.added && speaks(row));
    const body = traefiks.map(({ path, about }) => `| \`${path}\` | ${stateOf(about, sectionOf(path))} |`);
    return `## ${title}\n\n| Option of Traefik | State |\n| --- | --- |\n${body.join("\n")}`;
  });
  return page(
    "Compatibility",
    "Every option of Traefik v3.7, outside Kubernetes and the like. None is accepted and then ignored without a word. Where a default or a detail differs, the row names the section of [Differences from Traefik](../traefik-differences.md) that says how and why.",
    ...lines,
    `## TCP and UDP\n\nNone of these is served; each is refused by name where it is written, and what is said of HTTP beside it stays in force.\n\n| Option of Traefik | State |\n| --- | --- |\n${STREAMS.map((path) => `| \`${path}\` | refused: TCP and UDP are not part of Waybill |`).join("\n")}`,
    `## Plug-ins and Traefik Hub\n\n| Option of Traefik | State |\n| --- | --- |\n| \`http.middlewares.<name>.plugin\` | refused: plug-ins are Go programs, which cannot run here |\n| \`http.middlewares.<name>.plugin.<name>\` of Traefik Hub: ${HUB.map((name) => `\`${name}\``).join(", ")} | refused: they are not in the open source |`,
  );
}

/** What Traefik can say of streams: also what a test looks for on the page. */
const STREAMS = readFileSync(join(import.meta.dirname, "../test/options/traefik-streams.txt"), "utf8")
  .trim()
  .split("\n")
  .map((line) => line.replaceAll("*", "<name>").replaceAll("[0]", "[n]"));

const HUB = [
  "apiKey",
  "coraza",
  "distributedRateLimit",
  "hmac",
  "jwt",
  "ldap",
  "oAuthClientCredentials",
  "oAuthIntrospection",
  "oidc",
  "opa",
];

function stateOf({ refused, obsolete }: OptionRow["about"], section: string | undefined): string {
  if (refused !== undefined) return `refused: ${cell(refused)}`;
  if (obsolete !== undefined) return `no effect, with a warning: ${cell(obsolete)}`;
  if (section === undefined) return "works";
  const anchor = section
    .toLowerCase()
    .replaceAll(/[^a-z0-9 -]/g, "")
    .replaceAll(" ", "-");
  return `works, with a difference: [${section}](../traefik-differences.md#${anchor})`;
}

/** Which section of the page of differences has a row that names an option; a middleware's with its middleware. */
function differencesByName(page: string): (path: string) => string | undefined {
  const rows: { readonly section: string; readonly names: ReadonlySet<string> }[] = [];
  let section = "";
  for (const line of page.split("\n")) {
    if (line.startsWith("## ")) section = line.slice(3);
    if (!line.startsWith("| ")) continue;
    const names = [...line.matchAll(/`([a-z][\w.]{5,})`/gi)].map(([, name]) => name!);
    rows.push({ section, names: new Set(names) });
  }
  return (path) => {
    const parts = path.split(".");
    const leaf = parts.at(-1)!;
    const ends = parts.map((_, i) => parts.slice(i).join("."));
    const [isMiddleware, isTransport] = [
      parts[1] === "middlewares",
      /^(?:http\.)?serversTransport/.test(path),
    ];
    const row = rows.find(({ section, names }) => {
      if (isMiddleware) return names.has(`${parts[3]}.${leaf}`) || (names.has(parts[3]!) && names.has(leaf));
      if (section === "Middlewares" || (isTransport && section === "HTTPS")) return false;
      return ends.some((end) => names.has(end));
    });
    return row?.section;
  };
}

function faultsPage(): string {
  const rows = Object.values(FAULTS).map(
    ({ code, status, source, retry, meaning }) =>
      `| \`${code}\` | ${status === 0 ? "closed" : status} | ${source} | ${retry} | ${cell(meaning)} |`,
  );
  return page(
    "Faults",
    "Why a request was not answered by the application. The access log, the metrics, the error page and the API use these codes. *Source* says whose fault it is; *retry*, whether another try may help: `always` where nothing reached the application, `reused` where a kept-alive connection was closed under an idempotent request.",
    `| Code | Status | Source | Retry | Meaning |\n| --- | --- | --- | --- | --- |\n${rows.join("\n")}`,
  );
}

function at(prefix: string, options: Options): OptionRow[] {
  return listOptions(options, prefix);
}

const tableAt = (prefix: string, options: Options) =>
  table(at(prefix, options).filter(({ about }) => about.refused === undefined)) +
  refusedBelow(prefix, options);

function refusedBelow(prefix: string, options: Options): string {
  const refused = at(prefix, options).filter(({ about }) => about.refused !== undefined);
  return refused.length === 0 ? "" : `\n\nNot supported:\n\n${refusals(refused)}`;
}

function table(rows: readonly OptionRow[]): string {
  if (rows.length === 0) return "It has no options.";
  const lines = rows.map(({ path, kind, about }) => {
    const notes = [
      cell(about.doc),
      about.required ? "Required." : "",
      about.example ? `For example ${code(about.example)}.` : "",
      about.secret ? "Secret: may be `file:/run/secrets/x` or `env:NAME`." : "",
      about.obsolete ? `No effect: ${cell(about.obsolete)}.` : "",
      about.added ? "*Ours.*" : "",
    ];
    return `| \`${path}\` | ${cell(kind)} | ${about.default ? code(about.default) : ""} | ${notes.filter(Boolean).join(" ")} |`;
  });
  return `| Option | Kind | Default | |\n| --- | --- | --- | --- |\n${lines.join("\n")}`;
}

function refusals(rows: readonly OptionRow[]): string {
  return rows
    .filter(({ about }) => about.refused !== undefined)
    .map(({ path, about }) => `- \`${path}\`: ${about.refused}.`)
    .join("\n");
}

const cell = (text: string) => text.replaceAll("|", "\\|").replaceAll("<", "&lt;").replaceAll("\n", " ");

// A value with backticks of its own needs longer ones around it.
function code(text: string): string {
  const inner = text.replaceAll("|", "\\|");
  return text.includes("`") ? `\`\` ${inner} \`\`` : `\`${inner}\``;
}

function dynamicOptions(middlewares: readonly Middleware[]): Options {
  const named = (options: Options) => mapOf(group(options))({ doc: "By name." });
  const kinds = Object.fromEntries(middlewares.map((one) => [one.name, middlewareOption(one)]));
  return {
    http: group({
      routers: named(routerOptions),
      services: named(fileServiceOptions),
      middlewares: named(kinds),
      serversTransports: named(transportOptions),
    })({ doc: "HTTP." }),
    tls: group({
      options: named(tlsOptionsOptions),
      stores: named(tlsStoreOptions),
      certificates: list(group(tlsCertificateOptions))({ doc: "Certificates in files." }),
    })({ doc: "TLS." }),
  };
}

function middlewareOption({ options, enabler, summary }: Middleware) {
  return group(options, enabler ? { enabler: true } : {})({ doc: summary });
}

function schemaOf(title: string, options: Options): string {
  const schema = { $schema: "https://json-schema.org/draft/2020-12/schema", title, ...groupSchema(options) };
  // Traefik and we let people keep anchors at the top of a file.
  return `${JSON.stringify({ ...schema, patternProperties: { "^x-": {} } }, null, 2)}\n`;
}
