import type { CertificateView, IssuanceView } from "../model/certificate-view.ts";
import type { Middleware } from "../model/middleware.ts";
import type { Report, ServerState } from "../model/report.ts";
import type { Settings } from "../model/settings.ts";
import type { RequestSample, TrafficTotals } from "../model/traffic.ts";
import type { SettingInForce } from "../settings/in-force.ts";

/** What the API, the dashboard and the metrics page are made from. The control plane implements it. */
export interface AdminSource {
  readonly settings: Settings;
  /** Every option in force, with where it was said. */
  readonly inForce: readonly SettingInForce[];
  readonly registry: ReadonlyMap<string, Middleware>;
  readonly version: string;
  /** Milliseconds since 1970. */
  readonly startedAtMs: number;
  /** The configuration in force, and what was left out of it. */
  report(): Report;
  servers(): readonly ServerState[];
  certificates(): readonly CertificateView[];
  /** How getting certificates goes, name by name. */
  issuance?(): readonly IssuanceView[];
  /** By entry point: the port it really has. */
  ports(): ReadonlyMap<string, number>;
  /** The text that Prometheus reads. */
  metrics(): string;
  /** Why requests should not be sent here, or not yet; undefined when they may. */
  notReady(): string | undefined;
  traffic(): TrafficTotals;
  /** Samples of requests as they come; none are made while nobody listens. Gives the function that ends it. */
  onRequests(hear: (samples: readonly RequestSample[], dropped: number) => void): () => void;
  /** Told after every configuration. */
  onReport(hear: (report: Report) => void): () => void;
}
