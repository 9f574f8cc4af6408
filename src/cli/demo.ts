import { connect } from "node:net";
import {
  addDemoContainer,
  DEMO_CONTAINERS,
  demoSocketPath,
  removeDemoContainer,
  startDemoEngine,
} from "../demo/start.ts";
import type { Command, Shell } from "./command.ts";
import { serve } from "./run.ts";

const WEB_PORT = 8000;
const OWN_PORT = 8080;

export default {
  name: "demo",
  usage: "[options] | add <name> <label>... | remove <name>",
  summary: "Serves containers that exist only here, to try Waybill without Docker.",
  details:
    "Starts an engine of its own with a few containers, each a real HTTP service, and serves them. `waybill demo add`\n" +
    "and `waybill demo remove`, from a second terminal, change what is running. Options are those of `waybill run`,\n" +
    "such as --entrypoints.web.address=:9000 where port 8000 is taken.",
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
  shell.out(whatToTry());
  try {
    return await serve([...settingsOf(demo.endpoint), ...args], alone(shell));
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

const settingsOf = (endpoint: string) => [
  `--providers.docker.endpoint=${endpoint}`,
  `--entrypoints.web.address=:${WEB_PORT}`,
  `--entrypoints.traefik.address=127.0.0.1:${OWN_PORT}`,
  "--api.insecure=true",
  "--ping=true",
];

/** The demo is the same everywhere: no variables and no settings files. */
const alone = (shell: Shell): Shell => ({
  ...shell,
  env: new Map(),
  readFile(path) {
    throw Object.assign(new Error(`the demo reads no ${path}`), { code: "ENOENT" });
  },
});

function whatToTry(): string {
  return `This is a demo: ${DEMO_CONTAINERS.length} containers of an engine of our own, each a real HTTP service.

  curl -H 'Host: whoami.localhost' http://localhost:${WEB_PORT}/
  curl -H 'Host: shop.localhost' http://localhost:${WEB_PORT}/        two containers take turns
  curl -H 'Host: shop.localhost' http://localhost:${WEB_PORT}/api     a third takes one path

From a second terminal, while this one goes on:

  npx waybill demo add blog waybill=blog.localhost
  curl -H 'Host: blog.localhost' http://localhost:${WEB_PORT}/
  npx waybill demo remove blog

What Waybill makes of it: http://localhost:${OWN_PORT}/dashboard/
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
