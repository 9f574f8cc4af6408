import type { CertificateView } from "../model/certificate-view.ts";
import type { Middleware } from "../model/middleware.ts";
import type { Report, ServerState } from "../model/report.ts";
import type { Settings } from "../model/settings.ts";

/** What the API, the dashboard and the metrics page are made from. The control plane implements it. */
export interface AdminSource {
  readonly settings: Settings;
  readonly registry: ReadonlyMap<string, Middleware>;
  readonly version: string;
  /** Milliseconds since 1970. */
  readonly startedAtMs: number;
  /** The configuration in force, and what was left out of it. */
  report(): Report;
  servers(): readonly ServerState[];
  certificates(): readonly CertificateView[];
  /** The text that Prometheus reads. */
  metrics(): string;
}
