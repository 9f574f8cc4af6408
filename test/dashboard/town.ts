import type { DemoSpec } from "../../src/demo/engine.ts";

/** A name that would do harm if anything but text were made of it (AD-04, AD-05). */
export const HOSTILE = '<img src=x onerror="document.title=1">\u202eevil';

const router = (name: string, rule: string, more: Record<string, string> = {}) => ({
  [`traefik.http.routers.${name}.rule`]: rule,
  ...Object.fromEntries(
    Object.entries(more).map(([option, value]) => [`traefik.http.routers.${name}.${option}`, value]),
  ),
});

const replica = (number: number, health: DemoSpec["health"] = "none"): DemoSpec => ({
  name: `shop-${number}`,
  image: "shop:2.4",
  health,
  labels: {
    "com.docker.compose.project": "town",
    "com.docker.compose.service": "shop",
    ...router("shop", "Host(`shop.localhost`)", { middlewares: "compress,limit" }),
    "traefik.http.middlewares.compress.compress": "true",
    "traefik.http.middlewares.limit.ratelimit.average": "200",
    "traefik.http.middlewares.limit.ratelimit.burst": "400",
  },
});

/** A small town of containers: some all right, some not, one hostile. For pages that show all of it. */
export const TOWN: readonly DemoSpec[] = [
  { name: "whoami", image: "traefik/whoami:latest", labels: { waybill: "whoami.localhost" } },
  replica(1),
  replica(2),
  replica(3, "unhealthy"),
  {
    name: "api",
    image: "acme/api:1.9.2",
    labels: {
      ...router("api", "Host(`shop.localhost`) && PathPrefix(`/api`)", { middlewares: "api-auth,api-strip" }),
      "traefik.http.middlewares.api-auth.basicauth.users":
        "ann:$2y$05$GqS2mlGBaBlDVMmGMXDMCuJdUnsoy6E1fA2FcYSoz5yR5VIcjzXd6",
      "traefik.http.middlewares.api-strip.stripprefix.prefixes": "/api",
      "traefik.http.services.api.loadbalancer.server.port": "3000",
    },
  },
  {
    name: "blog",
    image: "ghost:5",
    labels: router("blog", "Host(`blog.localhost`) || Host(`www.blog.localhost`)"),
  },
  { name: "wiki", image: "wiki:3", labels: router("wiki", "Hots(`wiki.localhost`)") },
  {
    name: "mail",
    image: "mail:1",
    labels: {
      ...router("mail", "Host(`mail.localhost`)"),
      "traefik.http.routers.mail.middlewares": "gone@file",
    },
  },
  {
    name: "metrics",
    image: "grafana/grafana:11",
    labels: router("metrics", "Host(`metrics.localhost`)", { entrypoints: "websecure" }),
  },
  { name: "database", image: "postgres:17", labels: { "traefik.enable": "false" } },
  { name: "cache", image: "redis:8" },
  {
    name: "old",
    image: "old:1",
    labels: { ...router("old", "Host(`old.localhost`)"), "traefik.http.routers.old.rulle": "Host(`x`)" },
  },
  {
    name: "hostile",
    image: HOSTILE,
    labels: router("hostile", `Host(\`hostile.localhost\`) && PathPrefix(\`/${HOSTILE}\`)`),
  },
];
