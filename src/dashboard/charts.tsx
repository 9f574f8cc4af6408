import type { TrafficPoint } from "../admin/shapes.ts";
import { formatDate, formatMs, formatNumber, fromNow } from "./format.ts";
import { lifeOf } from "./life.ts";
import { Text } from "./parts.tsx";
import type { Certificate } from "./types.ts";

const WIDTH = 600;
const HEIGHT = 140;
const SPAN_MS = 300_000;

interface Line {
  readonly name: string;
  readonly class: string;
  readonly value: (point: TrafficPoint) => number | null;
  /** Filled down to the ground. */
  readonly area?: true;
}

export const TRAFFIC_LINES: readonly Line[] = [
  { name: "requests a second", class: "line-main", value: ({ requests }) => requests, area: true },
  { name: "4xx", class: "line-warn", value: ({ clientErrors }) => clientErrors },
  { name: "5xx", class: "line-bad", value: ({ serverErrors }) => serverErrors },
];

export const DURATION_LINES: readonly Line[] = [
  { name: "slowest twentieth", class: "line-faint", value: ({ slowMs }) => slowMs, area: true },
  { name: "median", class: "line-main", value: ({ medianMs }) => medianMs },
];

/** The last five minutes, the present at the right. */
export function TimeChart({
  title,
  points,
  lines,
  unit,
}: {
  readonly title: string;
  readonly points: readonly TrafficPoint[];
  readonly lines: readonly Line[];
  readonly unit: "rate" | "ms";
}) {
  const endMs = points.at(-1)?.atMs ?? Date.now();
  const top = niceTop(Math.max(...lines.flatMap(({ value }) => points.map((point) => value(point) ?? 0)), 0));
  const x = (ms: number) => WIDTH - ((endMs - ms) / SPAN_MS) * WIDTH;
  const y = (value: number) => HEIGHT - 1 - (value / top) * (HEIGHT - 12);
  const label = (value: number) => (unit === "ms" ? formatMs(value) : formatNumber(value));
  const now = points.at(-1);
  const summary = lines.map(({ name, value }) => `${name} ${label((now && value(now)) ?? 0)}`).join(", ");
  return (
    <figure class="chart">
      <div class="chart-frame">
        <svg
          viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
          preserveAspectRatio="none"
          role="img"
          aria-label={`${title}, last five minutes. Now: ${summary}`}
        >
          {[0.5, 1].map((share) => (
            <line key={share} class="grid" x1="0" x2={WIDTH} y1={y(top * share)} y2={y(top * share)} />
          ))}
          {lines.map(({ name, class: className, value, area }) => {
            const known = points.filter((point) => value(point) !== null && x(point.atMs) >= 0);
            if (known.length === 0) return null;
            const path = known
              .map(
                (point, i) =>
                  `${i === 0 ? "M" : "L"}${x(point.atMs).toFixed(1)} ${y(value(point)!).toFixed(1)}`,
              )
              .join("");
            const from = x(known[0]!.atMs).toFixed(1);
            const to = x(known.at(-1)!.atMs).toFixed(1);
            return (
              <g key={name} class={className}>
                {area && <path class="area" d={`${path}L${to} ${HEIGHT}L${from} ${HEIGHT}Z`} />}
                <path class="stroke" d={path} />
              </g>
            );
          })}
        </svg>
        <span class="scale top" aria-hidden="true">
          {label(top)}
        </span>
        <span class="scale middle" aria-hidden="true">
          {label(top / 2)}
        </span>
      </div>
      <figcaption>
        {lines.map(({ name, class: className }) => (
          <span key={name} class={`key ${className}`}>
            {name}
          </span>
        ))}
        <span class="faint">5 minutes</span>
      </figcaption>
    </figure>
  );
}

/** The next 1, 2 or 5 times a power of ten. */
function niceTop(most: number): number {
  if (most <= 1) return 1;
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 5, 10].map((step) => step * power).find((top) => top >= most)!;
}

const DAY_MS = 24 * 3_600_000;

/** When certificates begin and end: from a month ago to three months ahead. */
export function CertificateTimeline({ of }: { readonly of: readonly Certificate[] }) {
  const nowMs = Date.now();
  const startMs = nowMs - 30 * DAY_MS;
  const spanMs = 120 * DAY_MS;
  const at = (ms: number) => Math.min(100, Math.max(0, ((ms - startMs) / spanMs) * 100));
  return (
    <ol class="timeline">
      {of.map((certificate) => {
        const from = at(Date.parse(certificate.notBefore));
        const to = at(Date.parse(certificate.notAfter));
        return (
          <li key={certificate.name}>
            <a href={`#/certificates/${certificate.name}`}>
              <Text of={certificate.sans[0] ?? certificate.commonName} most={60} />
            </a>
            <svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
              <rect class="ground" x="0" y="2" width="100" height="4" rx="1" />
              <rect
                class={`life ${lifeOf(certificate, nowMs).tone}`}
                x={from}
                y="2"
                width={Math.max(0.5, to - from)}
                height="4"
                rx="1"
              />
              <line class="now" x1={at(nowMs)} x2={at(nowMs)} y1="0" y2="8" />
            </svg>
            <span class={`ends ${lifeOf(certificate, nowMs).tone}`} title={formatDate(certificate.notAfter)}>
              {certificate.status === "expired" ? "ended" : "ends"}{" "}
              {fromNow(Date.parse(certificate.notAfter))}
            </span>
          </li>
        );
      })}
    </ol>
  );
}

export interface Phases {
  readonly beforeMs: number;
  readonly waitMs: number;
  readonly durationMs: number;
}

/** Where the time of one request went, on a scale that all rows share. */
export function PhaseBar({
  of: { beforeMs, waitMs, durationMs },
  mostMs,
}: {
  readonly of: Phases;
  readonly mostMs: number;
}) {
  const before = Math.max(0, beforeMs < 0 ? durationMs : beforeMs);
  const wait = Math.max(0, waitMs);
  const rest = Math.max(0, durationMs - before - wait);
  const share = (ms: number) => (ms / Math.max(1, mostMs)) * 100;
  return (
    <svg class="phases" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
      <rect class="phase-before" x="0" y="0" height="6" width={share(before)} />
      <rect class="phase-wait" x={share(before)} y="0" height="6" width={share(wait)} />
      <rect class="phase-rest" x={share(before + wait)} y="0" height="6" width={share(rest)} />
    </svg>
  );
}

/** How much of a whole is all right, to mend, or wrong. */
export function Shares({
  total,
  warnings,
  errors,
}: {
  readonly total: number;
  readonly warnings: number;
  readonly errors: number;
}) {
  const share = (part: number) => (total === 0 ? 0 : (part / total) * 100);
  const good = total - warnings - errors;
  return (
    <svg class="shares" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
      <rect class="ground" width="100" height="6" />
      <rect class="good" width={share(good)} height="6" />
      <rect class="warn" x={share(good)} width={share(warnings)} height="6" />
      <rect class="bad" x={share(good + warnings)} width={share(errors)} height="6" />
    </svg>
  );
}
