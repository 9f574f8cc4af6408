import { group, list, mapOf, nameOnly } from "../schema/composites.ts";
import {
  bool,
  choice,
  count,
  duration,
  float,
  headerName,
  percent,
  size,
  statusCode,
  statusRange,
  text,
} from "../schema/kinds.ts";
import type { Options, Values } from "../schema/option.ts";
import { transportOptions } from "./dynamic.ts";
import { entryPointOptions, NO_HTTP3 } from "./entry-point.ts";

/**
 * Everything that is settled before the first request: flags, environment and the settings file all write into
 * this one declaration. What the routers say is in `dynamic.ts`.
 */

/** What a later issue brings: declared whole, and refused until it works. */
const LATER = "it comes with a later release";
const LATER_FILE = "it comes with a later release; fetch the routes yourself into a file of providers.file";

/** Known by name only: whatever is written below it, the answer is the sentence in `refused` or `obsolete`. */
const gone = nameOnly;

const clientTls = group({
  ca: text({ doc: "Authority that is trusted: a path, or PEM.", default: "" }),
  cert: text({ doc: "Client certificate: a path, or PEM.", default: "" }),
  key: text({ doc: "Its private key: a path, or PEM.", default: "", secret: true }),
  insecureSkipVerify: bool({ doc: "Do not verify the server's certificate.", default: "false" }),
  caOptional: bool({
    doc: "Removed.",
    obsolete: "it never meant anything to a client, and Traefik v3 has removed it",
  }),
});
export type ClientTlsOptions = NonNullable<Values<{ tls: ReturnType<typeof clientTls> }>["tls"]>;

const otlpHeaders = mapOf(text)({ doc: "Headers sent to the collector.", secret: true });

/** Where telemetry goes. gRPC counts if both are written; HTTP if neither is. */
const otlpTransports = {
  grpc: group(
    {
      endpoint: text({ doc: "Address of the collector.", default: "localhost:4317" }),
      insecure: bool({ doc: "Without TLS.", default: "false" }),
      tls: clientTls({ doc: "TLS towards the collector." }),
      headers: otlpHeaders,
    },
    { enabler: true },
  )({ doc: "Send over gRPC." }),
  http: group(
    {
      endpoint: text({ doc: "Address of the collector.", default: "https://localhost:4318" }),
      tls: clientTls({ doc: "TLS towards the collector." }),
      headers: otlpHeaders,
    },
    { enabler: true },
  )({ doc: "Send over HTTP." }),
};

const serviceName = text({ doc: "Name of this proxy in the telemetry.", default: "waybill" });
const resourceAttributes = mapOf(text)({ doc: "Further attributes of the telemetry's resource." });

const otlpLogs = group({ ...otlpTransports, serviceName, resourceAttributes }, { enabler: true });
export type OtlpOptions = Values<typeof otlpTransports>;

// --- Providers -------------------------------------------------------------------------------------------------

const DEFAULT_RULE = "Host(`{{ normalize .Name }}`)";

const engine = {
  endpoint: text({
    doc: "Where the engine listens: unix://, tcp://, http://, https:// or ssh://.",
    default: "unix:///var/run/docker.sock",
    example: "tcp://socket-proxy:2375",
  }),
  username: text({ doc: "User for basic authentication at the endpoint.", default: "" }),
  password: text({ doc: "Its password.", default: "", secret: true }),
  tls: clientTls({ doc: "TLS towards the endpoint." }),
  httpClientTimeout: duration({ doc: "How long one call may take; 0 for 10 s.", default: "0" }),
  exposedByDefault: bool({ doc: "Route containers without an enabling label too.", default: "true" }),
  network: text({
    doc: "Network to reach containers by; one that Waybill shares with them if empty.",
    default: "",
  }),
  defaultRule: text({ doc: "Rule of routers that have none, as a Go template.", default: DEFAULT_RULE }),
  constraints: text({
    doc: "Only containers whose labels fulfil this expression.",
    default: "",
    example: "Label(`stage`, `production`)",
  }),
  allowEmptyServices: bool({
    doc: "Keep services whose containers are starting or unhealthy.",
    default: "true",
    obsolete: "such services are always kept, and say in their 503 why they have no server",
  }),
  useBindPortIP: bool({ doc: "Reach containers by their published port.", default: "false" }),
  watch: bool({ doc: "Follow changes; otherwise read once.", default: "true" }),
};

export const dockerOptions = {
  ...engine,
  allowExternalUrls: bool({
    doc: "Let the label server.url name hosts that are not containers of this engine.",
    default: "true",
    added: true,
  }),
  exclusiveHosts: bool({
    doc: "A host belongs to the compose project that named it first; others' routers for it are refused, and so are routers that name no host.",
    default: "false",
    added: true,
  }),
  swarmMode: bool({
    doc: "Removed.",
    default: "false",
    refused: "it was removed from Traefik v3; use providers.swarm",
  }),
};
export type DockerOptions = Values<typeof dockerOptions>;

export const swarmOptions = {
  ...engine,
  refreshSeconds: duration({ doc: "Time between two looks at the services.", default: "15s" }),
};
export type SwarmOptions = Values<typeof swarmOptions>;

export const fileOptions = {
  filename: text({
    doc: "One file of dynamic configuration.",
    default: "",
    example: "/etc/waybill/routes.yml",
  }),
  directory: text({
    doc: "A directory of such files, with those below it; wins over filename.",
    default: "",
  }),
  watch: bool({ doc: "Follow changes.", default: "true" }),
  debugLogGeneratedTemplate: bool({ doc: "Log each file as its template rendered it.", default: "false" }),
};
export type FileOptions = Values<typeof fileOptions>;

export const httpOptions = {
  endpoint: text({ doc: "Address to fetch dynamic configuration from.", required: true }),
  pollInterval: duration({ doc: "Time between two fetches.", default: "5s" }),
  pollTimeout: duration({ doc: "How long one fetch may take.", default: "5s" }),
  maxResponseBodySize: size({ doc: "Largest answer; -1 for 16 MiB.", default: "-1" }),
  headers: mapOf(text)({ doc: "Headers of the request.", secret: true }),
  tls: clientTls({ doc: "TLS towards the endpoint." }),
};
export type HttpProviderOptions = Values<typeof httpOptions>;

export const redisOptions = {
  endpoints: list(text)({ doc: "Addresses of the servers.", default: "127.0.0.1:6379" }),
  rootKey: text({ doc: "First part of every key.", default: "traefik" }),
  username: text({ doc: "User name.", default: "" }),
  password: text({ doc: "Password.", default: "", secret: true }),
  db: count({ doc: "Number of the database.", default: "0" }),
  tls: clientTls({ doc: "TLS towards the servers." }),
  sentinel: group({
    masterName: text({ doc: "Name of the master that sentinels watch.", default: "" }),
    username: text({ doc: "User name at the sentinels.", default: "" }),
    password: text({ doc: "Password at the sentinels.", default: "", secret: true }),
    latencyStrategy: bool({
      doc: "Read from the nearest node.",
      default: "false",
      refused: "reads go to the master",
    }),
    randomStrategy: bool({ doc: "Read from any node.", default: "false", refused: "reads go to the master" }),
    replicaStrategy: bool({
      doc: "Read from replicas.",
      default: "false",
      refused: "reads go to the master",
    }),
    useDisconnectedReplicas: bool({
      doc: "Use replicas that lost their master.",
      default: "false",
      refused: "reads go to the master",
    }),
  })({ doc: "Find the master through sentinels." }),
};
export type RedisProviderOptions = Values<typeof redisOptions>;

export const PRECEDENCE = "swarm,docker,file,redis,http,rest";

const NOT_DOCKER =
  "Waybill serves containers on Docker; describe these routes in a file of providers.file instead";

const providers = group({
  providersThrottleDuration: duration({
    doc: "Shortest time between two applied configurations of one provider; the first is applied at once.",
    default: "100ms",
  }),
  precedence: list(text)({
    doc: "Whose router is tried first among equal priorities.",
    default: PRECEDENCE,
  }),
  docker: group(dockerOptions, { enabler: true })({ doc: "Containers and their labels." }),
  swarm: group(swarmOptions, { enabler: true })({ doc: "Swarm services and their labels.", refused: LATER }),
  file: group(fileOptions, { enabler: true })({ doc: "Files of dynamic configuration." }),
  http: group(httpOptions, { enabler: true })({
    doc: "Dynamic configuration from a web address.",
    refused: LATER_FILE,
  }),
  redis: group(redisOptions, { enabler: true })({
    doc: "Dynamic configuration in Redis.",
    refused: LATER_FILE,
  }),
  rest: gone({
    doc: "Dynamic configuration by PUT.",
    refused: "configuration is never taken from a request; use providers.http, which fetches it",
  }),
  kubernetesCRD: gone({ doc: "Kubernetes.", refused: NOT_DOCKER }),
  kubernetesIngress: gone({ doc: "Kubernetes.", refused: NOT_DOCKER }),
  kubernetesIngressNGINX: gone({ doc: "Kubernetes.", refused: NOT_DOCKER }),
  kubernetesGateway: gone({ doc: "Kubernetes.", refused: NOT_DOCKER }),
  knative: gone({ doc: "Kubernetes.", refused: NOT_DOCKER }),
  consul: gone({ doc: "Consul.", refused: NOT_DOCKER }),
  consulCatalog: gone({ doc: "Consul.", refused: NOT_DOCKER }),
  nomad: gone({ doc: "Nomad.", refused: NOT_DOCKER }),
  etcd: gone({ doc: "etcd.", refused: NOT_DOCKER }),
  zooKeeper: gone({ doc: "ZooKeeper.", refused: NOT_DOCKER }),
  ecs: gone({ doc: "Amazon ECS.", refused: NOT_DOCKER }),
  plugin: gone({
    doc: "Provider plug-ins.",
    refused: "Traefik's plug-ins are Go programs that cannot run here",
  }),
  marathon: gone({ doc: "Removed.", refused: "it was removed from Traefik v3" }),
  rancher: gone({ doc: "Removed.", refused: "it was removed from Traefik v3" }),
});
export type ProviderSettings = Settings["providers"];

// --- Certificates ----------------------------------------------------------------------------------------------

const eab = group({
  kid: text({ doc: "Key id that the CA gave you.", default: "" }),
  hmacEncoded: text({ doc: "The key that belongs to it, in base64url.", default: "", secret: true }),
});

const dnsChallenge = group(
  {
    provider: text({ doc: "Who runs the zone.", default: "", example: "cloudflare" }),
    credentials: mapOf(text)({
      doc: "The provider's variables for this resolver alone; those missing here come from the environment.",
      secret: true,
      added: true,
      example: "file:/run/secrets/cf_token",
    }),
    resolvers: list(text)({ doc: "DNS servers to ask, instead of the system's.", example: "1.1.1.1:53" }),
    propagation: group(
      {
        delayBeforeChecks: duration({ doc: "Wait before the first check.", default: "0" }),
        disableChecks: bool({ doc: "Do not check, only wait.", default: "false" }),
        disableANSChecks: bool({ doc: "Do not ask the authoritative servers.", default: "false" }),
        requireAllRNS: bool({ doc: "All recursive servers must have the record.", default: "false" }),
      },
      { enabler: true },
    )({ doc: "How we know that the record is out.", always: true }),
    delayBeforeCheck: duration({ doc: "Old name of propagation.delayBeforeChecks." }),
    disablePropagationCheck: bool({ doc: "Old name of propagation.disableChecks." }),
  },
  { enabler: true },
);

export const acmeOptions = {
  email: text({ doc: "Where the CA reaches you.", default: "" }),
  caServer: text({
    doc: "Directory of the CA.",
    default: "https://acme-v02.api.letsencrypt.org/directory",
  }),
  fallbackServers: list(text)({
    doc: "Directories of CAs to turn to, in order, while the first keeps failing.",
    added: true,
  }),
  fallbackEab: list(eab)({ doc: "External accounts with those CAs, in the same order.", added: true }),
  stagingServer: text({
    doc: "Directory where a name that keeps failing must succeed first; known by itself for Let's Encrypt.",
    default: "",
    added: true,
  }),
  preflight: bool({
    doc: "Look whether a name leads here before the CA is asked.",
    default: "true",
    added: true,
  }),
  storage: text({
    doc: "Directory that keeps accounts and certificates. A Traefik acme.json named here is imported.",
    default: "acme.json",
  }),
  keyType: choice(
    "EC256",
    "EC384",
    "RSA2048",
    "RSA4096",
    "RSA8192",
  )({ doc: "Kind of the certificates' keys.", default: "EC256", forgiving: true }),
  preferredChain: text({
    doc: "Common name of the issuer to prefer, where the CA offers several.",
    default: "",
  }),
  profile: text({ doc: "Profile to ask for, where the CA has them.", default: "", example: "shortlived" }),
  emailAddresses: list(text)({ doc: "E-mail addresses put into the request." }),
  disableCommonName: bool({
    doc: "Leave the common name out of the request.",
    default: "false",
    obsolete: "it is always left out: the names of a certificate are its alternative names",
  }),
  eab: eab({ doc: "External account binding." }),
  certificatesDuration: count({
    doc: "Hours that certificates live.",
    default: "2160",
    obsolete: "every certificate says itself how long it lives, and is renewed by that",
  }),
  clientTimeout: duration({ doc: "How long one call to the CA may take.", default: "2m" }),
  clientResponseHeaderTimeout: duration({ doc: "How long its answer may take to begin.", default: "30s" }),
  certificateTimeout: duration({ doc: "How long the CA may take to issue.", default: "30s" }),
  caCertificates: list(text)({ doc: "Authorities that are trusted for the CA itself: paths, or PEM." }),
  caSystemCertPool: bool({ doc: "Trust the system's authorities beside them.", default: "false" }),
  caServerName: text({ doc: "Name that the CA's own certificate must have.", default: "" }),
  httpChallenge: group(
    {
      entryPoint: text({ doc: "Entry point that the CA reaches on port 80.", default: "" }),
      delay: duration({ doc: "Wait before the CA is told.", default: "0" }),
    },
    { enabler: true },
  )({ doc: "Prove a name by a page." }),
  tlsChallenge: group(
    { delay: duration({ doc: "Wait before the CA is told.", default: "0" }) },
    { enabler: true },
  )({ doc: "Prove a name by a certificate." }),
  dnsChallenge: dnsChallenge({ doc: "Prove a name, or a wildcard, by a DNS record." }),
};
export type AcmeOptions = Values<typeof acmeOptions>;

const resolver = group(
  {
    acme: group(acmeOptions, { enabler: true })({ doc: "Certificates from a CA by ACME." }),
    tailscale: gone({
      doc: "Certificates from Tailscale.",
      refused: "Waybill does not speak to tailscaled; use acme",
    }),
  },
  { enabler: true },
);
export type ResolverOptions =
  Settings["certificatesResolvers"] extends ReadonlyMap<string, infer R> ? R : never;

// --- Observation -----------------------------------------------------------------------------------------------

const labelSwitches = {
  addEntryPointsLabels: bool({ doc: "Count by entry point.", default: "true" }),
  addRoutersLabels: bool({ doc: "Count by router.", default: "false" }),
  addServicesLabels: bool({ doc: "Count by service.", default: "true" }),
};

const PUSHED =
  "Waybill shows its metrics to Prometheus and sends them by OTLP, which every collector understands";

const metrics = group({
  addInternals: bool({ doc: "Count the proxy's own pages too.", default: "false" }),
  prometheus: group(
    {
      buckets: list(float)({ doc: "Bounds of the histograms, in seconds.", default: "0.1,0.3,1.2,5" }),
      ...labelSwitches,
      entryPoint: text({ doc: "Entry point that shows /metrics.", default: "traefik" }),
      manualRouting: bool({
        doc: "Only as service prometheus@internal, for a router of your own.",
        default: "false",
      }),
      headerLabels: mapOf(headerName)({ doc: "Labels whose values are request headers." }),
    },
    { enabler: true },
  )({ doc: "Metrics for Prometheus." }),
  otlp: group(
    {
      ...otlpTransports,
      ...labelSwitches,
      explicitBoundaries: list(float)({
        doc: "Bounds of the histograms, in seconds.",
        default: "0.005,0.01,0.025,0.05,0.075,0.1,0.25,0.5,0.75,1,2.5,5,7.5,10",
      }),
      pushInterval: duration({ doc: "Time between two pushes.", default: "10s" }),
      serviceName,
      resourceAttributes,
    },
    { enabler: true },
  )({ doc: "Metrics to an OpenTelemetry collector." }),
  datadog: gone({ doc: "Datadog.", obsolete: PUSHED }),
  statsd: gone({ doc: "StatsD.", obsolete: PUSHED }),
  influxDB2: gone({ doc: "InfluxDB.", obsolete: PUSHED }),
});

const OLD_TRACER =
  "it was removed from Traefik v3, and nothing is traced by it; every tracer takes OTLP now: use tracing.otlp";

const tracing = group(
  {
    serviceName,
    resourceAttributes,
    globalAttributes: mapOf(text)({ doc: "Old name of resourceAttributes." }),
    capturedRequestHeaders: list(headerName)({ doc: "Request headers put on spans." }),
    capturedResponseHeaders: list(headerName)({ doc: "Response headers put on spans." }),
    safeQueryParams: list(text)({ doc: "Query parameters whose values are shown on spans." }),
    sampleRate: float({ doc: "Share of the requests that are traced, from 0 to 1.", default: "1.0" }),
    addInternals: bool({ doc: "Trace the proxy's own pages too.", default: "false" }),
    otlp: group(otlpTransports, { enabler: true })({ doc: "Spans to an OpenTelemetry collector." }),
    spanNameLimit: gone({ doc: "Removed.", obsolete: "it was removed from Traefik v3" }),
    jaeger: gone({ doc: "Removed.", obsolete: OLD_TRACER }),
    zipkin: gone({ doc: "Removed.", obsolete: OLD_TRACER }),
    datadog: gone({ doc: "Removed.", obsolete: OLD_TRACER }),
    instana: gone({ doc: "Removed.", obsolete: OLD_TRACER }),
    haystack: gone({ doc: "Removed.", obsolete: OLD_TRACER }),
    elastic: gone({ doc: "Removed.", obsolete: OLD_TRACER }),
  },
  { enabler: true },
);

export const LOG_LEVELS = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL", "PANIC"] as const;

const rotation = {
  filePath: text({ doc: "File to write to; standard output if empty.", default: "" }),
  maxSize: count({ doc: "Megabytes after which the file is rotated; 0 for 100.", default: "0" }),
  rotateEvery: duration({
    doc: "Rotate at every multiple of this time, in UTC; 0 for never.",
    default: "0",
    added: true,
    example: "24h",
  }),
  maxAge: count({ doc: "Days that rotated files are kept; 0 for ever.", default: "0" }),
  maxBackups: count({ doc: "Rotated files that are kept; 0 for all.", default: "0" }),
  compress: bool({ doc: "Compress rotated files with gzip.", default: "false" }),
};

export const logOptions = {
  level: choice(...LOG_LEVELS)({ doc: "The least that is logged.", default: "INFO", forgiving: true }),
  format: choice("common", "json")({ doc: "Readable text, or one JSON object a line.", default: "common" }),
  noColor: bool({ doc: "No colours in readable text.", default: "false" }),
  ...rotation,
  otlp: otlpLogs({ doc: "Send the log to an OpenTelemetry collector too." }),
};
export type LogOptions = Values<typeof logOptions>;

const keepOrDrop = choice("keep", "drop");
const keepDropOrRedact = choice("keep", "drop", "redact");

export const accessLogOptions = {
  filePath: text({ doc: "File to write to; standard output if empty.", default: "" }),
  maxSize: count({
    doc: "Megabytes after which the file is rotated; 0 for never.",
    default: "0",
    added: true,
    example: "100",
  }),
  rotateEvery: duration({
    doc: "Rotate at every multiple of this time, in UTC; 0 for never.",
    default: "0",
    added: true,
    example: "24h",
  }),
  maxAge: count({ doc: "Days that rotated files are kept; 0 for ever.", default: "0", added: true }),
  maxBackups: count({ doc: "Rotated files that are kept; 0 for all.", default: "0", added: true }),
  compress: bool({ doc: "Compress rotated files with gzip.", default: "false", added: true }),
  format: choice(
    "common",
    "genericCLF",
    "json",
  )({ doc: "Form of the lines.", default: "common", forgiving: true }),
  sampleRate: float({
    doc: "Share of the requests that are logged, from 0 to 1. Those that end with 500 or more, or without a status, always are.",
    default: "1",
    added: true,
    example: "0.1",
  }),
  bufferingSize: count({
    doc: "Lines that may wait to be written.",
    default: "0",
    obsolete: "lines are always gathered for a moment, and never hold a request up",
  }),
  addInternals: bool({ doc: "Log requests for the proxy's own pages too.", default: "false" }),
  dualOutput: bool({
    doc: "Write to standard output or the file although OTLP is on.",
    default: "false",
  }),
  filters: group({
    statusCodes: list(statusRange)({ doc: "Only these statuses." }),
    retryAttempts: bool({ doc: "Requests that were retried as well.", default: "false" }),
    minDuration: duration({ doc: "Requests that took longer as well.", default: "0" }),
  })({ doc: "Which requests are logged; any one filter is enough." }),
  fields: group({
    defaultMode: keepOrDrop({ doc: "What happens to fields.", default: "keep" }),
    names: mapOf(keepOrDrop)({ doc: "What happens to one field." }),
    headers: group({
      defaultMode: keepDropOrRedact({ doc: "What happens to headers.", default: "drop" }),
      names: mapOf(keepDropOrRedact)({ doc: "What happens to one header." }),
    })({ doc: "Request and response headers.", always: true }),
    queryParameters: group({
      defaultMode: keepOrDrop({ doc: "What happens to query parameters.", default: "keep" }),
    })({ doc: "The query of the logged address.", always: true }),
  })({ doc: "What of a request is logged.", always: true }),
  otlp: otlpLogs({ doc: "Send the lines to an OpenTelemetry collector." }),
};
export type AccessLogOptions = Values<typeof accessLogOptions>;

// --- The whole -------------------------------------------------------------------------------------------------

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
