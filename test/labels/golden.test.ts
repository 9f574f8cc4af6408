import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { test } from "node:test";
import { parse, stringify } from "yaml";
import type { LabelOptions } from "../../src/labels/options.ts";
import type { Declaration } from "../../src/model/declared.ts";
import {
  fileServiceOptions,
  routerOptions,
  tlsOptionsOptions,
  tlsStoreOptions,
  transportOptions,
} from "../../src/model/dynamic.ts";
import type { Workload } from "../../src/model/workload.ts";
import { Node } from "../../src/schema/node.ts";
import type { Options } from "../../src/schema/option.ts";
import { readOptions } from "../../src/schema/read-options.ts";
import { redact } from "../../src/schema/redact.ts";
import { container, lines, network, REGISTRY, read, selfOn } from "./helper.ts";

/**
 * Each pair in test/golden/labels is containers with labels, and what comes of them: what differs from the defaults,
 * then the problems. `UPDATE_GOLDEN=1` writes the second file anew; read the difference before you keep it.
 */
interface Golden {
  readonly options?: Partial<LabelOptions>;
  /** Networks of Waybill's own container. */
  readonly self?: readonly string[];
  readonly containers: readonly {
    readonly name: string;
    readonly labels?: Record<string, string>;
    readonly state?: Workload["state"];
    readonly health?: Workload["health"];
    readonly stopping?: boolean;
    readonly networkMode?: string;
    readonly networks?: Record<string, string>;
    readonly ports?: readonly (number | string)[];
    readonly id?: string;
  }[];
}

for (const file of globSync("test/golden/labels/*.in.yml").sort()) {
  test(`golden: ${basename(file, ".in.yml").replaceAll("-", " ")}`, () => {
    const expected = file.replace(".in.yml", ".out.yml");
    const actual = stringify(outcome(parse(readFileSync(file, "utf8"), { merge: true }) as Golden), {
      lineWidth: 0,
    });
    if (process.env["UPDATE_GOLDEN"] === "1" || !existsSync(expected)) writeFileSync(expected, actual);
    assert.equal(actual, readFileSync(expected, "utf8"));
  });
}

function outcome(golden: Golden): Record<string, unknown> {
  const workloads = golden.containers.map(({ name, labels, networks, ports, ...rest }, index) =>
    container(name, labels, {
      createdAtMs: (index + 1) * 1000,
      ...rest,
      ...(networks && {
        networks: Object.entries(networks).map(([key, address]) => networkOf(key, address)),
      }),
      ...(ports && { ports: ports.map(portOf) }),
    }),
  );
  return shown(read(workloads, golden.options, golden.self && selfOn(...golden.self)));
}

const networkOf = (name: string, address: string) =>
  address.includes(":") ? network(name, "", address) : network(name, address);

function portOf(port: number | string): Workload["ports"][number] {
  const [number, protocol = "tcp"] = String(port).split("/");
  return { privatePort: Number(number), protocol: protocol as "tcp" | "udp" };
}

function shown(declaration: Declaration): Record<string, unknown> {
  const { routers, services, middlewares, transports, tlsOptions, tlsStores, problems, unrouted } =
    declaration;
  const result = {
    routers: each(routers, ({ byDefaultRule, createdAtMs, ...router }) => ({
      ...unusual(routerOptions, router),
      ...(byDefaultRule && { byDefaultRule }),
    })),
    services: each(services, ({ loadBalancer, ...service }) => {
      const { servers = [], unavailable = [], ...balancing } = loadBalancer ?? {};
      return {
        ...unusual(fileServiceOptions, { ...service, loadBalancer: loadBalancer && balancing }),
        ...(servers.length > 0 && {
          servers: servers.map(
            ({ url, weight, path }) =>
              `${url}${weight === 1 ? "" : ` weight ${weight}`}${path && ` path ${path}`}`,
          ),
        }),
        ...(unavailable.length > 0 && {
          unavailable: unavailable.map(({ fault, detail }) => `${fault}: ${detail}`),
        }),
      };
    }),
    middlewares: each(middlewares, ({ type, options }) => ({
      [type]: REGISTRY.has(type) ? unusual(REGISTRY.get(type)!.options, options) : {},
    })),
    transports: each(transports, (value) => unusual(transportOptions, value)),
    tlsOptions: each(tlsOptions, (value) => unusual(tlsOptionsOptions, value)),
    tlsStores: each(tlsStores, (value) => unusual(tlsStoreOptions, value)),
    tlsCertificates: declaration.tlsCertificates.map(
      ({ place, broken }) => `${place.key}${broken ? " (broken)" : ""}`,
    ),
    unrouted: Object.fromEntries(unrouted ?? []),
    problems: problems.map(
      (problem, index) =>
        `${problem.severity}${problem.subject ? ` of ${problem.subject.kind} ${problem.subject.name}` : ""}: ${lines(problems)[index]}`,
    ),
  };
  return Object.fromEntries(Object.entries(result).filter(([, value]) => Object.keys(value).length > 0));
}

function each<T>(
  declared: ReadonlyMap<string, { readonly value: T; readonly broken: boolean }>,
  show: (value: T) => Record<string, unknown>,
): Record<string, unknown> {
  return Object.fromEntries(
    [...declared].map(([name, { value, broken }]) => [broken ? `${name} (broken)` : name, show(value)]),
  );
}

const SILENT = { report() {}, secret: (text: string) => text };

/** Without the options that are as they would be if nobody had said anything. */
function unusual(options: Options, values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const usual = redact(options, readOptions(options, new Node("", { source: "default", key: "" }), SILENT));
  const result: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(redact(options, values))) {
    if (JSON.stringify(value) === JSON.stringify(usual[name])) continue;
    const inside = options[name]?.kind.options;
    result[name] = inside ? unusual(inside, values[name] as Record<string, unknown>) : value;
  }
  return result;
}
