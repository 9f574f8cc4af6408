import assert from "node:assert/strict";
import { test } from "node:test";
import { summarize } from "../../src/control/summary.ts";
import { changeBetween, EMPTY_SNAPSHOT } from "../../src/model/snapshot-change.ts";
import { gather } from "./gather.ts";

const WEB = ["--entryPoints.web.address=:80"];
const yaml = (middlewares: string) => `
http:
  routers:
    app: { rule: "Host(\`app.test\`)", service: noop@internal }
    admin: { rule: "Host(\`admin.test\`)", service: noop@internal, middlewares: [ ${middlewares} ] }
`;

test("a router that refuses what it would take is not said to have come, but to be closed", () => {
  const made = gather({ file: yaml("gone") }, WEB).snapshot;
  const { fields, declared } = summarize(EMPTY_SNAPSHOT, made, changeBetween(EMPTY_SNAPSHOT, made));
  assert.deepEqual(
    [fields["routers"], fields["routersAdded"], fields["routersClosed"], declared],
    [1, "app@file", "admin@file", true],
  );
  const mended = gather({ file: yaml("") }, WEB).snapshot;
  const after = summarize(made, mended, changeBetween(made, mended)).fields;
  assert.equal(after["routers"], 2);
  assert.match(String(after["routersChanged"]), /admin@file/);
  assert.equal(after["routersClosed"], undefined);
});
