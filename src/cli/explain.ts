import type { Explanation } from "../admin/shapes.ts";
import type { Command, Shell } from "./command.ts";
import { askApi } from "./explain-api.ts";
import { tell } from "./explain-text.ts";

export default {
  name: "explain",
  usage:
    "<url> [-X METHOD] [-H 'Name: value'] [--from IP] [--entrypoint NAME] [--api URL | --compose FILE | --config FILE] [--json]",
  summary: "Says which router takes a request, and why; or why none does.",
  details:
    "Asks the Waybill that runs here, at http://127.0.0.1:8080 unless --api says otherwise (a token in\n" +
    "WAYBILL_API_TOKEN is sent along). With --compose and --config, which may be repeated, nobody is asked: the answer\n" +
    "is made from compose files, settings and files of routes. The exit code is 0 if the request is routed, 1 if it is\n" +
    "not, and 2 if the question cannot be answered.",
  async run(args, shell) {
    const asked = parseArgs(args);
    if (typeof asked === "string") {
      shell.err(`${asked}\nusage: waybill explain ${this.usage}\n`);
      return 2;
    }
    const found = asked.files.length > 0 ? await fromFiles(asked, shell) : await askApi(asked, shell);
    if (typeof found === "string") {
      shell.err(`${found}\n`);
      return 2;
    }
    shell.out(asked.json ? `${JSON.stringify(found, undefined, 2)}\n` : tell(found));
    return found.routed ? 0 : 1;
  },
} satisfies Command;

export interface Asked {
  readonly url: string;
  readonly method: string;
  /** Name and value by turns. */
  readonly headers: readonly string[];
  readonly from: string;
  readonly entryPoint: string;
  readonly api: string;
  readonly files: readonly string[];
  readonly json: boolean;
}

const VALUED: Readonly<Record<string, string>> = {
  "-X": "method",
  "--method": "method",
  "-H": "header",
  "--header": "header",
  "--from": "from",
  "--entrypoint": "entryPoint",
  "--api": "api",
  "--compose": "file",
  "--config": "file",
};

function parseArgs(args: readonly string[]): Asked | string {
  const said = new Map<string, string>();
  const headers: string[] = [];
  const files: string[] = [];
  let json = false;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    const [, flag = arg, inline] = /^(--[a-z]+)=(.*)$/is.exec(arg) ?? [];
    const what = VALUED[flag.startsWith("--") ? flag.toLowerCase() : flag];
    if (flag === "--json") json = true;
    else if (what === undefined && arg.startsWith("-"))
      return `${JSON.stringify(arg)} is not an option of explain`;
    else if (what === undefined && said.has("url")) return "expected one URL";
    else if (what === undefined) said.set("url", arg);
    else {
      const value = inline ?? args[++i];
      if (value === undefined) return `expected a value after ${flag}`;
      if (what === "file") files.push(value);
      else if (what !== "header") said.set(what, value);
      else {
        const [, name, text] = /^([^:\s]+):\s*(.*)$/s.exec(value) ?? [];
        if (name === undefined)
          return `expected a header such as 'Accept: text/html', found ${JSON.stringify(value)}`;
        headers.push(name, text!);
      }
    }
  }
  const url = said.get("url");
  if (url === undefined) return "expected a URL such as https://app.example.com/path";
  const method = (said.get("method") ?? "GET").toUpperCase();
  const { from, entryPoint, api } = {
    from: "127.0.0.1",
    entryPoint: "",
    api: "http://127.0.0.1:8080",
    ...Object.fromEntries(said),
  };
  return { url, method, headers, from, entryPoint, api, files, json };
}

/** The same walk as in a running Waybill, through what the files come to. */
async function fromFiles(asked: Asked, shell: Shell): Promise<Explanation | string> {
  const [{ readWorld }, { explain }, { loadCatalogue }, { human, inOrder }] = await Promise.all([
    import("../check/world.ts"),
    import("../admin/explain.ts"),
    import("../compile/catalogue.ts"),
    import("../check/present.ts"),
  ]);
  const { middlewares: registry } = await loadCatalogue();
  const world = readWorld(asked.files, { ...shell, registry });
  if (world.unreadable > 0) {
    return human(inOrder(world.problems.filter(({ code }) => code === "unreadable-file"))).trimEnd();
  }
  const servers = [...world.report.services.values()].flatMap((service) =>
    service.servers.map((server) => ({
      service: service.name,
      server,
      healthy: true,
      ejected: false,
      inFlight: 0,
    })),
  );
  const known = { ...world, registry, servers, ports: new Map<string, number>() };
  const { url, method, headers, from, entryPoint } = asked;
  return explain(known, { url, method, headers, from, ...(entryPoint !== "" && { entryPoint }) });
}
