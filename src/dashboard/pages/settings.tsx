import type { SettingShape } from "../../admin/shapes.ts";
import { useApi } from "../data.ts";
import { count } from "../format.ts";
import { Badge, Choice, Empty, Page, Search, Table, Text, Waiting } from "../parts.tsx";
import { usePlace } from "../route.ts";
import { Value } from "../tree.tsx";

export function SettingsPage() {
  const { data, error } = useApi<readonly SettingShape[]>("settings", 60_000);
  const { query } = usePlace();
  const search = (query.get("search") ?? "").toLowerCase();
  const all = query.get("from") === "all";
  const found = (data ?? []).filter(
    ({ option, doc, source }) =>
      (all || search !== "" || source !== "default") &&
      (option.toLowerCase().includes(search) || doc.toLowerCase().includes(search)),
  );
  return (
    <Page title="Settings" lead="What is in force, and where it was said. Secrets are hidden.">
      <div class="tools">
        <Search label="Search settings" />
        <Choice name="from" label="Which" of={WHICH} />
        <span class="tools-count" role="status">
          {data && count(found.length, "setting")}
        </span>
      </div>
      {data === undefined ? (
        <Waiting error={error} />
      ) : found.length === 0 ? (
        <Empty title="No setting is like that">Everything is at its default; those are under All.</Empty>
      ) : (
        <Table caption="Settings" items={found} keyOf={({ option }) => option} columns={COLUMNS} />
      )}
    </Page>
  );
}

/** Documentation has words in backticks, as in the reference pages. */
function Doc({ of }: { readonly of: string }) {
  return <>{of.split("`").map((part, i) => (i % 2 === 1 ? <code key={i}>{part}</code> : part))}</>;
}

const WHICH = [
  ["", "Written by you"],
  ["all", "All"],
] as const;

const COLUMNS = [
  {
    title: "Option",
    class: "strong grow",
    cell: ({ option, doc }: SettingShape) => (
      <>
        <code>
          <Text of={option} />
        </code>
        <span class="second">
          <Doc of={doc} />
        </span>
      </>
    ),
  },
  { title: "Value", class: "narrow", cell: ({ value }: SettingShape) => <Value of={value} /> },
  {
    title: "From",
    cell: ({ source, place }: SettingShape) => (
      <>
        <Badge status={source} tone={source === "default" ? "plain" : "good"} />
        {source !== "default" && (
          <span class="second">
            <Text of={place} />
          </span>
        )}
      </>
    ),
  },
];
