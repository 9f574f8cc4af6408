import { nearHosts, nearLabel } from "../lib/near-host.ts";
import type { Exchange } from "../model/exchange.ts";
import type { Report, RouterReport, WorkloadReport } from "../model/report.ts";
import type { RouterSpec } from "../model/snapshot.ts";
import { explainMatch } from "../routing/explain.ts";
import {
  All,
  Any,
  ClientIpIn,
  type Condition,
  EscapedPathMatches,
  HostIs,
  HostMatches,
  HostUnder,
  MethodIs,
  Not,
  PathIs,
  PathMatches,
  PathStarts,
} from "../routing/match/conditions.ts";
import { parseRule } from "../routing/rule.ts";
import { describeProblem, printable } from "../schema/problem.ts";
import type { Explanation } from "./shapes.ts";

/** What nothing took came near to: rules, hosts, and what would have taken it were it in force. */
export type Missed = Pick<Explanation, "nearRules" | "nearest" | "leftOut">;

const NEAR_MAX = 3;
const LEFT_OUT_MAX = 50;

export function whatIsNear(report: Report, specs: readonly RouterSpec[], exchange: Exchange): Missed {
  const routers = [...report.routers.values()];
  const byHost = new Map<string, string[]>();
  for (const { status, hosts, name } of routers) {
    if (status === "disabled") continue;
    for (const one of hosts) byHost.set(one, [...(byHost.get(one) ?? []), name]);
  }
  const others = [...byHost.keys()].filter((host) => host !== exchange.host);
  const hosts = nearHosts(exchange.host, others, NEAR_MAX);
  return {
    nearRules: nearRules(specs, exchange).slice(0, NEAR_MAX),
    nearest: hosts.map((host) => ({ host, routers: byHost.get(host)! })),
    leftOut: leftOut(report, routers, exchange).slice(0, LEFT_OUT_MAX),
  };
}

/** One line that says why nothing took it: what is surest comes first. */
export function diagnoseMissed(
  exchange: Exchange,
  { nearRules: [rule], nearest: [near], leftOut: out }: Missed,
  report: Report,
): string {
  const { host, connection } = exchange;
  const router = out.find(({ kind }) => kind === "router");
  const isSure = router !== undefined && wouldTake(report.routers.get(router.name), exchange);
  const notInForce = router && `router ${router.name} would take it, but is not in force: ${router.reason}`;
  if (notInForce !== undefined && isSure) return notInForce;
  if (rule !== undefined) return `router ${rule.router} does not take it: ${rule.reason}`;
  const about = new Map(
    report.workloads.filter((one) => isAbout(one, host)).map((one) => [one.workload.name, one]),
  );
  const container = out.find(({ kind, name }) => kind === "container" && about.has(name));
  if (container !== undefined) {
    const state = about.get(container.name)!.routed ? "is routed elsewhere" : "is not routed";
    return `container ${container.name} ${state}: ${container.reason}`;
  }
  if (notInForce !== undefined) return notInForce;
  const hint = near === undefined ? "" : `; did you mean ${near.host}?`;
  return `no router takes ${host || "a request without a host"} on entry point ${connection.entryPoint}${hint}`;
}

// --- Routers in force that would take it but for one thing.

/** How much somebody would have to change, by what does not hold: a wrong entry point is a smaller slip than a path. */
const SLIP = { place: 1, method: 2, other: 4, client: 5, nearPath: 6, path: 10, host: 1000 } as const;

function nearRules(specs: readonly RouterSpec[], exchange: Exchange): Explanation["nearRules"] {
  const near = specs.flatMap((spec) => nearRule(spec, exchange) ?? []);
  return near.sort((a, b) => a.slip - b.slip).map(({ router, reason }) => ({ router, reason }));
}

function nearRule(spec: RouterSpec, exchange: Exchange) {
  const [tried] = explainMatch([spec], exchange);
  const parsed = parseRule(spec.rule, spec.ruleSyntax);
  // Ours stand on an entry point of their own, which nobody means by mistake.
  if (tried === undefined || tried.matched || "problem" in parsed || spec.provider === "internal") return;
  const { condition } = parsed.rule;
  const slip = slipOf(condition, exchange, asksHost(condition));
  if (slip >= SLIP.host) return;
  const [reason = ""] = tried.reasons;
  const isElsewhere = isWrongPlace(spec, exchange);
  const hint = isElsewhere ? otherScheme(spec, exchange) : didYouMean(condition, exchange);
  return { router: spec.name, reason: reason + hint, slip: slip + (isElsewhere ? SLIP.place : 0) };
}

function isWrongPlace({ entryPoints, tls }: RouterSpec, { connection }: Exchange): boolean {
  const isHttps = connection.tls !== undefined;
  return !entryPoints.includes(connection.entryPoint) || (tls !== undefined) !== isHttps;
}

function otherScheme({ tls }: RouterSpec, { connection, authority, path }: Exchange): string {
  if ((tls === undefined) === (connection.tls === undefined)) return "";
  return `; ask ${tls === undefined ? "http" : "https"}://${authority.replace(/:\d+$/, "")}${path}`;
}

/** Of `&&` all that fails counts, of `||` the part that fails least. */
function slipOf(condition: Condition, exchange: Exchange, hasHost: boolean): number {
  if (condition.holds(exchange)) return 0;
  if (condition instanceof All)
    return condition.parts.reduce((sum, part) => sum + slipOf(part, exchange, hasHost), 0);
  if (condition instanceof Any)
    return Math.min(...condition.parts.map((part) => slipOf(part, exchange, hasHost)));
  const leaf = condition instanceof Not ? condition.part : condition;
  if (isAboutHost(leaf)) return SLIP.host;
  if (leaf instanceof MethodIs) return SLIP.method;
  if (leaf instanceof ClientIpIn) return SLIP.client;
  if (nearPath(leaf, exchange) !== undefined) return SLIP.nearPath;
  // A rule without a host is near to nothing but to such a path.
  if (!hasHost) return SLIP.host;
  return isAboutPath(leaf) ? SLIP.path : SLIP.other;
}

const isAboutHost = (leaf: Condition) =>
  leaf instanceof HostIs || leaf instanceof HostUnder || leaf instanceof HostMatches;

const isAboutPath = (leaf: Condition) =>
  leaf instanceof PathIs ||
  leaf instanceof PathStarts ||
  leaf instanceof PathMatches ||
  leaf instanceof EscapedPathMatches;

function asksHost(condition: Condition): boolean {
  if (condition instanceof All || condition instanceof Any) return condition.parts.some(asksHost);
  return isAboutHost(condition);
}

function didYouMean(condition: Condition, exchange: Exchange): string {
  const [path] = pathsIn(condition, exchange);
  return path === undefined ? "" : `; did you mean ${path}?`;
}

function pathsIn(condition: Condition, exchange: Exchange): string[] {
  if (condition instanceof All || condition instanceof Any)
    return condition.parts.flatMap((part) => pathsIn(part, exchange));
  return nearPath(condition, exchange) ?? [];
}

/** The path that the condition asks for, if the request's looks like a slip of it. */
function nearPath(leaf: Condition, exchange: Exchange): [string] | undefined {
  if (leaf.holds(exchange)) return undefined;
  const { path } = exchange;
  const asked = leaf instanceof PathIs ? leaf.path : leaf instanceof PathStarts ? leaf.prefix : undefined;
  if (asked === undefined || asked === "/") return undefined;
  const theirs = asked.replace(/\/$/, "").split("/");
  const all = path.replace(/\/$/, "").split("/");
  const ours = leaf instanceof PathStarts ? all.slice(0, theirs.length) : all;
  const isNear =
    ours.length === theirs.length &&
    ours.every((part, i) => nearLabel(part.toLowerCase(), theirs[i]!.toLowerCase()) !== undefined);
  return isNear ? [asked] : undefined;
}

// --- What is not in force.

function leftOut(
  report: Report,
  routers: readonly RouterReport[],
  exchange: Exchange,
): Explanation["leftOut"][number][] {
  const { host } = exchange;
  const about = routers
    .filter((router) => router.status === "disabled" && (wouldTake(router, exchange) || names(router, host)))
    .sort((a, b) => Number(wouldTake(b, exchange)) - Number(wouldTake(a, exchange)));
  // A container that has other routers may have lost the one that was meant here.
  const containers = report.workloads
    .filter((one) => !one.routed || (one.problems.length > 0 && isAbout(one, host)))
    .sort((a, b) => Number(isAbout(b, host)) - Number(isAbout(a, host)));
  return [
    ...about.map(({ name, problems }) => ({
      kind: "router" as const,
      name,
      reason: problems.map(describeProblem).join("; ") || "it is not in force",
    })),
    ...containers.map(({ workload, reason, problems }) => ({
      kind: "container" as const,
      name: workload.name,
      reason: problems[0] === undefined ? reason : withoutName(describeProblem(problems[0]), workload.name),
    })),
  ];
}

const withoutName = (text: string, container: string) =>
  text.replace(`container ${printable(container)}, `, "").replace(`container ${printable(container)}: `, "");

/** A router out of force whose rule cannot be read takes what it names. */
export function wouldTake(router: RouterReport | undefined, exchange: Exchange): boolean {
  if (router === undefined) return false;
  const { rule, ruleSyntax } = router.declared;
  const spec = router.effective[0];
  const parsed = parseRule(spec?.rule ?? rule, spec?.ruleSyntax ?? (ruleSyntax === "v2" ? "v2" : "v3"));
  return "problem" in parsed ? names(router, exchange.host) : parsed.rule.condition.holds(exchange);
}

const names = ({ declared }: RouterReport, host: string) =>
  host !== "" && declared.rule.includes(`\`${host}\``);

function isAbout({ workload }: WorkloadReport, host: string): boolean {
  const [first = ""] = host.split(".");
  const own = [workload.name, workload.labels.get("com.docker.compose.service")];
  if (own.includes(first) || own.includes(host)) return true;
  return [...workload.labels.values()].some((value) => value.includes(host));
}
