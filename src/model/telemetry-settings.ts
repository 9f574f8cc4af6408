import { nameOnly as gone, group, list, mapOf } from "../schema/composites.ts";
import { bool, duration, float, headerName, text } from "../schema/kinds.ts";
import type { Values } from "../schema/option.ts";
import { clientTls } from "./client-tls.ts";

/** What is measured and traced, and how it is sent to collectors. */

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

export const otlpLogs = group({ ...otlpTransports, serviceName, resourceAttributes }, { enabler: true });
export type OtlpOptions = Values<typeof otlpTransports>;

const labelSwitches = {
  addEntryPointsLabels: bool({ doc: "Count by entry point.", default: "true" }),
  addRoutersLabels: bool({ doc: "Count by router.", default: "false" }),
  addServicesLabels: bool({ doc: "Count by service.", default: "true" }),
};

const PUSHED =
  "Waybill shows its metrics to Prometheus and sends them by OTLP, which every collector understands";

export const metrics = group({
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

export const tracing = group(
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
