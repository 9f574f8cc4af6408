import { statSync } from "node:fs";
import { resolve } from "node:path";
import type { CommandHost } from "../acme/commands.ts";
import { storageOnDisk } from "../acme/resolver.ts";
import type { Kept } from "../acme/shelf.ts";
import type { IssuanceView } from "../model/certificate-view.ts";
import type { Settings } from "../model/settings.ts";
import { getFromApi } from "./api-client.ts";
import type { Command, Shell } from "./command.ts";
import { flagsOfProcess1, settingsOrComplaint } from "./settings.ts";

const DAY_MS = 86_400_000;

export default {
  name: "certs",
  usage: "list [--api URL] | export <pem|traefik> <target> | trust [--install] [options]",
  summary: "Lists or exports the certificates that are kept, or shows the root of the internal authority.",
  details:
    "list    names, resolver, issuer and end of every certificate in the store; with --api how the Waybill that runs\n" +
    "        there is getting on, name by name, and why one has no certificate.\n" +
    "export  pem: a folder for each certificate, with fullchain.pem and privkey.pem, below the target.\n" +
    "        traefik: one acme.json that Traefik starts from without a new order. Both hold private keys.\n" +
    "trust   the root of the resolver `internal` as PEM; with --install it is added to this machine's trusted roots.\n\n" +
    "The store is the one of the settings. Without options they are those of process 1, so that none are needed\n" +
    "inside a container. Waybill may be running meanwhile.",
  async run(args, shell) {
    const [verb = "", ...rest] = args;
    if (verb === "list") return list(rest, shell);
    if (verb === "export") return exportAll(rest, shell);
    if (verb === "trust") return trust(rest, shell);
    return complain(`expected list, export or trust, found ${JSON.stringify(verb)}`, shell);
  },
} satisfies Command;

function complain(message: string, shell: Shell): number {
  shell.err(`${message}\nusage: waybill certs list|export|trust; \`waybill help certs\` says more\n`);
  return 2;
}

// --- list ---

async function list(args: readonly string[], shell: Shell): Promise<number> {
  const [api, options] = takeValue(args, "--api");
  if (api !== undefined) return listRunning(api, shell);
  const host = hostFor(options, shell);
  if (host === undefined) return 1;
  becomeOwner(host);
  const { listCertificates } = await import("../acme/commands.ts");
  return guarded(shell, async () => {
    const kept = await listCertificates(host);
    if (kept.length === 0) shell.out("There are no certificates in the store.\n");
    else shell.out(table([["NAMES", "RESOLVER", "ISSUER", "ENDS"], ...kept.map(rowOf)]));
  });
}

function rowOf({ names, resolver, issuer, spec }: Kept): string[] {
  return [names.join(","), resolver, issuer, ending(spec.notAfterMs, Date.now())];
}

function ending(notAfterMs: number, nowMs: number): string {
  const date = new Date(notAfterMs).toISOString().slice(0, 16).replace("T", " ");
  const days = Math.floor((notAfterMs - nowMs) / DAY_MS);
  return days < 0 ? `${date} (expired)` : `${date} (${days} days)`;
}

async function listRunning(api: string, shell: Shell): Promise<number> {
  const reply = await getFromApi(api, "issuance", new URLSearchParams(), shell);
  if (typeof reply === "string" || !Array.isArray(reply.body)) {
    shell.err(`${typeof reply === "string" ? reply : `What answers at ${api} is not the API of Waybill.`}\n`);
    return 1;
  }
  const rows = (reply.body as IssuanceView[]).map(({ names, resolver, state, nextTryAtMs, reason }) => {
    const next = nextTryAtMs ? `; tried again at ${new Date(nextTryAtMs).toISOString()}` : "";
    return [names.join(","), resolver, state, `${reason}${next}`];
  });
  if (rows.length === 0) shell.out("No router asks for a certificate.\n");
  else shell.out(table([["NAMES", "RESOLVER", "STATE", ""], ...rows]));
  return 0;
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const line = (row: readonly string[]) =>
    row
      .map((text, column) => text.padEnd(widths[column]!))
      .join("  ")
      .trimEnd();
  return `${rows.map(line).join("\n")}\n`;
}

// --- export ---

async function exportAll(args: readonly string[], shell: Shell): Promise<number> {
  const [form = "", target = "", ...options] = args;
  if (form !== "pem" && form !== "traefik")
    return complain(`expected pem or traefik, found ${JSON.stringify(form)}`, shell);
  if (target === "" || target.startsWith("-"))
    return complain(
      form === "pem" ? "expected a folder to write to" : "expected a file to write, such as acme.json",
      shell,
    );
  const host = hostFor(options, shell);
  if (host === undefined) return 1;
  const { exportCertificates } = await import("../acme/commands.ts");
  return guarded(shell, async () => {
    const count = await exportCertificates(host, form, resolve(shell.cwd, target));
    shell.out(`${count} ${count === 1 ? "certificate" : "certificates"} written to ${target}\n`);
  });
}

// --- trust ---

async function trust(args: readonly string[], shell: Shell): Promise<number> {
  const isInstall = args.includes("--install");
  const options = args.filter((arg) => arg !== "--install");
  const host = hostFor(options, shell);
  if (host === undefined) return 1;
  if (!isInstall) becomeOwner(host);
  const { internalRoot } = await import("../acme/commands.ts");
  return guarded(shell, async () => {
    const root = await internalRoot(host);
    if (!isInstall) shell.out(root);
    else {
      const { installRoot } = await import("./certs-install.ts");
      shell.out(`${installRoot(root)}\n`);
    }
  });
}

// --- Common ---

function hostFor(args: readonly string[], shell: Shell): CommandHost | undefined {
  const loaded = settingsOrComplaint(args.length > 0 ? args : flagsOfProcess1(shell), shell);
  if (loaded === undefined) return undefined;
  const say = (_: Record<string, unknown>, message: string) => shell.err(`${message}\n`);
  const log = { debug() {}, info() {}, warn: say, error: say };
  return { resolvers: resolversIn(loaded.settings), environment: Object.fromEntries(shell.env), log };
}

function resolversIn({ certificatesResolvers }: Settings): CommandHost["resolvers"] {
  return new Map(
    [...certificatesResolvers].flatMap(([name, { acme }]) => (acme === undefined ? [] : [[name, acme]])),
  );
}

/** `docker exec` is root, and what root writes to the store the proxy's own user could not read. */
function becomeOwner({ resolvers, environment }: CommandHost): void {
  if (process.getuid?.() !== 0) return;
  const [first] = resolvers.values();
  const { directory } = storageOnDisk(first?.storage ?? "acme.json", environment);
  const owner = statSync(directory, { throwIfNoEntry: false });
  if (owner === undefined || owner.uid === 0) return;
  process.setgid?.(owner.gid);
  process.setuid?.(owner.uid);
}

async function guarded(shell: Shell, work: () => Promise<void>): Promise<number> {
  try {
    await work();
    return 0;
  } catch (error) {
    shell.err(`${(error as Error).message}\n`);
    return 1;
  }
}

function takeValue(args: readonly string[], name: string): [string | undefined, string[]] {
  const rest: string[] = [];
  let value: string | undefined;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (arg === name) value = args[++i] ?? "";
    else if (arg.startsWith(`${name}=`)) value = arg.slice(name.length + 1);
    else rest.push(arg);
  }
  return [value, rest];
}
