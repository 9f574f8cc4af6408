import { Chain, type Stop, serviceStops } from "../chain.tsx";
import { getJson, useLoad } from "../data.ts";
import { List, nameColumn, statusColumn } from "../list.tsx";
import { Badge, Card, Errors, Facts, Lock, Names, Page, Rule, Text, To, Waiting } from "../parts.tsx";
import { link } from "../route.ts";
import type { Middleware, Router, Service } from "../types.ts";

export function RoutersPage() {
  return (
    <Page title="Routers" lead="Which requests are taken, and where they go.">
      <List<Router>
        path="http/routers"
        noun="router"
        nothing="Give a container a label such as waybill=app.example.com, and its router is here."
        columns={[
          statusColumn,
          nameColumn("routers", "strong"),
          { title: "Rule", sortBy: "rule", cell: ({ rule }) => <Rule of={rule} />, class: "grow" },
          {
            title: "Entry points",
            sortBy: "entryPoints",
            cell: ({ using, entryPoints, tls }) => (
              <>
                {tls && <Lock />} <Text of={(using ?? entryPoints ?? []).join(", ")} />
              </>
            ),
            class: "narrow",
          },
          {
            title: "Service",
            sortBy: "service",
            cell: ({ service, provider }) =>
              service && <To kind="services" name={qualified(service, provider)} />,
            class: "names-cell",
          },
          {
            title: "Priority",
            sortBy: "priority",
            // Those of our own pages have nineteen digits, which say nothing to anybody.
            cell: ({ priorityStr = "" }) =>
              priorityStr.length < 16 ? priorityStr : <span title={priorityStr}>highest</span>,
            class: "number",
          },
        ]}
      />
    </Page>
  );
}

/** A name without a provider is of the same one. */
export const qualified = (name: string, provider: string) =>
  name.includes("@") ? name : `${name}@${provider}`;

interface Found {
  readonly router: Router;
  readonly middlewares: readonly (readonly [name: string, found: Middleware | undefined])[];
  readonly service: Service | undefined;
}

async function load(name: string, signal: AbortSignal): Promise<Found> {
  const router = await getJson<Router>(`http/routers/${encodeURIComponent(name)}`, signal);
  const one = <T,>(kind: string, wanted: string) =>
    getJson<T>(`http/${kind}/${encodeURIComponent(qualified(wanted, router.provider))}`, signal).catch(
      () => undefined,
    );
  const [service, ...middlewares] = await Promise.all([
    router.service ? one<Service>("services", router.service) : undefined,
    ...(router.middlewares ?? []).map((each) => one<Middleware>("middlewares", each)),
  ]);
  const names = (router.middlewares ?? []).map((each) => qualified(each, router.provider));
  return { router, service, middlewares: names.map((each, i) => [each, middlewares[i]] as const) };
}

export function RouterPage({ name }: { readonly name: string }) {
  const { data, error } = useLoad(name, (signal) => load(name, signal));
  if (data === undefined) {
    return (
      <Page title={name} lead="Router">
        <Waiting error={error} />
      </Page>
    );
  }
  const { router } = data;
  return (
    <Page title={name} lead="Router" aside={<Badge status={router.status} />}>
      <Chain label="The way of a request" stops={stopsOf(data)} />
      <Errors of={router.error} />
      <div class="cards">
        <Card title="Router">
          <Facts
            of={[
              ["Rule", <Rule key="rule" of={router.rule} />],
              ["Priority", router.priorityStr ?? ""],
              ["Entry points", (router.using ?? router.entryPoints ?? []).join(", ")],
              [
                "Middlewares",
                <Names key="names" kind="middlewares" of={data.middlewares.map(([each]) => each)} />,
              ],
              ["Provider", <Text key="provider" of={router.provider} />],
            ]}
          />
          {router.rule && (
            <p>
              <a href={`${link("explain")}?url=${encodeURIComponent(urlOf(router))}`}>
                Explain a request for it
              </a>
            </p>
          )}
        </Card>
        <Card title="HTTPS">
          {router.tls ? (
            <Facts
              of={[
                ["Options", <Text key="options" of={router.tls.options ?? "default"} />],
                [
                  "Certificates from",
                  <Text key="resolver" of={router.tls.certResolver ?? "what is there already"} />,
                ],
                [
                  "Names",
                  (router.tls.domains ?? [])
                    .map(({ main, sans = [] }) => [main, ...sans].join(", "))
                    .join("; ") || "those in the rule",
                ],
              ]}
            />
          ) : (
            <p class="faint">Plain HTTP only.</p>
          )}
        </Card>
      </div>
    </Page>
  );
}

/** A request that its rule most likely takes. */
function urlOf({ rule = "", tls }: Router): string {
  const host = /Host\(\s*[`"]([^`"]+)/i.exec(rule)?.[1] ?? "localhost";
  const path = /Path(?:Prefix)?\(\s*[`"]([^`"]+)/i.exec(rule)?.[1] ?? "/";
  return `${tls ? "https" : "http"}://${host}${path}`;
}

function stopsOf({ router, middlewares, service }: Found): (readonly Stop[])[] {
  const entryPoints = router.using ?? router.entryPoints ?? [];
  const stops: (readonly Stop[])[] = [
    entryPoints.map(
      (name): Stop => ({
        kind: "entry point",
        title: <Text of={name} />,
        detail: router.tls ? <Lock /> : undefined,
      }),
    ),
    [
      {
        kind: "router",
        title: <Text of={router.name} most={80} />,
        detail: <Badge status={router.status} />,
        tone: router.status === "disabled" ? "bad" : router.status === "warning" ? "warn" : "plain",
      },
    ],
    ...middlewares.map(([name, found]): Stop[] => [
      {
        kind: found?.type ?? "missing",
        title: <To kind="middlewares" name={name} />,
        tone: found === undefined || found.status === "disabled" ? "bad" : "plain",
      },
    ]),
    ...(router.service ? serviceStops(service, qualified(router.service, router.provider)) : []),
  ];
  return stops.filter((stop) => stop.length > 0);
}
