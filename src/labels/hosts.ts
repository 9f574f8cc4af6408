import { type Expression, parseExpression } from "../lib/expression.ts";
import type { Workload } from "../model/workload.ts";
import { projectOf } from "./names.ts";

/** The hosts that a rule's requests can have, in lower case; undefined if it does not limit them. */
export function hostsOf(rule: string): readonly string[] | undefined {
  const parsed = parseExpression(rule);
  return "tree" in parsed ? limitOf(parsed.tree) : undefined;
}

function limitOf(tree: Expression): readonly string[] | undefined {
  switch (tree.kind) {
    case "call":
      if (!/^Host(?:Header)?$/i.test(tree.name)) return undefined;
      return tree.args.map(({ value }) => String(value).toLowerCase().replace(/\.$/, ""));
    case "and":
      return tree.operands.map(limitOf).find((hosts) => hosts !== undefined);
    case "or": {
      const all = tree.operands.map(limitOf);
      return all.every((hosts) => hosts !== undefined) ? all.flat() : undefined;
    }
    default:
      return undefined;
  }
}

/** Which project a host belongs to: that of the container that named it first. */
export class HostOwners {
  readonly #byHost = new Map<string, Workload>();
  /** Owners of hosts right below a domain, one a project: those whom a wildcard would meet. */
  readonly #below = new Map<string, Workload[]>();

  /** The older container of another project that one of these hosts belongs to; else they belong to this one now. */
  claim(hosts: readonly string[], workload: Workload): Workload | undefined {
    const project = projectOf(workload);
    const owner = hosts.flatMap((host) => this.#owners(host)).find((other) => projectOf(other) !== project);
    if (owner !== undefined) return owner;
    for (const host of hosts) {
      if (!this.#byHost.has(host)) this.#byHost.set(host, workload);
      const below = this.#below.get(parentOf(host)) ?? [];
      this.#below.set(parentOf(host), below);
      if (!below.some((other) => projectOf(other) === project)) below.push(workload);
    }
    return undefined;
  }

  #owners(host: string): Workload[] {
    const parent = parentOf(host);
    const near = host.startsWith("*.") ? this.#below.get(parent) : [this.#byHost.get(`*.${parent}`)];
    return [this.#byHost.get(host), ...(near ?? [])].filter((owner) => owner !== undefined);
  }
}

const parentOf = (host: string) => host.slice(host.indexOf(".") + 1);
