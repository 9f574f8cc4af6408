import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { test } from "node:test";

interface Panel {
  readonly title: string;
  readonly targets?: readonly { readonly expr: string }[];
}

const board = JSON.parse(readFileSync("examples/grafana/waybill.json", "utf8")) as { panels: Panel[] };
const sources = globSync("src/{observe,compile,control}/*.ts")
  .map((file) => readFileSync(file, "utf8"))
  .join("\n");

test("the board and its page ask only for metrics that there are", () => {
  const asked = board.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)).join("\n");
  const names = new Set(asked.match(/\b(?:traefik|waybill|process)_\w+/g));
  assert.ok(names.size > 15);
  for (const name of names) {
    const family = name.replace(/_bucket$/, "");
    const [, own = family] =
      /^traefik_(?:entrypoint|router|service)(_requests\w*|_responses\w*|_request_\w+)$/.exec(family) ?? [];
    assert.ok(sources.includes(own), name);
  }
});
