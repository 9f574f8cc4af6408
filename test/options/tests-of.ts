import { globSync } from "node:fs";
import { join } from "node:path";

/**
 * Where the options' tests are. The longest path that an option begins with counts; a folder stands for all its
 * tests. Each option must be named in one of them: `coverage.test.ts` looks.
 */
const TESTS: readonly (readonly [path: string, ...tests: string[]])[] = [
  ["entryPoints.<name>", "test/options/entry-points.test.ts"],
  ["entryPoints.<name>.transport.lifeCycle", "test/e2e/run.test.ts"],
  ["entryPoints.<name>.transport.respondingTimeouts", "test/options/entry-points.test.ts", "test/listen/"],
  ["entryPoints.<name>.transport.respondingTimeouts.tunnelIdleTimeout", "test/gateway/upgrade.test.ts"],
  ["entryPoints.<name>.http.sanitizePath", "test/conformance/http1-requests.test.ts"],
  ["entryPoints.<name>.http.encodeQuerySemicolons", "test/conformance/http1-requests.test.ts"],
  ["entryPoints.<name>.http.underscoreHeadersStrategy", "test/conformance/http1-requests.test.ts"],
  ["entryPoints.<name>.http2", "test/options/entry-points.test.ts", "test/listen/"],
  ["providers", "test/options/providers.test.ts"],
  ["providers.docker", "test/labels/", "test/providers/", "test/options/providers.test.ts"],
  ["providers.file", "test/providers/file-provider.test.ts"],
  ["certificatesResolvers.<name>.acme", "test/options/acme.test.ts", "test/acme/"],
  ["api", "test/admin/", "test/options/pages.test.ts"],
  ["ping", "test/options/pages.test.ts"],
  ["log", "test/observe/log.test.ts", "test/observe/"],
  ["accessLog", "test/observe/", "test/options/pages.test.ts"],
  ["metrics", "test/options/telemetry.test.ts", "test/observe/", "test/options/pages.test.ts"],
  ["tracing", "test/options/telemetry.test.ts", "test/observe/"],
  [
    "serversTransport",
    "test/options/transports.test.ts",
    "test/upstream/",
    "test/listen/limits-effect.test.ts",
  ],
  ["user", "test/control/privileges.test.ts"],
  ["threads", "test/e2e/threads.test.ts"],
  ["secrets", "test/options/providers.test.ts"],
  ["core", "test/options/providers.test.ts"],
  ["global", "test/options/entry-points.test.ts"],
  ["global.retryBudget", "test/listen/limits-effect.test.ts"],
  ["http.routers.<name>", "test/options/routers.test.ts"],
  ["http.routers.<name>.parentRefs", "test/e2e/children.test.ts"],
  [
    "http.services.<name>",
    "test/options/services.test.ts",
    "test/compile/",
    "test/control/probe.test.ts",
    "test/e2e/run.test.ts",
  ],
  [
    "http.serversTransports.<name>",
    "test/options/transports.test.ts",
    "test/upstream/",
    "test/listen/limits-effect.test.ts",
  ],
  ["tls", "test/tls/", "test/options/tls.test.ts"],
];

export function testsOf(path: string): readonly string[] {
  const [, written] = /^http\.middlewares\.<name>\.(\w+)/.exec(path) ?? [];
  // The old name of the same middleware is tested with it.
  const middleware = written === "ipWhiteList" ? "ipAllowList" : written;
  if (path.startsWith("http.middlewares.<name>.rateLimit.redis"))
    return ["test/options/redis.test.ts", "test/e2e/redis.test.ts", "test/middleware/rate-limit.test.ts"];
  if (middleware !== undefined) return [`test/middleware/${kebab(middleware)}.test.ts`];
  let best: readonly string[] = [];
  let length = -1;
  for (const [prefix, ...tests] of TESTS) {
    if (prefix.length <= length || !`${path}.`.startsWith(`${prefix}.`)) continue;
    best = tests;
    length = prefix.length;
  }
  return best;
}

// As the middlewares' own files are called.
const kebab = (name: string) =>
  name
    .replace("TLS", "Tls")
    .replace("GRPC", "Grpc")
    .replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** Those of the tests whose text has the option's own name in it. */
export function filesNaming(
  path: string,
  tests: readonly string[],
  read: (file: string) => string,
): string[] {
  const name = path
    .replace(/(?:\.<name>|\[n\])+$/, "")
    .split(".")
    .at(-1)!;
  const pattern = new RegExp(`\\b${name}\\b`, "i");
  const root = join(import.meta.dirname, "../..");
  const files = tests.flatMap((test) =>
    test.endsWith("/") ? globSync(`${test}**/*.test.ts`, { cwd: root }).sort() : [test],
  );
  return files.filter((file) => pattern.test(read(file)));
}
