import type { ComponentChildren } from "preact";
import { Badge, Text, To, type Tone } from "./parts.tsx";
import type { Service } from "./types.ts";

export interface Stop {
  readonly kind: string;
  readonly title: ComponentChildren;
  readonly detail?: ComponentChildren;
  readonly tone?: Tone;
}

/** The way of a request, drawn: each stop leads to the next. Several entries in one stop stand side by side. */
export function Chain({
  stops,
  label,
}: {
  readonly stops: readonly (readonly Stop[])[];
  readonly label: string;
}) {
  return (
    <ol class="chain" aria-label={label}>
      {stops.map((side, i) => (
        <li key={i}>
          {side.map((stop, j) => (
            <div key={j} class={`stop ${stop.tone ?? "plain"}`}>
              <span class="stop-kind">{stop.kind}</span>
              <span class="stop-title">{stop.title}</span>
              {stop.detail && <span class="stop-detail">{stop.detail}</span>}
            </div>
          ))}
        </li>
      ))}
    </ol>
  );
}

/** A service as a stop, and what is behind it as the next. */
export function serviceStops(service: Service | undefined, name: string): (readonly Stop[])[] {
  const own: Stop = {
    kind: service?.type ?? "service",
    title: <To kind="services" name={name} />,
    ...(service && { detail: <Badge status={service.status} /> }),
    tone: service?.status === "disabled" ? "bad" : "plain",
  };
  const behind = service === undefined ? [] : behindOf(service);
  return behind.length === 0 ? [[own]] : [[own], behind];
}

const SHOWN_MAX = 8;

function behindOf(service: Service): Stop[] {
  const { loadBalancer, weighted, highestRandomWeight, mirroring, failover, serverStatus } = service;
  const child = (name: string, kind: string): Stop => ({ kind, title: <To kind="services" name={name} /> });
  if (weighted ?? highestRandomWeight) {
    const among = (weighted ?? highestRandomWeight)!.services ?? [];
    return among.map(({ name, weight = 1 }) => child(name, `weight ${weight}`));
  }
  if (mirroring) {
    return [
      child(mirroring.service, "service"),
      ...(mirroring.mirrors ?? []).map(({ name, percent = 0 }) => child(name, `mirror ${percent} %`)),
    ];
  }
  if (failover) return [child(failover.service, "service"), child(failover.fallback, "fallback")];
  const servers = loadBalancer?.servers ?? [];
  const stops = servers.slice(0, SHOWN_MAX).map(({ url }): Stop => {
    const state = serverStatus?.[url] ?? "UP";
    return {
      kind: url.startsWith("http://") ? "server" : `server, ${url.split(":", 1)[0]}`,
      title: <Text of={url.replace(/^[a-z0-9]+:\/\//i, "")} />,
      detail: <Badge status={state} />,
      tone: state === "UP" ? "good" : "bad",
    };
  });
  const more = servers.length - stops.length;
  return more > 0 ? [...stops, { kind: "server", title: `and ${more} more` }] : stops;
}
