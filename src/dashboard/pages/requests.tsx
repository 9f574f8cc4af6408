import { useEffect, useRef, useState } from "preact/hooks";
import type { RequestSample } from "../../model/traffic.ts";
import { PhaseBar } from "../charts.tsx";
import { API } from "../data.ts";
import { formatBytes, formatMs, formatTime } from "../format.ts";
import { Badge, Empty, Facts, Page, Text, To, type Tone } from "../parts.tsx";
import { setQuery, usePlace } from "../route.ts";

const KEPT = 300;
const FILTERS = ["host", "path", "status", "method", "slower"] as const;

interface Row extends RequestSample {
  readonly id: number;
}

let lastId = 0;

/** What was answered, newest first, and how many more there were than could be shown. */
function useRequests(question: string, isPaused: boolean) {
  const [rows, setRows] = useState<readonly Row[]>([]);
  const [dropped, setDropped] = useState(0);
  const [isOpen, setOpen] = useState(false);
  useEffect(() => {
    if (isPaused) return;
    const source = new EventSource(`${API}requests?${question}`);
    source.onopen = () => setOpen(true);
    source.onerror = () => setOpen(false);
    source.addEventListener("requests", (event) => {
      const samples = JSON.parse(event.data as string) as RequestSample[];
      const fresh = samples.map((sample) => ({ ...sample, id: ++lastId })).reverse();
      setRows((before) => [...fresh, ...before].slice(0, KEPT));
    });
    source.addEventListener("dropped", (event) => setDropped((before) => before + Number(event.data)));
    return () => source.close();
  }, [question, isPaused]);
  const clear = () => {
    setRows([]);
    setDropped(0);
  };
  return { rows, dropped, isOpen, clear };
}

export function RequestsPage() {
  const { query } = usePlace();
  const [isPaused, setPaused] = useState(false);
  const wanted = new URLSearchParams(
    FILTERS.flatMap((name) => (query.get(name) ? [[name, query.get(name)!]] : [])),
  );
  const { rows, dropped, isOpen, clear } = useRequests(wanted.toString(), isPaused);
  const mostMs = rows.reduce(
    (most, { durationMs, status }) => (status === 101 ? most : Math.max(most, durationMs)),
    1,
  );
  return (
    <Page
      title="Live requests"
      lead="As they are answered. Queries and headers are left out: secrets are in them."
    >
      <div class="tools">
        <Filter name="host" label="Host" />
        <Filter name="path" label="Path" />
        <Filter name="status" label="Status" hint="Status, 5xx" />
        <Filter name="slower" label="Slower (ms)" />
        <button type="button" aria-pressed={isPaused} onClick={() => setPaused(!isPaused)}>
          {isPaused ? "Go on" : "Pause"}
        </button>
        <button type="button" onClick={clear}>
          Clear
        </button>
        <span class="tools-count" role="status">
          {isPaused ? "paused" : isOpen ? "listening" : "connecting"}
          {dropped > 0 && `, ${dropped} more not shown`}
        </span>
      </div>
      <p class="legend">
        <span class="key phase-before">before it was sent on</span>
        <span class="key phase-wait">waiting for the server</span>
        <span class="key phase-rest">sending the reply</span>
      </p>
      {rows.length === 0 ? (
        <Empty title="No request yet">
          {wanted.size === 0
            ? "The next one that is answered is here."
            : "None since this page was opened is like that."}
        </Empty>
      ) : (
        <ol class="requests">
          {rows.map((row) => (
            <Request key={row.id} of={row} mostMs={mostMs} />
          ))}
        </ol>
      )}
    </Page>
  );
}

function Filter({
  name,
  label,
  hint,
}: {
  readonly name: (typeof FILTERS)[number];
  readonly label: string;
  readonly hint?: string;
}) {
  const { query } = usePlace();
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  return (
    <input
      type="search"
      class="short"
      aria-label={label}
      placeholder={hint ?? label}
      defaultValue={query.get(name) ?? ""}
      onInput={({ currentTarget: { value } }) => {
        clearTimeout(timer.current);
        timer.current = setTimeout(() => setQuery({ [name]: value.trim() }), 400);
      }}
    />
  );
}

function toneOf(status: number): Tone {
  if (status === 0 || status >= 500) return "bad";
  return status >= 400 ? "warn" : "good";
}

function Request({ of, mostMs }: { readonly of: Row; readonly mostMs: number }) {
  const { method, status, host, path, hasQuery, durationMs } = of;
  return (
    <li>
      <details>
        <summary>
          <span class="at">{formatTime(of.atMs)}</span>
          <Badge status={status === 0 ? "cut off" : String(status)} tone={toneOf(status)} />
          <span class="method">{method}</span>
          <span class="target">
            <span class="faint">
              <Text of={host} most={80} />
            </span>
            <Text of={path} most={160} />
            {hasQuery && <span class="faint">?…</span>}
          </span>
          <PhaseBar of={of} mostMs={mostMs} />
          <span class="took">{formatMs(durationMs)}</span>
        </summary>
        <Facts of={factsOf(of)} />
      </details>
    </li>
  );
}

function factsOf(of: Row) {
  const { router, service, server, fault, detail, beforeMs, waitMs, durationMs, attempts } = of;
  const rest = durationMs - Math.max(0, beforeMs) - Math.max(0, waitMs);
  return [
    [
      "Client",
      <Text key="client" of={of.username === undefined ? of.client : `${of.username} at ${of.client}`} />,
    ],
    [
      "Entry point",
      `${of.entryPoint}, ${of.scheme}, HTTP/${of.httpVersion === 20 ? "2" : of.httpVersion / 10}`,
    ],
    ["Router", router === undefined ? "none took it" : <To key="router" kind="routers" name={router} />],
    ...(service === undefined
      ? []
      : [["Service", <To key="service" kind="services" name={service} />] as const]),
    ...(server === undefined
      ? []
      : [
          [
            "Server",
            <Text key="server" of={attempts > 1 ? `${server}, ${attempts} tries` : server} />,
          ] as const,
        ]),
    [
      "Time",
      waitMs < 0
        ? formatMs(durationMs)
        : `${formatMs(beforeMs)} before, ${formatMs(waitMs)} waiting, ${formatMs(rest)} sending`,
    ],
    ["Bytes", `${formatBytes(of.bytesIn)} in, ${formatBytes(of.bytesOut)} out`],
    ...(fault === undefined
      ? []
      : [["Fault", <Text key="fault" of={detail === undefined ? fault : `${fault}: ${detail}`} />] as const]),
  ] as const;
}
