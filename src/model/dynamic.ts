import { group, list, mapOf } from "../schema/composites.ts";
import {
  bool,
  choice,
  count,
  duration,
  float,
  int,
  int64,
  percent,
  size,
  statusRange,
  text,
} from "../schema/kinds.ts";
import type { Values } from "../schema/option.ts";

/**
 * What routers, services, transports and TLS can say, in labels and in files alike: the one declaration of every
 * option of the dynamic configuration but the middlewares', which are declared in their own files.
 */

const tlsDomain = group({
  main: text({ doc: "Name the certificate is for.", default: "", example: "example.com" }),
  sans: list(text)({ doc: "Further names of the same certificate.", example: "www.example.com" }),
});

export const routerTls = group(
  {
    options: text({ doc: "TLS options for the router's hosts.", default: "", example: "modern@file" }),
    certResolver: text({
      doc: "Certificate resolver that gets the certificates.",
      default: "",
      example: "letsencrypt",
    }),
    domains: list(tlsDomain)({ doc: "Names to get certificates for, instead of those in the rule." }),
  },
  { enabler: true },
);

export const observability = group({
  accessLogs: bool({ doc: "Write access-log lines for this router." }),
  metrics: bool({ doc: "Count this router's requests." }),
  tracing: bool({ doc: "Make spans for this router's requests." }),
  traceVerbosity: choice(
    "minimal",
    "detailed",
  )({
    doc: "Spans of the router, its middlewares and the service too, or only of the request and what is sent on.",
  }),
  accessLogSampleRate: float({
    doc: "Share of this router's requests that are logged, from 0 to 1; `accessLog.sampleRate` says more.",
    added: true,
    example: "0.1",
  }),
});

export const routerOptions = {
  rule: text({ doc: "Which requests the router takes.", default: "", example: "Host(`app.example.com`)" }),
  ruleSyntax: choice("", "v3", "v2", "default")({ doc: "Language of the rule.", default: "" }),
  entryPoints: list(text)({
    doc: "Entry points it listens on; the default entry points if none.",
    example: "websecure",
  }),
  middlewares: list(text)({
    doc: "Middlewares, in order. `-name` takes one of the entry point's default middlewares out.",
    example: "auth,compress@file",
  }),
  service: text({ doc: "Where its requests go.", default: "", example: "app" }),
  priority: int64({ doc: "Higher is tried first; 0 means the length of the rule.", default: "0" }),
  parentRefs: list(text)({ doc: "Routers this one continues." }),
  tls: routerTls({ doc: "Serve HTTPS only." }),
  observability: observability({ doc: "What is recorded for this router." }),
};
export type RouterOptions = Values<typeof routerOptions>;

const stickyCookie = group(
  {
    name: text({ doc: "Name of the cookie; made from the service's name if empty.", default: "" }),
    secure: bool({ doc: "Only over HTTPS.", default: "false" }),
    httpOnly: bool({ doc: "Hidden from scripts.", default: "false" }),
    sameSite: choice("", "none", "lax", "strict")({ doc: "SameSite attribute.", default: "" }),
    maxAge: int({ doc: "Seconds; 0 for the browser's session, negative to expire at once.", default: "0" }),
    path: text({ doc: "Path attribute.", default: "/" }),
    domain: text({ doc: "Domain attribute.", default: "" }),
  },
  { enabler: true },
);

export const sticky = group(
  { cookie: stickyCookie({ doc: "Keep a client on one server by a cookie." }) },
  { enabler: true },
);

export const healthCheck = group(
  {
    scheme: choice(
      "",
      "http",
      "https",
      "h2c",
    )({ doc: "Scheme of the probe; the server's own if empty.", default: "" }),
    mode: choice("http", "grpc")({ doc: "Kind of probe.", default: "http" }),
    path: text({ doc: "Path of the probe.", default: "", example: "/health" }),
    method: text({ doc: "Method of the probe.", default: "GET" }),
    status: count({ doc: "Status that means healthy; 0 for 200 to 399.", default: "0" }),
    port: count({ doc: "Port of the probe; 0 for the server's own.", default: "0" }),
    interval: duration({ doc: "Time between probes of a healthy server.", default: "30s" }),
    unhealthyInterval: duration({
      doc: "Time between probes of an unhealthy server; the interval if unset.",
    }),
    timeout: duration({ doc: "How long a probe may take.", default: "5s" }),
    hostname: text({ doc: "Host header of the probe.", default: "" }),
    followRedirects: bool({
      doc: "Follow redirects to the same server; one that leads elsewhere is judged by its own status.",
      default: "true",
    }),
    headers: mapOf(text)({ doc: "Headers of the probe." }),
  },
  { enabler: true },
);

export const passiveHealthCheck = group({
  failureWindow: duration({
    doc: "Time within which failures count together, and how long the server then rests.",
    default: "10s",
  }),
  maxFailedAttempts: count({ doc: "Failures that take the server out.", default: "1" }),
  maxEjectedPercent: percent({ doc: "Most servers that may be out at once.", default: "100", added: true }),
  panicPercent: percent({
    doc: "With fewer healthy servers than this, all are used again.",
    default: "0",
    added: true,
  }),
});

/** A server as a label says it: one, for the container itself. */
export const labelServer = group({
  url: text({
    doc: "Whole address of a server, instead of the container's own.",
    default: "",
    example: "http://10.0.0.5:8080",
  }),
  scheme: choice("", "http", "https", "h2c")({ doc: "Protocol the server speaks.", default: "" }),
  port: text({
    doc: "Port inside the container; the lowest exposed TCP port if empty.",
    default: "",
    example: "8080",
  }),
  weight: int({ doc: "Share of the requests; 0 for none.", default: "1" }),
  preservePath: bool({ doc: "Keep the path of the URL before the request's path.", default: "false" }),
});

export const fileServer = group({
  url: text({ doc: "Where the server is.", required: true, example: "http://10.0.0.5:8080" }),
  weight: int({ doc: "Share of the requests; 0 for none.", default: "1" }),
  preservePath: bool({ doc: "Keep the path of the URL before the request's path.", default: "false" }),
});

export const STRATEGIES = ["wrr", "p2c", "hrw", "leasttime", "leastconn", "ewma", "hash"] as const;

const balancing = {
  strategy: choice("", ...STRATEGIES)({ doc: "How servers are chosen.", default: "wrr" }),
  hashBy: text({
    doc: "What `hash` hashes: `clientIp`, `header:Name` or `cookie:name`.",
    default: "clientIp",
    added: true,
  }),
  sticky: sticky({ doc: "Keep a client on one server." }),
  healthCheck: healthCheck({ doc: "Probe the servers." }),
  passiveHealthCheck: passiveHealthCheck({ doc: "Take servers out whose replies fail." }),
  passHostHeader: bool({ doc: "Send the client's Host on; else the server's own.", default: "true" }),
  responseForwarding: group({
    flushInterval: duration({
      doc: "How long parts of a reply are held back.",
      default: "100ms",
      obsolete: "replies are passed on as they come, and never held back",
    }),
  })({ doc: "How replies are passed on." }),
  serversTransport: text({ doc: "How servers are connected to.", default: "" }),
};

const share = {
  name: text({ doc: "Service.", required: true }),
  weight: int({ doc: "Share of the requests; 0 for none.", default: "1" }),
};

const weightedService = group({
  ...share,
  header: text({
    doc: "Requests with this header go here, whatever the weights: `Name` or `Name=value`.",
    default: "",
    added: true,
  }),
  cookie: text({
    doc: "Requests with this cookie go here, whatever the weights: `name` or `name=value`.",
    default: "",
    added: true,
  }),
});

const parentHealth = group({}, { enabler: true });

export const weighted = group({
  services: list(weightedService)({ doc: "Services and their shares." }),
  sticky: sticky({ doc: "Keep a client on one service." }),
  healthCheck: parentHealth({ doc: "Leave services out whose servers are all down." }),
});

export const mirroring = group({
  service: text({ doc: "Service whose reply the client gets.", required: true }),
  mirrorBody: bool({ doc: "Send the body to mirrors too.", default: "true" }),
  maxBodySize: size({ doc: "Largest body that is mirrored; -1 for no limit.", default: "-1" }),
  mirrors: list(
    group({
      name: text({ doc: "Service that gets a copy.", required: true }),
      percent: percent({ doc: "Share of the requests that are copied.", default: "0" }),
    }),
  )({ doc: "Services that get copies. Their replies are read for a minute at most, and thrown away." }),
  healthCheck: parentHealth({ doc: "Report the main service's health to its parent." }),
});

export const failover = group({
  service: text({ doc: "Service that is used while it is up.", required: true }),
  fallback: text({ doc: "Service that is used while the first is down.", required: true }),
  healthCheck: parentHealth({ doc: "Report health to its parent." }),
  errors: group({
    status: list(statusRange)({
      doc: "Statuses of the first service that make the fallback answer instead.",
    }),
    maxRequestBodyBytes: size({ doc: "Largest body kept for the fallback; -1 for no limit.", default: "-1" }),
  })({ doc: "Fail over on statuses too." }),
});

export const highestRandomWeight = group({
  services: list(group(share))({ doc: "Services and their shares." }),
  healthCheck: parentHealth({ doc: "Leave services out whose servers are all down." }),
});

const common = {
  middlewares: list(text)({ doc: "Middlewares of the service, after the router's." }),
  timeouts: group({
    request: duration({
      doc: "From the first byte of the request to the last of its reply; 0 for no limit.",
      default: "0",
      added: true,
    }),
    idle: duration({
      doc: "Longest silence of the client or the server while a body travels; 0 for the transport's own.",
      default: "0",
      added: true,
    }),
    connect: duration({
      doc: "Longest wait for a connection; 0 for the transport's own.",
      default: "0",
      added: true,
    }),
  })({ doc: "Time limits of this service.", added: true }),
  limits: group({
    body: size({ doc: "Largest request body; 0 for no limit.", default: "0", added: true }),
  })({ doc: "Size limits of this service.", added: true }),
  weighted: weighted({ doc: "Divide the requests among services." }),
  mirroring: mirroring({ doc: "Send copies of the requests to other services." }),
  failover: failover({ doc: "Use another service while one is down." }),
  highestRandomWeight: highestRandomWeight({ doc: "Choose a service by hashing the client." }),
};

/** A service as labels say it: its servers are the containers that carry the label. */
export const labelServiceOptions = {
  loadBalancer: group({ server: labelServer({ doc: "This container as a server." }), ...balancing })({
    doc: "Balance among servers.",
  }),
  ...common,
};
export type LabelServiceOptions = Values<typeof labelServiceOptions>;

/** A service as files, Redis and HTTP say it: its servers are listed. */
export const fileServiceOptions = {
  loadBalancer: group({ servers: list(fileServer)({ doc: "The servers." }), ...balancing })({
    doc: "Balance among servers.",
  }),
  ...common,
};
export type FileServiceOptions = Values<typeof fileServiceOptions>;
export type LoadBalancerOptions = Omit<NonNullable<FileServiceOptions["loadBalancer"]>, "servers">;

const keyPair = group({
  certFile: text({ doc: "Certificate chain: a path, or PEM.", required: true }),
  keyFile: text({ doc: "Private key: a path, or PEM.", required: true, secret: true }),
});

const spiffe = group({}, { enabler: true });

export const transportOptions = {
  serverName: text({ doc: "Server name sent and verified in TLS.", default: "" }),
  insecureSkipVerify: bool({ doc: "Do not verify the server's certificate.", default: "false" }),
  rootCAs: list(text)({ doc: "Authorities that are trusted: paths, or PEM." }),
  certificates: list(keyPair)({ doc: "Client certificates." }),
  cipherSuites: list(text)({ doc: "Cipher suites of TLS 1.2, by their IANA names." }),
  minVersion: text({ doc: "Lowest TLS version: VersionTLS12 or VersionTLS13.", default: "" }),
  maxVersion: text({ doc: "Highest TLS version.", default: "" }),
  maxIdleConnsPerHost: int({
    doc: "Idle connections kept per server; negative for none; 0 for 256.",
    default: "0",
  }),
  maxConnsPerHost: count({
    doc: "Connections per server and thread; 0 for no limit.",
    default: "0",
    added: true,
  }),
  maxResponseHeaderBytes: size({
    doc: "Largest head of a reply; a larger one is a 502.",
    default: "64KiB",
    added: true,
  }),
  maxResponseHeaders: count({ doc: "Most header lines of a reply.", default: "200", added: true }),
  forwardingTimeouts: group({
    dialTimeout: duration({ doc: "Longest wait for a connection; 0 for no limit.", default: "5s" }),
    responseHeaderTimeout: duration({
      doc: "Longest wait for the reply's head once the request is sent; 0 for no limit.",
      default: "60s",
    }),
    idleConnTimeout: duration({ doc: "How long an idle connection is kept.", default: "55s" }),
    idleReadTimeout: duration({
      doc: "Longest silence within a reply; event streams are exempt; 0 for no limit.",
      default: "60s",
      added: true,
    }),
    readIdleTimeout: duration({
      doc: "HTTP/2: silence after which a ping is sent; 0 for none.",
      default: "0",
    }),
    pingTimeout: duration({ doc: "HTTP/2: wait for the ping's answer.", default: "15s" }),
  })({ doc: "Time limits towards servers.", always: true }),
  disableHTTP2: bool({ doc: "Speak HTTP/1.1 only.", default: "false" }),
  peerCertURI: text({ doc: "URI that the server's certificate must name.", default: "" }),
  spiffe: spiffe({
    doc: "SPIFFE identities.",
    refused: "SPIFFE needs an agent that Waybill does not speak to; use certificates and rootCAs",
  }),
};
export type TransportOptions = Values<typeof transportOptions>;

export const tlsOptionsOptions = {
  minVersion: text({ doc: "Lowest TLS version.", default: "" }),
  maxVersion: text({ doc: "Highest TLS version.", default: "" }),
  cipherSuites: list(text)({ doc: "Cipher suites of TLS 1.2, by their IANA names." }),
  curvePreferences: list(text)({ doc: "Key-exchange groups, preferred first." }),
  clientAuth: group({
    caFiles: list(text)({ doc: "Authorities whose client certificates are accepted: paths, or PEM." }),
    clientAuthType: choice(
      "",
      "NoClientCert",
      "RequestClientCert",
      "RequireAnyClientCert",
      "VerifyClientCertIfGiven",
      "RequireAndVerifyClientCert",
    )({ doc: "Whether clients must show a certificate.", default: "" }),
  })({ doc: "Client certificates." }),
  sniStrict: bool({
    doc: "Refuse names without a certificate instead of showing the default one.",
    default: "false",
  }),
  alpnProtocols: list(text)({ doc: "Protocols offered, preferred first; h2 and http/1.1 if empty." }),
  disableSessionTickets: bool({ doc: "No session tickets.", default: "false" }),
  preferServerCipherSuites: bool({
    doc: "Old name of a choice that TLS libraries make themselves.",
    default: "false",
    obsolete: "the server's order is always used, but for clients that prefer ChaCha20",
  }),
};
export type TlsOptionsOptions = Values<typeof tlsOptionsOptions>;

export const generatedCertificate = group({
  resolver: text({ doc: "Certificate resolver.", default: "" }),
  domain: tlsDomain({ doc: "Names of the certificate." }),
});

export const tlsStoreOptions = {
  defaultCertificate: keyPair({ doc: "Shown when no other certificate fits." }),
  defaultGeneratedCert: generatedCertificate({ doc: "Default certificate from a resolver." }),
};
export type TlsStoreOptions = Values<typeof tlsStoreOptions>;

export const tlsCertificateOptions = {
  certFile: text({ doc: "Certificate chain: a path, or PEM.", required: true }),
  keyFile: text({ doc: "Private key: a path, or PEM.", required: true, secret: true }),
  stores: list(text)({ doc: "Only the store `default` is used." }),
};
export type TlsCertificateOptions = Values<typeof tlsCertificateOptions>;
