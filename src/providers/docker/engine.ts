import type { IncomingMessage } from "node:http";
import Docker from "dockerode";
import type { Endpoint } from "./endpoint.ts";
import { EngineError, explainEngineError } from "./engine-error.ts";

/** What the list says of one container: the part that we use. */
export interface ListedContainer {
  readonly Id: string;
  readonly Names?: readonly string[] | null;
  readonly Image?: string;
  /** Seconds since 1970. */
  readonly Created?: number;
  readonly State?: string;
  readonly Status?: string;
  readonly Labels?: Readonly<Record<string, string>> | null;
  readonly Ports?: readonly ListedPort[] | null;
  readonly HostConfig?: { readonly NetworkMode?: string };
  readonly NetworkSettings?: { readonly Networks?: Readonly<Record<string, ListedNetwork>> | null };
}

export interface ListedPort {
  readonly IP?: string;
  readonly PrivatePort: number;
  readonly PublicPort?: number;
  readonly Type: string;
}

export interface ListedNetwork {
  readonly NetworkID?: string;
  readonly IPAddress?: string;
  readonly GlobalIPv6Address?: string;
  readonly Gateway?: string;
}

export interface InspectedContainer {
  readonly Config?: {
    readonly ExposedPorts?: Readonly<Record<string, unknown>> | null;
    readonly StopSignal?: string;
  };
}

export interface EngineEvent {
  readonly Type?: string;
  readonly Action?: string;
  readonly Actor?: { readonly ID?: string; readonly Attributes?: Readonly<Record<string, string>> };
}

// What we need has been there since 1.24; newer than what we know could mean something else.
const OLDEST_API = 1.24;
const NEWEST_API = "1.51";
const PING_MS = 10_000;
const LIST_MS = 10_000;

const EVENTS = [
  ...["create", "start", "restart", "die", "kill", "stop", "pause", "unpause", "rename", "update", "oom"],
  ...["health_status", "destroy", "connect", "disconnect"],
];

/** The engine's API as far as we need it. Only GET: whoever takes us over gets no hand on the containers from here. */
export class Engine {
  readonly endpoint: Endpoint;
  readonly #timeoutMs: number;
  #docker: Docker;

  constructor(endpoint: Endpoint, timeoutMs: number) {
    this.endpoint = endpoint;
    this.#timeoutMs = timeoutMs;
    this.#docker = new Docker({ ...endpoint.modem, version: "" } as Docker.DockerOptions);
  }

  /** Finds the API version that both sides speak. Throws when there is none. */
  async negotiate(): Promise<void> {
    const offered = this.endpoint.apiVersion ?? (await this.#offeredVersion());
    if (offered !== undefined && compareVersions(offered, String(OLDEST_API)) < 0) {
      throw new EngineError(`speaks API ${offered}; Waybill needs ${OLDEST_API} (Docker 1.12) or newer`);
    }
    const version = offered && (compareVersions(offered, NEWEST_API) > 0 ? NEWEST_API : offered);
    const modem = { ...this.endpoint.modem, version: version === undefined ? "" : `v${version}` };
    this.#docker = new Docker(modem as Docker.DockerOptions);
  }

  async #offeredVersion(): Promise<string | undefined> {
    const ping = await this.#unlessDenied("/_ping", true);
    (ping as IncomingMessage | undefined)?.resume();
    const offered = (ping as IncomingMessage | undefined)?.headers["api-version"];
    if (typeof offered === "string") return offered;
    const version = await this.#unlessDenied("/version", false);
    return (version as { ApiVersion?: string } | undefined)?.ApiVersion;
  }

  async ping(): Promise<void> {
    const reply = await this.#unlessDenied("/_ping", true);
    (reply as IncomingMessage | undefined)?.resume();
  }

  // A socket proxy may keep these two to itself: without them the engine's newest API is spoken.
  async #unlessDenied(path: string, isStream: boolean): Promise<unknown> {
    try {
      return await this.#get(path, PING_MS, isStream);
    } catch (error) {
      if (error instanceof EngineError && (error.status === 403 || error.status === 404)) return undefined;
      throw error;
    }
  }

  /** All containers, running or not, or those of the given ids. Throws rather than giving a part. */
  async list(ids?: readonly string[]): Promise<readonly ListedContainer[]> {
    const filters = ids === undefined ? "" : `&filters=${encodeURIComponent(JSON.stringify({ id: ids }))}`;
    const found = await this.#get(`/containers/json?all=1${filters}&`, LIST_MS);
    if (!Array.isArray(found)) throw new EngineError("gave a list of containers that ends in the middle");
    return found as ListedContainer[];
  }

  /** Ends connections that are kept open. */
  close(): void {
    this.endpoint.modem.agent?.destroy();
  }

  async inspect(id: string): Promise<InspectedContainer> {
    return (await this.#get(`/containers/${id}/json`, LIST_MS)) as InspectedContainer;
  }

  /** Lines of JSON, until the engine ends it or `signal` aborts. Only the wait for its head has a limit. */
  async events(signal: AbortSignal): Promise<IncomingMessage> {
    const filters = JSON.stringify({ type: ["container", "network"], event: EVENTS });
    const path = `/events?filters=${encodeURIComponent(filters)}&`;
    const tooLate = new AbortController();
    const timer = setTimeout(() => tooLate.abort(), this.#timeoutMs || LIST_MS);
    try {
      return (await this.#dial(path, true, AbortSignal.any([signal, tooLate.signal]))) as IncomingMessage;
    } finally {
      clearTimeout(timer);
    }
  }

  #get(path: string, timeoutMs: number, isStream = false): Promise<unknown> {
    return this.#dial(path, isStream, AbortSignal.timeout(this.#timeoutMs || timeoutMs));
  }

  // docker-modem takes the last character of a query away, where it would have put its own options.
  #dial(path: string, isStream: boolean, abortSignal: AbortSignal): Promise<unknown> {
    const statusCodes = { 200: true };
    return new Promise((resolve, reject) => {
      this.#docker.modem.dial({ path, method: "GET", isStream, abortSignal, statusCodes }, (error, reply) => {
        if (error) reject(explainEngineError(error, path, this.endpoint));
        else resolve(reply);
      });
    });
  }
}

function compareVersions(a: string, b: string): number {
  const [majorA = 0, minorA = 0] = a.split(".").map(Number);
  const [majorB = 0, minorB = 0] = b.split(".").map(Number);
  return majorA - majorB || minorA - minorB;
}
