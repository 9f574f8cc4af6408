interface Page {
  readonly path: string;
  readonly summary: string;
  readonly list?: true;
  readonly stream?: true;
  /** Of what type the answer is, if not JSON. */
  readonly type?: string;
  readonly query?: readonly (readonly [name: string, doc: string])[];
}

const LIST_QUERY = [
  ["page", "Which page, from 1."],
  ["per_page", "How many on a page; 100 without it."],
  ["search", "Text that names (and rules) must hold, in any case."],
  ["status", "`enabled`, `warning` or `disabled`."],
  ["sortBy", "`name` or another column."],
  ["direction", "`asc` or `desc`."],
] as const;

const kinds = (noun: string, kind: string): Page[] => [
  { path: `/api/${kind}`, summary: `All ${noun}s.`, list: true },
  { path: `/api/${kind}/{name}`, summary: `One ${noun}, as \`name@provider\`.` },
];

/** Everything the API answers. A test asks for each of them. */
export const PAGES: readonly Page[] = [
  { path: "/api/overview", summary: "Counts of routers, services, middlewares and certificates." },
  { path: "/api/rawdata", summary: "Every router, service and middleware by its name." },
  { path: "/api/version", summary: "The version, and when it was started." },
  {
    path: "/api/support-dump",
    summary: "Version, settings and configuration in one file, without secrets.",
    type: "application/gzip",
  },
  { path: "/api/entrypoints", summary: "All entry points." },
  { path: "/api/entrypoints/{name}", summary: "One entry point." },
  ...kinds("router", "http/routers"),
  ...kinds("service", "http/services"),
  ...kinds("middleware", "http/middlewares"),
  { path: "/api/certificates", summary: "All certificates, without their keys.", list: true },
  { path: "/api/certificates/{name}", summary: "One certificate, by the SHA-256 of its bytes." },
  { path: "/api/issuance", summary: "How getting and renewing certificates goes, name by name." },
  { path: "/api/problems", summary: "Everything a person must mend, with its place." },
  { path: "/api/workloads", summary: "Every container that was seen, routed or not, and why." },
  { path: "/api/settings", summary: "The settings in force, with where each was said." },
  { path: "/api/catalogue", summary: "Every option there is, with its documentation." },
  {
    path: "/api/traffic",
    summary: "Requests, errors and durations of the last five minutes, second by second.",
    query: [["since", "Only what came after this time, in milliseconds since 1970."]],
  },
  {
    path: "/api/explain",
    summary:
      "What would become of a request: entry point, routers, middlewares, service, servers, certificate.",
    query: [
      ["url", "The request's URL."],
      ["method", "GET without it."],
      ["header", "`name: value`; may be there more than once."],
      ["from", "The client's address; 127.0.0.1 without it."],
      ["entryPoint", "Where it comes in; worked out from the URL without it."],
    ],
  },
  { path: "/api/events", summary: "An event after every configuration.", stream: true },
  {
    path: "/api/requests",
    summary: "Requests as they are answered.",
    stream: true,
    query: [
      ["host", "Text that the host must hold."],
      ["path", "Text that the path must hold."],
      ["router", "The router's name."],
      ["service", "The service's name."],
      ["status", "`404`, `5xx`, or `error` for 400 and above."],
      ["method", "The method."],
      ["client", "The client's address."],
      ["slower", "Only those that took at least so many milliseconds."],
    ],
  },
];

export function openApi(version: string, basePath: string): Record<string, unknown> {
  const paths = PAGES.map(({ path, summary, list, stream, type: other, query = [] }) => {
    const parameters = [...(list ? LIST_QUERY : []), ...query].map(([name, description]) =>
      parameter(name, "query", description),
    );
    const named = path.includes("{name}") ? [parameter("name", "path", "Its name.")] : [];
    const type = other ?? (stream ? "text/event-stream" : "application/json");
    const responses = {
      200: { description: "As asked for.", content: { [type]: {} } },
      400: { description: "A parameter is not right." },
      401: { description: "A login is asked for." },
      404: { description: "There is no such thing." },
    };
    return [path, { get: { summary, parameters: [...named, ...parameters], responses } }] as const;
  });
  return {
    openapi: "3.1.0",
    info: {
      title: "Waybill",
      version,
      description: "What Waybill knows. Read-only, compatible with Traefik's API.",
    },
    servers: [{ url: basePath === "/" ? "" : basePath.replace(/\/$/, "") || "/" }],
    security: [{}, { token: [] }, { password: [] }],
    paths: Object.fromEntries(paths),
    components: {
      securitySchemes: {
        token: { type: "http", scheme: "bearer" },
        password: { type: "http", scheme: "basic" },
      },
    },
  };
}

function parameter(name: string, where: "query" | "path", description: string) {
  return {
    name,
    in: where,
    description,
    schema: { type: "string" },
    ...(where === "path" && { required: true }),
  };
}
