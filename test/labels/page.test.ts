import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { parse } from "yaml";
import { loadCatalogue } from "../../src/compile/catalogue.ts";
import { Labels } from "../../src/labels/declare.ts";
import { describeProblem } from "../../src/schema/problem.ts";
import { container, OPTIONS } from "./helper.ts";

const { middlewares } = await loadCatalogue();

test("the labels that docs/middlewares.md shows are right as they stand", () => {
  const [, yaml = ""] = /```yaml\n([\s\S]*?)```/.exec(readFileSync("docs/middlewares.md", "utf8")) ?? [];
  const written = parse(yaml) as Record<string, string | number>;
  const labels = Object.fromEntries(Object.entries(written).map(([name, value]) => [name, String(value)]));
  const asked: string[] = [];
  const secret = (reference: string) => {
    asked.push(reference);
    return "anna:$2y$05$GqS2mlGBaBlDVMmGMXDMCuJdUnsoy6E1fA2FcYSoz5yR5VIcjzXd6";
  };
  const labelsOf = { ...labels, "traefik.http.routers.shop.service": "shop" };
  const { problems, services, routers, transports, tlsOptions } = new Labels(
    { ...OPTIONS, secret },
    middlewares,
  ).declare([container("web", labelsOf)], undefined);
  assert.deepEqual(problems.map(describeProblem), []);
  assert.deepEqual(asked, ["file:/run/secrets/users"]);
  assert.deepEqual([...services.keys()].sort(), ["blue", "copied", "safe", "shop"]);
  assert.deepEqual(services.get("shop")?.value.weighted?.services[1]?.header, "X-Canary=yes");
  assert.deepEqual(routers.get("shop")?.value.middlewares, ["-auth"]);
  assert.deepEqual([...transports.keys(), ...tlsOptions.keys()], ["patient", "modern"]);
});
