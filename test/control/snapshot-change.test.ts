import assert from "node:assert/strict";
import { test } from "node:test";
import {
  applyChange,
  changeBetween,
  changesNothing,
  EMPTY_SNAPSHOT,
  keepUnchanged,
} from "../../src/model/snapshot-change.ts";
import { gather } from "./gather.ts";

const yaml = (rule: string, more = "") => `
http:
  routers: { a: { rule: "${rule}", service: s }, b: { rule: "Path(\`/b\`)", service: s } ${more} }
  services: { s: { loadBalancer: { servers: [ { url: "http://10.0.0.1" } ] } } }
`;
const first = gather({ file: yaml("Path(`/a`)") }).snapshot;

test("applying what changed to the snapshot before gives the snapshot after", () => {
  const second = keepUnchanged(
    first,
    gather({ file: yaml("Path(`/x`)", ', c: { rule: "Path(`/c`)", service: s }') }).snapshot,
  );
  const change = changeBetween(first, second);
  assert.deepEqual([...change.routers.set.keys()], ["a@file", "c@file"]);
  assert.deepEqual([...change.services.set.keys()], []);
  const applied = applyChange(applyChange(EMPTY_SNAPSHOT, changeBetween(EMPTY_SNAPSHOT, first)), change);
  const sorted = (snapshot: typeof first) => snapshot.routers.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  assert.deepEqual(sorted(applied), sorted(second));
  assert.deepEqual(applied.services, second.services);
});

test("a change survives the way to a thread", () => {
  const change = changeBetween(EMPTY_SNAPSHOT, first);
  assert.deepEqual(structuredClone(change), change);
});

test("the same configuration again changes nothing", () => {
  const again = keepUnchanged(first, gather({ file: yaml("Path(`/a`)") }).snapshot);
  assert.equal(changesNothing(changeBetween(first, again)), true);
});

test("what is gone is named", () => {
  const none = keepUnchanged(first, gather({}).snapshot);
  const change = changeBetween(first, none);
  assert.deepEqual(change.routers.removed, ["a@file", "b@file"]);
  assert.deepEqual(change.services.removed, ["s@file"]);
});
