import { readFileSync } from "node:fs";
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { homedir } from "node:os";
import { join } from "node:path";
import type { DockerOptions } from "../../model/provider-settings.ts";
import { sshOptions } from "./ssh.ts";

/** Where the engine is and how to speak to it; what its client is made from. */
export interface Endpoint {
  /** As people write it: `unix:///var/run/docker.sock`. */
  readonly name: string;
  readonly modem: ModemOptions;
  /** Set when `DOCKER_API_VERSION` fixes it. */
  readonly apiVersion: string | undefined;
  readonly isSsh: boolean;
}

/** What docker-modem is made from: more than its types say. */
export interface ModemOptions {
  readonly socketPath?: string;
  readonly host?: string;
  readonly port?: number;
  readonly protocol?: "http" | "https";
  readonly agent?: HttpAgent;
  readonly headers?: Record<string, string>;
}

export type EngineOptions = Pick<DockerOptions, "endpoint" | "username" | "password" | "tls">;

/**
 * Reads the settings, and `DOCKER_HOST`, `DOCKER_CERT_PATH`, `DOCKER_TLS_VERIFY` and `DOCKER_API_VERSION`, which win
 * over them as they do with the `docker` command. Throws with a reason when they make no sense.
 */
export function readEndpoint(options: EngineOptions, env: NodeJS.ProcessEnv): Endpoint {
  const name = endpointName(options, env);
  const url = URL.parse(name.includes("://") ? name : `tcp://${name}`);
  if (url === null) throw new Error(`expected an address such as unix:///var/run/docker.sock, found ${name}`);
  const apiVersion = env["DOCKER_API_VERSION"]?.replace(/^v/, "") || undefined;
  const rest = { name, apiVersion, isSsh: url.protocol === "ssh:" };
  switch (url.protocol) {
    case "unix:":
      return { ...rest, modem: modemOf({ socketPath: decodeURIComponent(url.pathname) }) };
    case "ssh:":
      return { ...rest, modem: modemOf(sshOptions(url, env)) };
    case "tcp:":
    case "http:":
    case "https:":
      return { ...rest, modem: modemOf(networkOptions(url, options, env)) };
    default:
      throw new Error(`expected unix://, tcp://, http://, https:// or ssh://, found ${name}`);
  }
}

/** The address as it was written, whoever wrote it. */
export const endpointName = (options: Pick<EngineOptions, "endpoint">, env: NodeJS.ProcessEnv): string =>
  env["DOCKER_HOST"] || options.endpoint;

// The library reads DOCKER_HOST by itself where we leave something out, so nothing is left out.
function modemOf(options: ModemOptions): ModemOptions {
  const blank = {
    host: undefined,
    port: undefined,
    protocol: undefined,
    username: undefined,
    timeout: undefined,
  };
  return {
    ...blank,
    ca: undefined,
    cert: undefined,
    key: undefined,
    pathPrefix: "/",
    ...options,
  } as ModemOptions;
}

function networkOptions(url: URL, options: EngineOptions, env: NodeJS.ProcessEnv): ModemOptions {
  const tls = tlsOf(options, env);
  const secure = url.protocol === "https:" || tls !== undefined;
  const port = url.port === "" ? (secure ? 2376 : 2375) : Number(url.port);
  const login = options.username && options.password;
  const basic = Buffer.from(`${options.username}:${options.password}`).toString("base64");
  return {
    host: url.hostname,
    port,
    protocol: secure ? "https" : "http",
    agent: secure ? new HttpsAgent({ ...tls }) : new HttpAgent(),
    ...(login && { headers: { Authorization: `Basic ${basic}` } }),
  };
}

interface Tls {
  ca?: string;
  cert?: string;
  key?: string;
  rejectUnauthorized: boolean;
}

function tlsOf({ tls }: EngineOptions, env: NodeJS.ProcessEnv): Tls | undefined {
  const verify = env["DOCKER_TLS_VERIFY"] ? true : undefined;
  const folder = env["DOCKER_CERT_PATH"] || (verify && join(homedir(), ".docker"));
  if (folder) {
    const read = (file: string) => readFileSync(join(folder, file), "utf8");
    return {
      ca: read("ca.pem"),
      cert: read("cert.pem"),
      key: read("key.pem"),
      rejectUnauthorized: verify ?? false,
    };
  }
  if (tls === undefined) return undefined;
  const { ca, cert, key } = tls;
  return {
    ...(ca && { ca: pem(ca) }),
    ...(cert && { cert: pem(cert) }),
    ...(key && { key: pem(key) }),
    rejectUnauthorized: !tls.insecureSkipVerify,
  };
}

const pem = (text: string) => (text.includes("-----BEGIN ") ? text : readFileSync(text, "utf8"));
