import type { Place } from "../schema/node.ts";
import type { CertificateView, IssuanceView } from "./certificate-view.ts";
import type { Middleware } from "./middleware.ts";
import type { Report, ServerState } from "./report.ts";
import type { Settings } from "./settings.ts";
import type { RequestSample, TrafficTotals } from "./traffic.ts";

/** One option as it is in force, for the API and the dashboard. */
export interface SettingInForce {
  /** `entryPoints.web.address`. */
  readonly option: string;
  /** As JSON; `***` for a secret. */
  readonly value: unknown;
  readonly source: Place;
}

export type HearRequests = (samples: readonly RequestSample[], dropped: number) => void;

/** What the API, the dashboard and the metrics page are made from. The control plane implements it. */
export interface Runtime {
  readonly settings: Settings;
  readonly registry: ReadonlyMap<string, Middleware>;
  readonly version: string;
  /** Milliseconds since 1970. */
  readonly startedAtMs: number;
  /** The configuration in force, and what was left out of it. */
  report(): Report;
  servers(): readonly ServerState[];
  certificates(): readonly CertificateView[];
  /** How getting certificates goes, name by name. */
  issuance(): readonly IssuanceView[];
  /** The text that Prometheus reads. */
  metrics(): string;
  /** Why requests should not be sent here, or not yet; undefined when they may. */
  notReady(): string | undefined;
  /** Every option in force, with where it was said. */
  readonly inForce: readonly SettingInForce[];
  /** By entry point: the port it really has, once it listens. */
  ports(): ReadonlyMap<string, number>;
  traffic(): TrafficTotals;
  /** Samples of requests as they come. Gives the function that ends it, as the next one does. */
  onRequests(hear: HearRequests): () => void;
  /** Told after every configuration. */
  onReport(hear: (report: Report) => void): () => void;
}
