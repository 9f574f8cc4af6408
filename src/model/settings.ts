import { nameOnly as gone, group, list, mapOf } from "../schema/composites.ts";
import { bool, choice, count, percent, statusCode, text } from "../schema/kinds.ts";
import type { Options, Values } from "../schema/option.ts";
import { transportOptions } from "./dynamic.ts";
import { entryPointOptions, NO_HTTP3 } from "./entry-point.ts";
import { accessLogOptions, logOptions } from "./log-settings.ts";
import { NOT_DOCKER, providers } from "./provider-settings.ts";
import { resolver } from "./resolver-settings.ts";
import { metrics, tracing } from "./telemetry-settings.ts";

/**
 * Everything that is settled before the first request: flags, environment and the settings file all write into
 * this one declaration. What the routers say is in `dynamic.ts`.
 */

const transport = group(transportOptions);
const transportDefaults = transport({
  doc: "How servers are connected to whose service names no transport.",
  always: true,
});

const NO_TCP = "TCP and UDP routers are not part of Waybill";
const NO_PLUGINS =
  "Traefik's plug-ins are Go programs that cannot run here, and routers with a plug-in's middleware stay closed; most have a middleware of our own in their place";
const NO_FLATTENING = "CNAMEs are not followed, so nothing of theirs is asked for";

export const settingsOptions = {
  entryPoints: mapOf(group(entryPointOptions, { enabler: true }))({
    doc: "Where clients connect. Without any, `http` listens on port 80.",
  }),
  providers: providers({ doc: "Where routes come from. Without any, Docker is watched.", always: true }),
  certificatesResolvers: mapOf(resolver)({ doc: "Who gets certificates." }),
  api: group(
    {
      insecure: bool({
        doc: "Show API and dashboard, without a login, on the entry point `traefik`.",
        default: "false",
      }),
      dashboard: bool({ doc: "Serve the dashboard.", default: "true" }),
      basePath: text({ doc: "Path under which both are.", default: "/" }),
      dashboardName: text({ doc: "Name shown in the dashboard.", default: "" }),
      allowedHosts: list(text)({
        doc: "Host names under which `api.insecure` answers, beside addresses, names without a dot, and names under localhost, local, lan, internal and home.arpa.",
        example: "proxy.example.com",
        added: true,
      }),
      auth: group({
        token: text({
          doc: "API and dashboard ask for this token, as a password or as `Authorization: Bearer`.",
          default: "",
          secret: true,
          added: true,
        }),
        users: list(text)({
          doc: "API and dashboard ask for one of these users: `name:hash`, made by htpasswd or `waybill hash`.",
          secret: true,
          added: true,
        }),
      })({ doc: "A login of their own for API and dashboard, however they are reached.", added: true }),
      debug: bool({
        doc: "Profiles of the running program.",
        default: "false",
        obsolete: "the profiles are of Go programs; start Waybill with node --inspect instead",
      }),
      disableDashboardAd: bool({
        doc: "No advertisement in the dashboard.",
        default: "true",
        obsolete: "there is none",
      }),
    },
    { enabler: true },
  )({ doc: "The API and the dashboard." }),
  ping: group(
    {
      entryPoint: text({ doc: "Entry point that answers /ping.", default: "traefik" }),
      manualRouting: bool({
        doc: "Only as service ping@internal, for a router of your own.",
        default: "false",
      }),
      terminatingStatusCode: statusCode({ doc: "Answer while shutting down.", default: "503" }),
    },
    { enabler: true },
  )({ doc: "A page that says whether we are alive." }),
  log: group(logOptions, { enabler: true })({ doc: "What Waybill says about itself.", always: true }),
  accessLog: group(accessLogOptions, { enabler: true })({ doc: "One line a request." }),
  metrics: metrics({ doc: "Numbers for others to gather." }),
  tracing: tracing({ doc: "Spans of requests, sent by OTLP." }),
  serversTransport: transportDefaults,
  user: text({
    doc: "Number of the user to become after the start as root, as the image asks for; 0 or empty to stay root.",
    default: "",
    added: true,
    example: "65532",
  }),
  threads: count({
    doc: "Threads that serve requests; 0 for one a processor, at most 8.",
    default: "0",
    added: true,
  }),
  secrets: group({
    directories: list(text)({
      doc: "Directories that `file:` in labels and dynamic files may read.",
      default: "/run/secrets",
      added: true,
    }),
    variables: list(text)({
      doc: "Environment variables that `env:` in labels and dynamic files may read; `*` at the end for any rest.",
      default: "WAYBILL_SECRET_*",
      added: true,
    }),
  })({ doc: "Where secret values may be kept.", always: true, added: true }),
  core: group({
    defaultRuleSyntax: choice("v3", "v2")({ doc: "Language of rules that do not say.", default: "v3" }),
  })({ doc: "Choices of the rule language.", always: true }),
  global: group({
    notAppendXForwardedFor: bool({
      doc: "Do not add the client's address to X-Forwarded-For, whichever the entry point.",
      default: "false",
    }),
    retryBudget: percent({
      doc: "Share of the requests that may be sent a second time after a server has had them; tries that reached no server do not count.",
      default: "20",
      added: true,
    }),
    checkNewVersion: bool({
      doc: "Look for new versions.",
      default: "false",
      obsolete: "Waybill never calls home",
    }),
    sendAnonymousUsage: bool({
      doc: "Report usage.",
      default: "false",
      obsolete: "Waybill never calls home",
    }),
  })({ doc: "Choices for all entry points.", always: true }),
  experimental: group({
    fastProxy: gone({ doc: "Traefik's faster client.", obsolete: "Waybill has only its own fast one" }),
    otlpLogs: bool({ doc: "Allow OTLP logs.", default: "true", obsolete: "OTLP logs need no permission" }),
    abortOnPluginFailure: bool({ doc: "Stop when a plug-in fails.", default: "false", obsolete: NO_PLUGINS }),
    plugins: gone({ doc: "Plug-ins.", obsolete: NO_PLUGINS }),
    localPlugins: gone({ doc: "Plug-ins.", obsolete: NO_PLUGINS }),
    knative: gone({ doc: "Kubernetes.", obsolete: NOT_DOCKER }),
    kubernetesGateway: gone({ doc: "Kubernetes.", obsolete: NOT_DOCKER }),
    kubernetesIngressNGINX: gone({ doc: "Kubernetes.", obsolete: NOT_DOCKER }),
    http3: gone({ doc: "Removed.", obsolete: NO_HTTP3 }),
  })({ doc: "Traefik's experiments." }),
  tcpServersTransport: gone({ doc: "Connections of TCP routers.", obsolete: NO_TCP }),
  hostResolver: group(
    {
      cnameFlattening: bool({
        doc: "Match by the target of a host's CNAME too.",
        default: "false",
        refused: "hosts are matched as clients write them; name the alias in the rule",
      }),
      resolvConfig: gone({ doc: "File that names the DNS servers.", obsolete: NO_FLATTENING }),
      resolvDepth: gone({ doc: "Longest chain of CNAMEs.", obsolete: NO_FLATTENING }),
    },
    { enabler: true },
  )({ doc: "Matching by the target of a host's CNAME." }),
  ocsp: gone({
    doc: "OCSP stapling.",
    obsolete:
      "certificates are shown without OCSP answers: public CAs have ended OCSP in favour of short lives",
  }),
  spiffe: gone({
    doc: "SPIFFE identities.",
    refused: "SPIFFE needs an agent that Waybill does not speak to; use certificates and rootCAs",
  }),
  pilot: gone({ doc: "Removed.", obsolete: "Traefik Pilot has ended; take the line out" }),
} satisfies Options;

export type Settings = Values<typeof settingsOptions>;
