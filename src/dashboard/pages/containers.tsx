import type { WorkloadShape } from "../../admin/shapes.ts";
import { useApi } from "../data.ts";
import { count, fromNow } from "../format.ts";
import { Badge, Choice, Empty, Names, Page, Reason, Search, Table, Text, Waiting } from "../parts.tsx";
import { usePlace } from "../route.ts";

const SHOWN_MAX = 500;

export function ContainersPage() {
  const { data, error } = useApi<readonly WorkloadShape[]>("workloads");
  const { query } = usePlace();
  const search = (query.get("search") ?? "").toLowerCase();
  const which = query.get("routed") ?? "";
  const found = (data ?? []).filter(
    ({ name, image, reason, routed }) =>
      (which === "" || (which === "yes") === routed) &&
      [name, image, reason].some((text) => text.toLowerCase().includes(search)),
  );
  const sorted = found.sort((a, b) => Number(a.routed) - Number(b.routed) || (a.name < b.name ? -1 : 1));
  return (
    <Page title="Containers" lead="Every container that was seen, routed or not, and why.">
      <div class="tools">
        <Search label="Search containers" />
        <Choice name="routed" label="Which" of={WHICH} />
        <span class="tools-count" role="status">
          {data && count(found.length, "container")}
        </span>
      </div>
      {data === undefined ? (
        <Waiting error={error} />
      ) : found.length === 0 ? (
        <Empty title={data.length === 0 ? "No container is running" : "No container is like that"}>
          {data.length === 0 ? "As soon as one starts, it is here." : "Fewer letters may find it."}
        </Empty>
      ) : (
        <Table
          caption="All containers"
          items={sorted.slice(0, SHOWN_MAX)}
          keyOf={({ id }) => id}
          columns={COLUMNS}
        />
      )}
    </Page>
  );
}

const WHICH = [
  ["", "All"],
  ["yes", "Routed"],
  ["no", "Not routed"],
] as const;

const COLUMNS = [
  {
    title: "Routed",
    cell: ({ routed, problems }: WorkloadShape) =>
      routed ? (
        <Badge status="routed" />
      ) : (
        <Badge status="not routed" tone={problems.length > 0 ? "bad" : "plain"} />
      ),
  },
  {
    title: "Container",
    class: "strong",
    cell: ({ name, image }: WorkloadShape) => (
      <>
        <Text of={name} most={80} />
        <span class="second">
          <Text of={image} most={80} />
        </span>
      </>
    ),
  },
  {
    title: "Why",
    class: "grow",
    cell: ({ reason, problems }: WorkloadShape) => (
      <>
        <Text of={reason} />
        {problems.map((problem) => (
          <div key={problem} class="second bad-text">
            <Reason of={problem} most={500} />
          </div>
        ))}
      </>
    ),
  },
  { title: "Routers", cell: ({ routers }: WorkloadShape) => <Names kind="routers" of={routers} /> },
  {
    title: "State",
    class: "narrow",
    cell: ({ state, health, created }: WorkloadShape) => (
      <>
        {health === "none" ? state : `${state}, ${health}`}
        <span class="second">{fromNow(Date.parse(created))}</span>
      </>
    ),
  },
];
