import type { Json } from "./views.ts";

/** A request that the API refuses, with the status and words of Traefik's. */
export class Refusal extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export interface Listing {
  /** What `search` looks in. */
  readonly searched: (item: Json) => readonly string[];
  /** What `sortBy` may name, beside `name`. */
  readonly sortable: ReadonlyMap<string, (item: Json) => string | number>;
}

export interface Page {
  readonly items: readonly Json[];
  /** For the header X-Next-Page: 1 when this is the last. */
  readonly nextPage: number;
}

/** Filters, sorts and cuts a list as Traefik's query parameters say. */
export function listPage(items: readonly Json[], query: URLSearchParams, listing: Listing): Page {
  const search = query.get("search")?.toLowerCase() ?? "";
  const status = query.get("status")?.toLowerCase() ?? "";
  const serviceName = query.get("serviceName") ?? "";
  const middlewareName = query.get("middlewareName") ?? "";
  const found = items.filter(
    (item) =>
      (search === "" || listing.searched(item).some((text) => text.toLowerCase().includes(search))) &&
      (status === "" || String(item["status"]).toLowerCase() === status) &&
      (serviceName === "" || namesService(item, serviceName)) &&
      (middlewareName === "" ||
        ((item["middlewares"] as string[] | undefined) ?? []).includes(middlewareName)),
  );
  return cut(sorted(found, query, listing), query);
}

function namesService(item: Json, wanted: string): boolean {
  const service = String(item["service"] ?? "");
  return service.includes("@") ? service === wanted : service === wanted.split("@")[0];
}

function sorted(items: readonly Json[], query: URLSearchParams, { sortable }: Listing): Json[] {
  const key = sortable.get(query.get("sortBy") ?? "");
  const sign = (query.get("direction") ?? "asc") === "asc" ? 1 : -1;
  const byName = (a: Json, b: Json) => compare(String(a["name"]), String(b["name"]));
  return [...items].sort((a, b) => sign * ((key && compare(key(a), key(b))) || byName(a, b)));
}

function compare(a: string | number, b: string | number): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function cut(items: readonly Json[], query: URLSearchParams): Page {
  const page = positive(query, "page", 1);
  const perPage = positive(query, "per_page", 100);
  const start = (page - 1) * perPage;
  if (start > 0 && start >= items.length) {
    throw new Refusal(400, `invalid request: page: ${page}, per_page: ${perPage}`);
  }
  const more = start + perPage < items.length;
  return { items: items.slice(start, start + perPage), nextPage: more ? page + 1 : 1 };
}

function positive(query: URLSearchParams, name: string, otherwise: number): number {
  const text = query.get(name);
  if (text === null || text === "") return otherwise;
  const number = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (number <= 0) throw new Refusal(400, `invalid request: ${name}: ${text}`);
  return number;
}
