import { Resolver } from "node:dns/promises";

const PATIENCE = { timeout: 3000, tries: 2 };
const HOPS_MAX = 10;

/** The servers that answer for a zone, by name, with their addresses. */
export interface Authority {
  readonly zone: string;
  readonly servers: readonly { readonly name: string; readonly addresses: readonly string[] }[];
}

/** Looks things up in DNS: at the recursive servers we were given, and directly at those that own a zone. */
export class DnsEye {
  readonly #servers: readonly string[];
  readonly #authorityPort: number;

  /** `servers`: `1.1.1.1:53`; none for the system's. */
  constructor(servers: readonly string[], authorityPort = 53) {
    this.#servers = servers;
    this.#authorityPort = authorityPort;
  }

  #recursive(): Resolver {
    const resolver = new Resolver(PATIENCE);
    if (this.#servers.length > 0) resolver.setServers(this.#servers.map(withoutDefaultPort));
    return resolver;
  }

  /** Where the proof of a name really goes: `_acme-challenge` may be delegated by CNAME to a zone made for it. */
  async follow(name: string): Promise<string> {
    let target = name;
    for (let hop = 0; hop < HOPS_MAX; hop++) {
      const [next] = await this.#recursive()
        .resolveCname(target)
        .catch(() => []);
      if (next === undefined) return target;
      target = next.replace(/\.$/, "").toLowerCase();
    }
    return target;
  }

  /** Whether every authoritative server shows the value. The first one that does not is named. */
  async missingAtAuthority(name: string, value: string): Promise<string | undefined> {
    const authority = await this.#authority(name);
    if (authority === undefined) return `no name server of ${name} is known`;
    for (const { name: server, addresses } of authority.servers) {
      if (addresses.length === 0) continue;
      const resolver = new Resolver(PATIENCE);
      resolver.setServers(addresses.slice(0, 1).map((address) => this.#at(address)));
      if (!(await shows(resolver, name, value))) return server;
    }
    return undefined;
  }

  #at(address: string): string {
    const host = address.includes(":") ? `[${address}]` : address;
    return this.#authorityPort === 53 ? host : `${host}:${this.#authorityPort}`;
  }

  async #authority(name: string): Promise<Authority | undefined> {
    const resolver = this.#recursive();
    const labels = name.split(".");
    for (let skip = 0; skip < labels.length - 1; skip++) {
      const zone = labels.slice(skip).join(".");
      const names = await resolver.resolveNs(zone).catch(() => []);
      if (names.length === 0) continue;
      const servers = await Promise.all(
        names.map(async (server) => ({ name: server, addresses: await this.#addresses(server) })),
      );
      return { zone, servers };
    }
    return undefined;
  }

  async #addresses(name: string): Promise<string[]> {
    const resolver = this.#recursive();
    const [v4, v6] = await Promise.all([
      resolver.resolve4(name).catch(() => []),
      resolver.resolve6(name).catch(() => []),
    ]);
    return [...v4, ...v6];
  }

  /** The same at the recursive servers; all of them with `all`, else any. */
  async missingAtRecursive(name: string, value: string, all: boolean): Promise<string | undefined> {
    const servers = this.#servers.length > 0 ? this.#servers : new Resolver().getServers();
    let missing: string | undefined;
    for (const server of servers) {
      const resolver = new Resolver(PATIENCE);
      resolver.setServers([withoutDefaultPort(server)]);
      const hasIt = await shows(resolver, name, value);
      if (hasIt && !all) return undefined;
      if (!hasIt) missing ??= server;
    }
    return missing;
  }
}

async function shows(resolver: Resolver, name: string, value: string): Promise<boolean> {
  const records = await resolver.resolveTxt(name).catch(() => []);
  return records.some((chunks) => chunks.join("") === value);
}

const withoutDefaultPort = (server: string) => server.replace(/^([^:]+):53$/, "$1");
