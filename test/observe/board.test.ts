import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { eventually, startProduct } from "../e2e/harness.ts";
import { makeCertificate } from "../tls/certificates.ts";

interface Panel {
  readonly title: string;
  readonly targets?: readonly { readonly expr: string }[];
  readonly panels?: readonly Panel[];
}

interface Board {
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly definition?: string }[] };
}

const board = JSON.parse(readFileSync("examples/grafana/waybill.json", "utf8")) as Board;

function expressions(panels: readonly Panel[]): string[] {
  return panels.flatMap(({ targets = [], panels: inner = [] }) => [
    ...targets.map(({ expr }) => expr),
    ...expressions(inner),
  ]);
}

test("the board asks only for metrics and labels that the program shows", async () => {
  const { chain, key } = await makeCertificate({ names: ["app.test"] });
  const indented = (pem: string) => pem.trim().replaceAll("\n", "\n          ");
  await using product = await startProduct({
    threads: 1,
    containers: [{ name: "app", labels: { "traefik.http.routers.app.rule": "Host(`app.test`)" } }],
    flags: [
      "--metrics.prometheus=true",
      "--accesslog.filePath=/dev/null",
      "--entryPoints.traefik.address=127.0.0.1:0",
    ],
    file: `
tls:
  certificates:
    - certFile: |
          ${indented(chain)}
      keyFile: |
          ${indented(key)}
`,
  });
  await product.get("app.test");
  await product.get("nowhere.test");
  const definitions = board.templating.list.flatMap(({ definition }) => definition ?? []);
  const asked = [...expressions(board.panels), ...definitions];
  const names = new Set(asked.join("\n").match(/\b(?:traefik|waybill|process)_\w+/g));
  assert.ok(names.size > 15);
  const text = await eventually(() => {
    const shown = product.runtime.metrics();
    for (const name of names) assert.match(shown, new RegExp(`^${name}[{ ]`, "m"), name);
    return shown;
  });
  for (const expression of asked) {
    for (const [, name, selector] of expression.matchAll(/\b((?:traefik|waybill)_\w+)\{([^}]*)\}/g)) {
      // Prometheus itself adds these two.
      const labels = [...selector!.matchAll(/(\w+)(?:=|!)/g)].map(([, label]) => label!);
      for (const label of labels.filter((one) => one !== "job" && one !== "instance"))
        assert.match(text, new RegExp(`^${name}\\{.*\\b${label}="`, "m"), `${name} by ${label}`);
    }
  }
});
