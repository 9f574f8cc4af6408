import { useEffect, useState } from "preact/hooks";
import type { ProblemShape, TrafficPoint, WorkloadShape } from "../../admin/shapes.ts";
import { DURATION_LINES, Shares, TimeChart, TRAFFIC_LINES } from "../charts.tsx";
import { getJson, useApi } from "../data.ts";
import { formatBytes, formatMs, formatNumber, fromNow } from "../format.ts";
import { lifeOf } from "../life.ts";
import { Badge, Card, Empty, Page, Text } from "../parts.tsx";
import { link } from "../route.ts";
import type { Certificate, EntryPoint, Overview, Version } from "../types.ts";
import { ProblemList } from "./problems.tsx";

const POINTS_MAX = 300;
const LOOK_MS = 2000;

function useTraffic(): readonly TrafficPoint[] {
  const [points, setPoints] = useState<readonly TrafficPoint[]>([]);
  useEffect(() => {
    let sinceMs = 0;
    const look = () =>
      getJson<{ points: readonly TrafficPoint[] }>(`traffic?since=${sinceMs}`)
        .then(({ points: more }) => {
          if (more.length === 0) return;
          sinceMs = more.at(-1)!.atMs;
          setPoints((before) => [...before, ...more].slice(-POINTS_MAX));
        })
        .catch(() => undefined);
    void look();
    const timer = setInterval(() => document.hidden || void look(), LOOK_MS);
    return () => clearInterval(timer);
  }, []);
  return points;
}

export function OverviewPage() {
  const points = useTraffic();
  const { data: version } = useApi<Version>("version", 60_000);
  const lead = version && `Started ${fromNow(Date.parse(version.startDate))}.`;
  return (
    <Page title="Overview" lead={lead}>
      <Numbers points={points} />
      <div class="cards">
        <Card title="Traffic">
          <TimeChart title="Requests a second" points={points} lines={TRAFFIC_LINES} unit="rate" />
        </Card>
        <Card title="Durations">
          <TimeChart title="Durations" points={points} lines={DURATION_LINES} unit="ms" />
        </Card>
        <Routing />
        <EntryPoints />
        <Problems />
        <Certificates />
      </div>
    </Page>
  );
}

/** The last ten seconds, because a single one says little. */
function Numbers({ points }: { readonly points: readonly TrafficPoint[] }) {
  const last = points.slice(-10);
  const mean = (of: (point: TrafficPoint) => number) =>
    last.reduce((sum, point) => sum + of(point), 0) / Math.max(1, last.length);
  const requests = mean((point) => point.requests);
  const errors = mean((point) => point.serverErrors);
  const share = requests === 0 ? 0 : (errors / requests) * 100;
  const slow = last.findLast(({ slowMs }) => slowMs !== null)?.slowMs ?? null;
  const median = last.findLast(({ medianMs }) => medianMs !== null)?.medianMs ?? null;
  return (
    <dl class="numbers">
      <div>
        <dt>Requests a second</dt>
        <dd>{formatNumber(Math.round(requests * 10) / 10)}</dd>
      </div>
      <div class={share >= 1 ? "bad-number" : ""}>
        <dt>Server errors</dt>
        <dd>{share === 0 ? "none" : `${share.toFixed(share < 10 ? 1 : 0)} %`}</dd>
      </div>
      <div>
        <dt>Median</dt>
        <dd>{median === null ? "–" : formatMs(median)}</dd>
      </div>
      <div>
        <dt>Slowest twentieth</dt>
        <dd>{slow === null ? "–" : formatMs(slow)}</dd>
      </div>
      <div>
        <dt>Sent</dt>
        <dd>{formatBytes(mean(({ bytesOut }) => bytesOut))}/s</dd>
      </div>
    </dl>
  );
}

function Routing() {
  const { data } = useApi<Overview>("overview");
  const { data: workloads = [] } = useApi<readonly WorkloadShape[]>("workloads");
  if (data === undefined) return <Card title="Routing" />;
  const unrouted = workloads.filter(({ routed }) => !routed);
  const broken = unrouted.filter(({ problems }) => problems.length > 0);
  const rows = [
    ["routers", "Routers", data.http.routers],
    ["services", "Services", data.http.services],
    ["middlewares", "Middlewares", data.http.middlewares],
    ["containers", "Containers", { total: workloads.length, warnings: 0, errors: broken.length }],
  ] as const;
  return (
    <Card
      title="Routing"
      more={<span class="faint">from {data.providers.join(", ") || "no provider yet"}</span>}
    >
      <ul class="share-list">
        {rows.map(([path, title, counts]) => (
          <li key={path}>
            <a href={link(path)}>{title}</a>
            <Shares {...counts} />
            <span class="share-words">
              {counts.total}
              {counts.errors > 0 && (
                <span class="bad-text">
                  {" "}
                  · {counts.errors} {path === "containers" ? "left out by mistake" : "not in force"}
                </span>
              )}
              {counts.warnings > 0 && <span class="warn-text"> · {counts.warnings} to mend</span>}
            </span>
          </li>
        ))}
      </ul>
    </Card>
  );
}

function EntryPoints() {
  const { data = [] } = useApi<readonly EntryPoint[]>("entrypoints", 60_000);
  return (
    <Card title="Entry points">
      <ul class="rows">
        {data.map(({ name, address, http }) => (
          <li key={name}>
            <strong>
              <Text of={name} />
            </strong>
            <code>
              <Text of={address} />
            </code>
            {http?.tls !== undefined && <Badge status="HTTPS" tone="good" />}
            {http?.redirections !== undefined && <Badge status="redirects" />}
          </li>
        ))}
      </ul>
    </Card>
  );
}

const SHOWN = 4;

function Problems() {
  const { data } = useApi<readonly ProblemShape[]>("problems");
  if (data === undefined) return <Card title="Problems" />;
  return (
    <Card title="Problems" more={data.length > SHOWN && <a href={link("problems")}>All {data.length}</a>}>
      {data.length === 0 ? (
        <Empty title="Nothing to mend">Every label, file and setting is in force.</Empty>
      ) : (
        <ProblemList of={data.slice(0, SHOWN)} />
      )}
    </Card>
  );
}

function Certificates() {
  const { data } = useApi<readonly Certificate[]>("certificates?sortBy=validUntil&per_page=5", 60_000);
  if (data === undefined) return <Card title="Certificates" />;
  return (
    <Card title="Certificates due" more={<a href={link("certificates")}>All</a>}>
      {data.length === 0 ? (
        <Empty title="No certificates yet">A router with a certificate resolver gets its own.</Empty>
      ) : (
        <ul class="rows">
          {data.map((one) => (
            <li key={one.name}>
              <a href={link("certificates", one.name)}>
                <Text of={one.commonName || (one.sans[0] ?? one.name)} most={60} />
              </a>
              <span>{fromNow(Date.parse(one.notAfter))}</span>
              <Badge status={lifeOf(one).words} tone={lifeOf(one).tone} />
            </li>
          ))}
        </ul>
      )}
      {data.length > 1 && <p class="faint">The {data.length} that end first.</p>}
    </Card>
  );
}
