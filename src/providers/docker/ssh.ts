import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { Agent } from "node:http";
import { homedir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { Client, type ConnectConfig } from "ssh2";
import type { ModemOptions } from "./endpoint.ts";

const KEY_FILES = ["id_ed25519", "id_ecdsa", "id_rsa"];

/** `ssh://user@host:port`: keys from the agent or `~/.ssh`, and only hosts that `~/.ssh/known_hosts` knows. */
export function sshOptions(url: URL, env: NodeJS.ProcessEnv): ModemOptions {
  const folder = join(env["HOME"] ?? homedir(), ".ssh");
  const host = url.hostname;
  const port = url.port === "" ? 22 : Number(url.port);
  const agent = env["SSH_AUTH_SOCK"];
  const privateKey = agent ? undefined : KEY_FILES.map((file) => read(join(folder, file))).find(Boolean);
  const known = read(join(folder, "known_hosts")) ?? "";
  const config: ConnectConfig = {
    host,
    port,
    username: decodeURIComponent(url.username) || (env["USER"] ?? "root"),
    ...(agent && { agent }),
    ...(privateKey && { privateKey }),
    readyTimeout: 10_000,
    keepaliveInterval: 15_000,
    hostVerifier: (key: Buffer) => isKnownHost(known, port === 22 ? host : `[${host}]:${port}`, key),
  };
  return { protocol: "http", host, port: 80, agent: new SshAgent(config) };
}

/** Speaks HTTP to the engine of another machine: one SSH connection, one `docker system dial-stdio` a request. */
class SshAgent extends Agent {
  readonly #config: ConnectConfig;
  #ready: Promise<Client> | undefined;

  constructor(config: ConnectConfig) {
    super();
    this.#config = config;
  }

  override createConnection(
    _options: unknown,
    done?: (error: Error | null, stream: Duplex) => void,
  ): undefined {
    this.#open().then(
      (client) => done?.(null, client),
      (error: Error) => done?.(error, undefined as never),
    );
    return undefined;
  }

  async #open(): Promise<Duplex> {
    this.#ready ??= this.#connect();
    const client = await this.#ready;
    return new Promise((resolve, reject) => {
      client.exec("docker system dial-stdio", (error, stream) => {
        if (error) reject(error);
        else resolve(stream);
      });
    });
  }

  #connect(): Promise<Client> {
    const client = new Client();
    const forget = () => {
      this.#ready = undefined;
    };
    return new Promise((resolve, reject) => {
      client.once("ready", () => resolve(client));
      client.on("error", (error) => {
        forget();
        reject(error);
      });
      client.once("close", forget);
      client.connect(this.#config);
    });
  }

  override destroy(): void {
    this.#ready?.then((client) => client.end()).catch(() => {});
    super.destroy();
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/** Whether OpenSSH's `known_hosts` has this key for this host, by name or by hashed name. */
export function isKnownHost(knownHosts: string, host: string, key: Buffer): boolean {
  const wanted = key.toString("base64");
  for (const line of knownHosts.split("\n")) {
    const [names, , blob] = line.trim().split(/\s+/);
    if (names === undefined || blob !== wanted || /^[#@]/.test(names)) continue;
    if (names.split(",").some((name) => isName(name, host))) return true;
  }
  return false;
}

function isName(name: string, host: string): boolean {
  const [, salt, hash] = /^\|1\|([^|]+)\|(.+)$/.exec(name) ?? [];
  if (salt === undefined) return name === host;
  return createHmac("sha1", Buffer.from(salt, "base64")).update(host).digest("base64") === hash;
}
