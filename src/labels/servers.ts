import type { LabelServiceOptions } from "../model/dynamic.ts";
import type { ServerSpec } from "../model/snapshot.ts";
import type { Unavailable, Workload, WorkloadPort } from "../model/workload.ts";
import type { Place } from "../schema/node.ts";
import { quote } from "../schema/problem.ts";
import { complain, type Reader } from "../schema/reader.ts";
import { addressOf, type Neighbourhood } from "./address.ts";
import type { LabelOptions } from "./options.ts";
import { readServerUrl } from "./server-url.ts";

export type LabelServer = NonNullable<NonNullable<LabelServiceOptions["loadBalancer"]>["server"]>;

export interface ServerContext {
  readonly workload: Workload;
  /** Why the container may not take requests now, whatever its address. */
  readonly unavailable: Unavailable | undefined;
  readonly network: string;
  readonly around: Neighbourhood;
  readonly options: LabelOptions;
  readonly trusted: boolean;
  /** Where the server's labels are, or would be. */
  readonly place: (option: string) => Place;
  readonly reader: Reader;
}

export const NO_SERVER: LabelServer = { url: "", scheme: "", port: "", weight: 1, preservePath: false };

/** The container as a server of one of its services, or why it is none. Undefined: its labels are wrong. */
export function serverOf(label: LabelServer, context: ServerContext): ServerSpec | Unavailable | undefined {
  const { workload, reader, place } = context;
  if (label.url !== "") return serverByUrl(label, context);
  const scheme = label.scheme || "http";
  const port = portOf(label, context);
  if (port === undefined) return undefined;
  if (context.unavailable !== undefined) {
    sayUnhealthy(context);
    return context.unavailable;
  }
  sayUnexposed(port, context);
  if (port === "none") {
    const detail = `${workload.name} exposes no TCP port; name one with the label ${place("port").key}`;
    complain(reader, place("port"), "no-port", detail, undefined, "warning");
    return { workload: workload.id, fault: "no-port", detail, retryAfterS: 0 };
  }
  const bound = context.options.useBindPortIP ? boundPort(workload, port) : undefined;
  if (bound !== undefined) return specOf(label, workload, scheme, bound.publicIp!, bound.publicPort!);
  const address = addressOf(workload, context.network, context.around);
  if ("fault" in address) {
    complain(reader, networkPlace(workload), address.fault, address.detail, undefined, "warning");
    return { workload: workload.id, fault: address.fault, detail: address.detail, retryAfterS: 0 };
  }
  if (address.warning !== undefined) {
    const { warning, suggestion } = address;
    complain(reader, networkPlace(workload), "no-such-network", warning, suggestion, "warning");
  }
  return specOf(label, workload, scheme, address.host, port);
}

// The other reasons pass by themselves, or are what somebody has just asked for.
function sayUnhealthy({ unavailable, workload, reader }: ServerContext): void {
  if (unavailable?.fault !== "unhealthy") return;
  const place: Place = { source: "label", key: "", workload: workload.name };
  complain(reader, place, "unhealthy", unavailable.detail, undefined, "warning");
}

function sayUnexposed(port: number | "none", { workload, reader, place }: ServerContext): void {
  const exposed = workload.ports
    .filter(({ protocol }) => protocol === "tcp")
    .map(({ privatePort }) => privatePort);
  if (port === "none" || exposed.length === 0 || exposed.includes(port)) return;
  const known = [...new Set(exposed)].sort((a, b) => a - b);
  const message = `${workload.name} exposes ${known.join(", ")}, not ${port}: if nobody listens there, clients get 502`;
  const suggestion = known.length === 1 ? String(known[0]) : undefined;
  complain(reader, place("port"), "unexposed-port", message, suggestion, "warning");
}

function serverByUrl(label: LabelServer, context: ServerContext): ServerSpec | Unavailable | undefined {
  const { workload, options, trusted, reader, place } = context;
  if (label.scheme !== "" || label.port !== "") {
    complain(
      reader,
      place("url"),
      "bad-value",
      "url already says the scheme and the port: leave the labels scheme and port out",
    );
    return undefined;
  }
  const policy = {
    trusted,
    allowExternalUrls: options.allowExternalUrls,
    workload,
    addresses: context.around.addresses,
  };
  const server = readServerUrl(label.url, label.preservePath, policy);
  if (typeof server === "string") {
    complain(reader, place("url"), "refused-url", `${server}, found ${quote(label.url)}`);
    return undefined;
  }
  if (context.unavailable !== undefined) return context.unavailable;
  return { ...server, id: `${workload.id} ${server.url}`, weight: label.weight, workload: workload.id };
}

function portOf(label: LabelServer, { workload, reader, place }: ServerContext): number | "none" | undefined {
  if (label.port !== "") {
    const port = /^\d{1,5}$/.test(label.port) ? Number(label.port) : 0;
    if (port >= 1 && port <= 65535) return port;
    complain(
      reader,
      place("port"),
      "bad-value",
      `expected a port from 1 to 65535, found ${quote(label.port)}`,
    );
    return undefined;
  }
  const tcp = workload.ports
    .filter(({ protocol }) => protocol === "tcp")
    .map(({ privatePort }) => privatePort);
  return tcp.length === 0 ? "none" : Math.min(...tcp);
}

function boundPort(workload: Workload, port: number): WorkloadPort | undefined {
  return workload.ports.find(
    ({ privatePort, protocol, publicIp, publicPort }) =>
      privatePort === port &&
      protocol === "tcp" &&
      publicPort !== undefined &&
      publicIp &&
      !/^(?:0\.0\.0\.0|::)$/.test(publicIp),
  );
}

function specOf(
  label: LabelServer,
  workload: Workload,
  scheme: ServerSpec["scheme"],
  host: string,
  port: number,
): ServerSpec {
  const url = `${scheme}://${host.includes(":") ? `[${host}]` : host}:${port}`;
  return {
    id: `${workload.id} ${url}`,
    scheme,
    host,
    port,
    path: "",
    weight: label.weight,
    url,
    workload: workload.id,
  };
}

/** The label that names the network, or the container itself where none does. */
function networkPlace({ labels, name }: Workload): Place {
  const key = ["waybill.docker.network", "traefik.docker.network"].find((label) => labels.has(label)) ?? "";
  return { source: "label", key, workload: name };
}
