import type { RequestSample } from "../model/traffic.ts";
import { Refusal } from "./listing.ts";

export type RequestFilter = (sample: RequestSample) => boolean;

/** What a reader of the live requests wants to see. Undefined: all of them. */
export function requestFilter(query: URLSearchParams): RequestFilter | undefined {
  const tests: RequestFilter[] = [];
  const add = (name: string, make: (wanted: string) => RequestFilter) => {
    const wanted = query.get(name)?.trim().toLowerCase() ?? "";
    if (wanted !== "") tests.push(make(wanted));
  };
  add(
    "host",
    (wanted) =>
      ({ host }) =>
        host.includes(wanted),
  );
  add(
    "path",
    (wanted) =>
      ({ path }) =>
        path.toLowerCase().includes(wanted),
  );
  add(
    "router",
    (wanted) =>
      ({ router }) =>
        router?.toLowerCase() === wanted,
  );
  add(
    "service",
    (wanted) =>
      ({ service }) =>
        service?.toLowerCase() === wanted,
  );
  add(
    "method",
    (wanted) =>
      ({ method }) =>
        method.toLowerCase() === wanted,
  );
  add(
    "client",
    (wanted) =>
      ({ client }) =>
        client === wanted,
  );
  add("status", ofStatus);
  add("slower", slowerThan);
  return tests.length === 0 ? undefined : (sample) => tests.every((test) => test(sample));
}

function ofStatus(wanted: string): RequestFilter {
  if (wanted === "error") return ({ status }) => status >= 400 || status === 0;
  if (/^[1-5]xx$/.test(wanted)) return ({ status }) => Math.floor(status / 100) === Number(wanted[0]);
  if (/^\d{1,3}$/.test(wanted)) return ({ status }) => status === Number(wanted);
  throw new Refusal(400, `expected a status such as 404, 5xx or error, found ${wanted}`);
}

function slowerThan(wanted: string): RequestFilter {
  if (!/^\d{1,9}$/.test(wanted)) throw new Refusal(400, `expected milliseconds, found ${wanted}`);
  return ({ durationMs }) => durationMs >= Number(wanted);
}
