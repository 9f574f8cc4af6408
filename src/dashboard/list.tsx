import { useEffect, useState } from "preact/hooks";
import { get, useConfigurationVersion } from "./data.ts";
import { count } from "./format.ts";
import { Badge, Choice, type Column, Empty, Search, Table, To, Waiting } from "./parts.tsx";
import { usePlace } from "./route.ts";
import type { Common } from "./types.ts";

const PER_PAGE = 50;
const AGAIN_MS = 10_000;

interface Shown<T> {
  readonly items: readonly T[];
  readonly hasMore: boolean;
}

/** A list that the API filters, sorts and cuts; the address keeps what was asked for. */
export function List<T extends { readonly name: string }>({
  path,
  noun,
  columns,
  nothing,
  statuses,
}: {
  readonly path: string;
  readonly noun: string;
  readonly columns: readonly Column<T>[];
  readonly nothing: string;
  readonly statuses?: readonly (readonly [string, string])[];
}) {
  const { query } = usePlace();
  const [pages, setPages] = useState(1);
  const [shown, setShown] = useState<Shown<T>>();
  const [error, setError] = useState<Error>();
  const version = useConfigurationVersion();
  const asked = new URLSearchParams(query);
  asked.set("per_page", String(PER_PAGE * pages));
  const question = `${path}?${asked}`;
  useEffect(() => {
    const aborter = new AbortController();
    const ask = () =>
      get(question, aborter.signal)
        .then(async (response) => {
          const items = (await response.json()) as readonly T[];
          setShown({ items, hasMore: (response.headers.get("x-next-page") ?? "1") !== "1" });
          setError(undefined);
        })
        .catch((failure: Error) => aborter.signal.aborted || setError(failure));
    void ask();
    const timer = setInterval(() => document.hidden || void ask(), AGAIN_MS);
    return () => {
      clearInterval(timer);
      aborter.abort();
    };
  }, [question, version]);
  const isFiltered = (query.get("search") ?? "") !== "" || (query.get("status") ?? "") !== "";
  return (
    <>
      <div class="tools">
        <Search label={`Search ${noun}s`} />
        <Choice name="status" label="Status" of={statuses ?? STATUSES} />
        <span class="tools-count" role="status">
          {shown && `${shown.hasMore ? "the first " : ""}${count(shown.items.length, noun)}`}
        </span>
      </div>
      {shown === undefined ? (
        <Waiting error={error} />
      ) : shown.items.length === 0 ? (
        <Empty title={isFiltered ? `No ${noun} is like that` : `No ${noun} yet`}>
          {isFiltered ? "Fewer letters, or another status, may find it." : nothing}
        </Empty>
      ) : (
        <Table caption={`All ${noun}s`} columns={columns} items={shown.items} keyOf={({ name }) => name} />
      )}
      {shown?.hasMore && (
        <button type="button" class="more" onClick={() => setPages(pages * 2)}>
          Show more
        </button>
      )}
    </>
  );
}

const STATUSES = [
  ["", "All"],
  ["enabled", "In force"],
  ["warning", "To mend"],
  ["disabled", "Not in force"],
] as const;

// --- Columns that lists have in common.

export const statusColumn: Column<Common> = {
  title: "Status",
  sortBy: "status",
  cell: ({ status }) => <Badge status={status} />,
};

export const nameColumn = (kind: "routers" | "services" | "middlewares", cls: string): Column<Common> => ({
  title: "Name",
  sortBy: "name",
  cell: ({ name }) => <To kind={kind} name={name} />,
  class: cls,
});

export const usedByColumn: Column<{ readonly usedBy?: readonly string[] }> = {
  title: "Used by",
  cell: ({ usedBy = [] }) => (usedBy.length === 0 ? <span class="faint">nobody</span> : usedBy.length),
  class: "number",
};

export const providerColumn: Column<Common> = {
  title: "Provider",
  sortBy: "provider",
  cell: ({ provider }) => provider,
};
