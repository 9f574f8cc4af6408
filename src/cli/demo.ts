import { connect, createServer } from "node:net";
import {
  addDemoContainer,
  DEMO_CONTAINERS,
  demoSocketPath,
  removeDemoContainer,
  startDemoEngine,
} from "../demo/start.ts";
import { parseAddress } from "../model/entry-point.ts";
import { loadSettings } from "../settings/load.ts";
import type { Command, Shell } from "./command.ts";
import { serve } from "./run.ts";

const WEB_PORT = 8000;
const OWN_PORT = 8080;
const PORTS_TRIED = 20;

export default {
  name: "demo",
  usage: "[options] | add <name> <label>... | remove <name>",
  summary: "Serves containers that exist only here, to try Waybill without Docker.",
  details:
    "Starts an engine of its own with a few containers, each a real HTTP service, and serves them. `waybill demo add`\n" +
    "and `waybill demo remove`, from a second terminal, change what is running. Options are those of `waybill run`,\n" +
    "such as --entrypoints.web.address=:9000 for another port than 8000, or the next one that is free.",
  run(args, shell) {
    const [verb = "", name, ...labels] = args;
    if (verb === "add" || verb === "remove") return change(verb, name, labels, shell);
    return start(args, shell);
  },
} satisfies Command;

async function start(args: readonly string[], shell: Shell): Promise<number> {
  if (await isRunning()) {
    shell.err("A demo is running already: end it first, or change it with waybill demo add and remove.\n");
    return 1;
  }
  const demo = await startDemoEngine({ socketPath: demoSocketPath(), containers: DEMO_CONTAINERS });
  // Clients of Docker let this variable win over what they are told.
  delete process.env["DOCKER_HOST"];
  try {
    const own = [`--providers.docker.endpoint=${demo.endpoint}`, ...(await entryPointFlags()), ...PAGES];
    const inside = alone(shell);
    shell.out(whatToTry(portsOf([...own, ...args], inside)));
    return await serve([...own, ...args], inside);
  } finally {
    await demo.close();
  }
}

function isRunning(): Promise<boolean> {
  const socket = connect(demoSocketPath());
  return new Promise<boolean>((resolve) => {
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
  }).finally(() => socket.destroy());
}

const PAGES = ["--api.insecure=true", "--ping=true"];

async function entryPointFlags(): Promise<string[]> {
  const web = await freePort(WEB_PORT);
  const own = await freePort(OWN_PORT);
  return [`--entrypoints.web.address=:${web}`, `--entrypoints.traefik.address=127.0.0.1:${own}`];
}

/** The port, or one of the next ones where another program has it. */
async function freePort(wanted: number): Promise<number> {
  for (let port = wanted; port < wanted + PORTS_TRIED; port++) if (await isFree(port)) return port;
  return wanted;
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, () => server.close(() => resolve(true)));
  });
}

/** Where web and traefik listen under these flags, whoever has chosen. */
function portsOf(argv: readonly string[], { env, cwd, readFile }: Shell): readonly [number, number] {
  const { entryPoints } = loadSettings({ argv, env, cwd, readFile }).settings;
  const portOf = (name: string) => parseAddress(entryPoints.get(name)?.address ?? "")?.port ?? 0;
  return [portOf("web"), portOf("traefik")];
}

/** The demo is the same everywhere: no variables and no settings files. */
const alone = (shell: Shell): Shell => ({
  ...shell,
  env: new Map(),
  readFile(path) {
    throw Object.assign(new Error(`the demo reads no ${path}`), { code: "ENOENT" });
  },
});

function whatToTry([web, own]: readonly [number, number]): string {
  return `This is a demo: ${DEMO_CONTAINERS.length} containers of an engine of our own, each a real HTTP service.

  curl -H 'Host: whoami.localhost' http://localhost:${web}/
  curl -H 'Host: shop.localhost' http://localhost:${web}/        two containers take turns
  curl -H 'Host: shop.localhost' http://localhost:${web}/api     a third takes one path

From a second terminal, while this one goes on:

  npx waybill demo add blog waybill=blog.localhost
  curl -H 'Host: blog.localhost' http://localhost:${web}/
  npx waybill explain http://blog.localhost:${web}/${own === OWN_PORT ? "" : ` --api http://127.0.0.1:${own}`}
  npx waybill demo remove blog

What Waybill makes of it: http://localhost:${own}/dashboard/
Ctrl-C ends it.

`;
}

async function change(
  verb: "add" | "remove",
  name: string | undefined,
  labels: readonly string[],
  shell: Shell,
): Promise<number> {
  if (name === undefined || (verb === "add" && labels.length === 0)) {
    shell.err(`usage: waybill demo ${verb} <name>${verb === "add" ? " <label>..." : ""}\n`);
    return 1;
  }
  try {
    if (verb === "add") await addDemoContainer(demoSocketPath(), name, labels);
    else await removeDemoContainer(demoSocketPath(), name);
    shell.out(`${name} is ${verb === "add" ? "running" : "gone"}\n`);
    return 0;
  } catch (error) {
    shell.err(`${(error as Error).message}\n`);
    return 1;
  }
}
