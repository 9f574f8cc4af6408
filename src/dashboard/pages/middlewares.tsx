import { Chain } from "../chain.tsx";
import { useApi } from "../data.ts";
import { List, nameColumn, providerColumn, statusColumn, usedByColumn } from "../list.tsx";
import { Badge, Card, Errors, Names, Page, Text, To, Waiting } from "../parts.tsx";
import { Tree } from "../tree.tsx";
import type { Middleware } from "../types.ts";

export function MiddlewaresPage() {
  return (
    <Page title="Middlewares" lead="What happens to requests on their way.">
      <List<Middleware>
        path="http/middlewares"
        noun="middleware"
        nothing="Labels such as traefik.http.middlewares.gate.basicauth.users declare them."
        columns={[
          statusColumn,
          nameColumn("middlewares", "strong grow"),
          { title: "Kind", sortBy: "type", cell: ({ type }) => type },
          usedByColumn,
          providerColumn,
        ]}
      />
    </Page>
  );
}

export function MiddlewarePage({ name }: { readonly name: string }) {
  const { data, error } = useApi<Middleware>(`http/middlewares/${encodeURIComponent(name)}`);
  if (data === undefined) {
    return (
      <Page title={name} lead="Middleware">
        <Waiting error={error} />
      </Page>
    );
  }
  const options = Object.entries(data).find(
    ([key]) => key.toLowerCase() === data.type && key !== "type",
  )?.[1];
  return (
    <Page title={name} lead={`Middleware: ${data.type}`} aside={<Badge status={data.status} />}>
      <Chain
        label="Where it stands"
        stops={[
          data.usedBy?.length
            ? data.usedBy
                .slice(0, 8)
                .map((router) => ({ kind: "router", title: <To kind="routers" name={router} /> }))
            : [{ kind: "router", title: <span class="faint">nobody uses it</span> }],
          [{ kind: data.type, title: <Text of={name} most={80} />, detail: <Badge status={data.status} /> }],
        ]}
      />
      <Errors of={data.error} />
      <div class="cards">
        <Card title="Options" wide>
          <Tree of={options ?? {}} />
        </Card>
        <Card title="Used by">
          <Names kind="routers" of={data.usedBy} />
        </Card>
      </div>
    </Page>
  );
}
