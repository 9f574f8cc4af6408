import { Chain, serviceStops } from "../chain.tsx";
import { useApi } from "../data.ts";
import { List, nameColumn, providerColumn, statusColumn, usedByColumn } from "../list.tsx";
import { Badge, Card, Errors, Facts, Names, Page, Table, Text, Waiting } from "../parts.tsx";
import { Tree } from "../tree.tsx";
import type { Service } from "../types.ts";

export function ServicesPage() {
  return (
    <Page title="Services" lead="Where requests go: the servers behind each name.">
      <List<Service>
        path="http/services"
        noun="service"
        nothing="Every container with a router has a service of its own here."
        columns={[
          statusColumn,
          nameColumn("services", "strong grow"),
          { title: "Kind", sortBy: "type", cell: ({ type = "ours" }) => type },
          { title: "Servers", sortBy: "servers", cell: (service) => <Health of={service} /> },
          usedByColumn,
          providerColumn,
        ]}
      />
    </Page>
  );
}

function Health({ of: { loadBalancer, serverStatus = {} } }: { readonly of: Service }) {
  const total = loadBalancer?.servers?.length ?? 0;
  if (loadBalancer === undefined) return <span class="faint">none of its own</span>;
  if (total === 0) return <Badge status="none" tone="bad" />;
  const up = loadBalancer.servers!.filter(({ url }) => serverStatus[url] !== "DOWN").length;
  return <Badge status={`${up} of ${total} up`} tone={up === total ? "good" : up === 0 ? "bad" : "warn"} />;
}

export function ServicePage({ name }: { readonly name: string }) {
  const { data, error } = useApi<Service>(`http/services/${encodeURIComponent(name)}`, 3000);
  if (data === undefined) {
    return (
      <Page title={name} lead="Service">
        <Waiting error={error} />
      </Page>
    );
  }
  const { servers = [], ...options } = data.loadBalancer ?? {};
  return (
    <Page title={name} lead="Service" aside={<Badge status={data.status} />}>
      <Chain label="Where requests go" stops={serviceStops(data, name)} />
      <Errors of={data.error} />
      <div class="cards">
        {servers.length > 0 && (
          <Card title="Servers" wide>
            <Table
              caption="Servers"
              items={servers}
              keyOf={({ url }) => url}
              columns={[
                { title: "State", cell: ({ url }) => <Badge status={data.serverStatus?.[url] ?? "UP"} /> },
                { title: "Address", cell: ({ url }) => <Text of={url} />, class: "grow" },
                { title: "Weight", cell: ({ weight = 1 }) => weight, class: "number" },
              ]}
            />
          </Card>
        )}
        <Card title="Options">
          <Facts
            of={[
              ["Kind", data.type ?? "answered by Waybill itself"],
              ["Provider", <Text key="provider" of={data.provider} />],
            ]}
          />
          <Tree of={options} />
        </Card>
        <Card title="Used by">
          <Names kind="routers" of={data.usedBy} />
        </Card>
      </div>
    </Page>
  );
}
