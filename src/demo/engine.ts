import { createHash, randomBytes, randomInt } from "node:crypto";
import type { Server } from "node:http";
import { createWhoami, listen } from "./whoami.ts";

/** What a container of the demo is made from. */
export interface DemoSpec {
  readonly name: string;
  /** 64 hexadecimal digits; by chance if left out. */
  readonly id?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly image?: string;
  /** TCP ports that the image exposes; taken from its labels, or 8080, if left out. */
  readonly ports?: readonly number[];
  /** By network name: an address, `own` for its own, or the empty text for none. Its own on `bridge` if left out. */
  readonly networks?: Readonly<Record<string, string>>;
  readonly networkMode?: string;
  readonly health?: DemoHealth;
  /** Seconds since 1970. */
  readonly created?: number;
  /** False: nothing listens there, for tests with thousands of them. */
  readonly serve?: boolean;
}

export type DemoHealth = "none" | "starting" | "healthy" | "unhealthy";
export type DemoState = "created" | "running" | "paused" | "exited";

export interface DemoContainer {
  readonly id: string;
  name: string;
  readonly spec: DemoSpec;
  readonly created: number;
  state: DemoState;
  health: DemoHealth;
  networks: Map<string, string>;
  ports: number[];
  server: Server | undefined;
}

export interface DemoEvent {
  readonly Type: "container" | "network";
  readonly Action: string;
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> };
  readonly time: number;
  readonly timeNano: number;
}

/** Containers that exist only here, each a real HTTP service on loopback. `api.ts` makes it look like Docker. */
export class DemoEngine {
  readonly #containers = new Map<string, DemoContainer>();
  readonly #listeners = new Set<(event: DemoEvent) => void>();
  // Two demos on one machine must not take each other's addresses.
  readonly #prefix = `127.${randomInt(64, 128)}.${randomInt(256)}`;
  #addresses = 1;

  containers(): DemoContainer[] {
    return [...this.#containers.values()];
  }

  /** By name, id or the beginning of an id. */
  find(reference: string): DemoContainer | undefined {
    const all = this.containers();
    return (
      this.#containers.get(reference) ??
      all.find(({ name }) => name === reference) ??
      (reference === "" ? undefined : all.find(({ id }) => id.startsWith(reference)))
    );
  }

  create(spec: DemoSpec): DemoContainer {
    if (this.containers().some(({ name }) => name === spec.name))
      throw new Error(`the name ${spec.name} is taken`);
    const container: DemoContainer = {
      id: spec.id ?? randomBytes(32).toString("hex"),
      name: spec.name,
      spec,
      created: spec.created ?? Math.floor(Date.now() / 1000),
      state: "created",
      health: spec.health ?? "none",
      networks: new Map(Object.entries(spec.networks ?? {})),
      ports: [...(spec.ports ?? portsIn(spec.labels ?? {}))],
      server: undefined,
    };
    this.#containers.set(container.id, container);
    this.#tell(container, "create");
    return container;
  }

  async start(container: DemoContainer): Promise<void> {
    if (container.state === "running") return;
    if (container.spec.serve !== false) await this.#serve(container);
    else if (container.spec.networks === undefined) container.networks.set("bridge", this.#nextAddress());
    container.state = "running";
    this.#tell(container, "start");
  }

  async add(spec: DemoSpec): Promise<DemoContainer> {
    const container = this.create(spec);
    await this.start(container);
    return container;
  }

  /** The signal comes first, as in Docker: who listens can stop sending requests before the server goes. */
  async stop(container: DemoContainer, { graceMs = 50, signal = "15" } = {}): Promise<void> {
    if (container.state !== "running" && container.state !== "paused") return;
    this.#tell(container, "kill", { signal });
    await new Promise((resolve) => setTimeout(resolve, graceMs));
    await this.die(container);
    this.#tell(container, "stop");
  }

  /** Ends it without a warning, as a crash does. */
  async die(container: DemoContainer): Promise<void> {
    container.state = "exited";
    if (container.spec.networks === undefined) container.networks.clear();
    const { server } = container;
    container.server = undefined;
    server?.closeAllConnections();
    server?.close();
    this.#tell(container, "die", { exitCode: "0" });
  }

  /** A signal that the process survives. */
  signal(container: DemoContainer, signal: string): void {
    this.#tell(container, "kill", { signal });
  }

  async remove(container: DemoContainer): Promise<void> {
    await this.stop(container);
    this.#containers.delete(container.id);
    this.#tell(container, "destroy");
  }

  pause(container: DemoContainer): void {
    container.state = "paused";
    this.#tell(container, "pause");
  }

  unpause(container: DemoContainer): void {
    container.state = "running";
    this.#tell(container, "unpause");
  }

  rename(container: DemoContainer, name: string): void {
    container.name = name;
    this.#tell(container, "rename");
  }

  setHealth(container: DemoContainer, health: DemoHealth): void {
    container.health = health;
    this.#tell(container, `health_status: ${health}`);
  }

  connect(container: DemoContainer, network: string, address: string): void {
    container.networks.set(network, address);
    this.#tellNetwork(container, network, "connect");
  }

  disconnect(container: DemoContainer, network: string): void {
    container.networks.delete(network);
    this.#tellNetwork(container, network, "disconnect");
  }

  onEvent(listener: (event: DemoEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#listeners.clear();
    await Promise.all(this.containers().map((container) => this.die(container)));
    this.#containers.clear();
  }

  async #serve(container: DemoContainer): Promise<void> {
    const server = createWhoami(container.name);
    const { host, port } = await listen(server, this.#nextAddress(), container.ports[0] ?? 0);
    container.server = server;
    container.ports = [port];
    const networks = Object.entries(container.spec.networks ?? { bridge: "own" });
    for (const [name, address] of networks) if (address === "own") container.networks.set(name, host);
  }

  #nextAddress(): string {
    this.#addresses = (this.#addresses % 254) + 1;
    return `${this.#prefix}.${this.#addresses}`;
  }

  #tell(container: DemoContainer, action: string, attributes: Record<string, string> = {}): void {
    const { id, name, spec } = container;
    const all = { ...spec.labels, ...attributes, image: spec.image ?? "demo", name };
    this.#send({ Type: "container", Action: action, Actor: { ID: id, Attributes: all }, ...now() });
  }

  #tellNetwork(container: DemoContainer, network: string, action: string): void {
    const attributes = { container: container.id, name: network, type: "bridge" };
    this.#send({
      Type: "network",
      Action: action,
      Actor: { ID: networkId(network), Attributes: attributes },
      ...now(),
    });
  }

  #send(event: DemoEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}

export function networkId(name: string): string {
  return createHash("sha256").update(name).digest("hex");
}

function now(): { time: number; timeNano: number } {
  const ms = Date.now();
  return { time: Math.floor(ms / 1000), timeNano: ms * 1e6 };
}

// An image listens where its labels say that it does.
function portsIn(labels: Readonly<Record<string, string>>): number[] {
  const named = Object.entries(labels).filter(([key]) => /(?:^waybill|\.server)\.port$/i.test(key));
  const ports = named.map(([, value]) => Number(value)).filter((port) => port > 0 && port <= 65535);
  return ports.length === 0 ? [8080] : [...new Set(ports)];
}
