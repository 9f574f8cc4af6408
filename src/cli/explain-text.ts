import { isOwnElsewhere } from "../admin/own-elsewhere.ts";
import type { Explanation } from "../admin/shapes.ts";
import { printable } from "../schema/problem.ts";

const SHOWN_MAX = 8;

/** The explanation as one would tell it: in the order in which things happen, the conclusion first. */
export function tell(found: Explanation): string {
  const { request, diagnosis } = found;
  const paragraphs = [
    `${printable(request.method)} ${printable(request.url)} from ${request.from}\n${sentence(diagnosis)}`,
    arrival(found),
    routersTried(found),
    ...(found.routed
      ? [onTheWay(found), arrivalAtServers(found), certificate(found)]
      : [near(found), leftOut(found)]),
  ];
  return `${paragraphs.filter((text) => text !== "").join("\n\n")}\n`;
}

const sentence = (text: string) => {
  const lines = text.split("\n").map((line) => printable(line, 2000));
  const whole = lines.join("\n");
  const first = whole.charAt(0).toUpperCase() + whole.slice(1);
  return /[.?!)^]$/.test(first) ? first : `${first}.`;
};

function arrival({ entryPoint, request }: Explanation): string {
  if (entryPoint === undefined) return "";
  const how = request.scheme === "https" ? "over HTTPS" : "as plain HTTP";
  return `It comes in ${how} on the entry point ${entryPoint.name} (${entryPoint.address}).`;
}

function routersTried({ considered, consideredMore, router }: Explanation): string {
  if (considered.length === 0) return "No router is in force.";
  const missed = considered.filter((one) => !one.matched && !isOwnElsewhere(one));
  const shown = missed.slice(0, SHOWN_MAX).map(({ router: name, priority, reasons }) => {
    const reason = reasons.map((one) => printable(one)).join("; ");
    return `  ${printable(name)} (priority ${priority}) does not take it: ${reason}.`;
  });
  const more = missed.length - shown.length + consideredMore;
  if (more > 0) shown.push(`  Nor do ${more} more.`);
  if (router !== undefined) {
    shown.push(
      `  ${printable(router.name)} takes it: ${printable(router.why)}.`,
      `    ${printable(router.rule, 2000)}`,
    );
  }
  return `Routers, in the order in which they are tried:\n${shown.join("\n")}`;
}

/** The first line: below it stands the rule with a caret, which the heading has shown. */
const firstLine = (text: string) => printable(text.split("\n", 1)[0]!, 1000);

function onTheWay({ middlewares }: Explanation): string {
  if (middlewares.length === 0) return "No middleware stands in between.";
  const lines = middlewares.map(({ name, type, options }) => {
    const told = Object.entries(options).map(([key, value]) => `${key} ${JSON.stringify(value)}`);
    return `  ${printable(name)} (${printable(type)})${told.length > 0 ? `: ${printable(told.join(", "), 1000)}` : ""}`;
  });
  return `It passes ${middlewares.length === 1 ? "one middleware" : `${middlewares.length} middlewares, in this order`}:\n${lines.join("\n")}`;
}

const STATES = { up: "is up", unhealthy: "is unhealthy", resting: "rests after failures" } as const;

function arrivalAtServers({ service, servers, unavailable }: Explanation): string {
  if (service === undefined) return "";
  if (service.name.endsWith("@internal"))
    return `It goes to the service ${printable(service.name)}, which is Waybill's own.`;
  const lines = servers.map(({ url, state, inFlight }) => {
    const busy = inFlight > 0 ? `, with ${inFlight} requests under way` : "";
    return `  ${printable(url)} ${STATES[state]}${busy}.`;
  });
  lines.push(...unavailable.map((reason) => `  Not available: ${printable(reason)}.`));
  const where = `It goes to the service ${printable(service.name)}`;
  return lines.length === 0 ? `${where}.` : `${where}, whose servers are:\n${lines.join("\n")}`;
}

function certificate({ certificate: shown }: Explanation): string {
  if (shown === undefined) return "";
  const { names, issuer, notAfter, note } = shown;
  if (note !== undefined) return sentence(note);
  const shownNames = names.map((name) => printable(name)).join(", ");
  return `The certificate shown is for ${shownNames}, by ${printable(issuer)}, until ${notAfter.slice(0, 10)}.`;
}

function near({ nearRules, nearest }: Explanation): string {
  const lines = [
    ...nearRules.map(({ router, reason }) => `  ${printable(router)}: ${printable(reason, 1000)}`),
    ...nearest.map(
      ({ host, routers }) =>
        `  the host ${printable(host)}, by ${routers.map((name) => printable(name)).join(", ")}`,
    ),
  ];
  return lines.length === 0 ? "" : `What comes nearest:\n${lines.join("\n")}`;
}

function leftOut({ leftOut: out }: Explanation): string {
  if (out.length === 0) return "";
  const lines = out
    .slice(0, SHOWN_MAX * 2)
    .map(({ kind, name, reason }) => `  ${kind} ${printable(name)}: ${firstLine(reason)}`);
  if (out.length > lines.length) lines.push(`  and ${out.length - lines.length} more`);
  return `Not in force:\n${lines.join("\n")}`;
}
