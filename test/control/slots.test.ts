import assert from "node:assert/strict";
import { test } from "node:test";
import { SharedMemory } from "../../src/control/shared-memory.ts";
import { Slots } from "../../src/control/slots.ts";

test("a server keeps its slot, and what is known of it, for as long as it is declared", () => {
  const slots = new Slots(2, () => 0);
  const slot = slots.slotOf("app@docker", "one");
  slots.cells.setHealthy(slot, false);
  slots.settle();
  assert.equal(slots.slotOf("app@docker", "one"), slot);
  slots.settle();
  assert.equal(slots.cells.healthy(slot), false);
  assert.notEqual(slots.slotOf("other@docker", "one"), slot, "another service judges the server for itself");
});

test("a slot is given to another server only after a rest, and then says nothing of the first", () => {
  const clock = { ms: 0 };
  const slots = new Slots(1, () => clock.ms);
  const slot = slots.slotOf("app@docker", "one");
  slots.cells.setHealthy(slot, false);
  slots.settle();
  slots.settle();
  assert.notEqual(slots.slotOf("app@docker", "two"), slot);
  clock.ms = 3_600_000;
  assert.equal(slots.slotOf("app@docker", "three"), slot);
  assert.equal(slots.cells.healthy(slot), true);
});

test("the memory grows with the servers, for those who hold it already", () => {
  const slots = new Slots(4, () => 0);
  const { cells } = slots;
  let last = 0;
  for (let i = 0; i < 5000; i++) last = slots.slotOf("app@docker", `server-${i}`);
  cells.setInFlightOf(last, 3, 9);
  assert.equal(cells.inFlight(last), 9);
});

test("requests under way of a dead thread are forgotten, those of others are not", () => {
  const { cells, slotOf } = bound(new Slots(2, () => 0));
  const slot = slotOf("app@docker", "one");
  cells.setInFlightOf(slot, 0, 2);
  cells.setInFlightOf(slot, 1, 3);
  cells.clearThread(0);
  assert.equal(cells.inFlight(slot), 3);
});

test("failures count together only within the window, and an ejection ends by itself", () => {
  const { cells, slotOf } = bound(new Slots(1, () => 0));
  const slot = slotOf("app@docker", "one");
  assert.equal(cells.fail(slot, 1000, 100), 1);
  assert.equal(cells.fail(slot, 1050, 100), 2);
  assert.equal(cells.fail(slot, 1200, 100), 1);
  cells.eject(slot, 2000);
  assert.equal(cells.ejected(slot, 1999), true);
  assert.equal(cells.ejected(slot, 2001), false);
  cells.eject(slot, 3000);
  cells.forgive(slot);
  assert.equal(cells.ejected(slot, 2999), false);
});

test("time may pass the point where 32 bits of milliseconds begin again", () => {
  const { cells, slotOf } = bound(new Slots(1, () => 0));
  const slot = slotOf("app@docker", "one");
  const late = 2 ** 32 - 10;
  cells.eject(slot, late + 20);
  assert.equal(cells.ejected(slot, late), true);
  assert.equal(cells.ejected(slot, late + 30), false);
});

test("a middleware's memory is kept while its options stay the same", () => {
  const memory = new SharedMemory();
  const first = memory.sharedFor("limit@docker", 64, { average: 1 });
  memory.settle();
  assert.equal(memory.sharedFor("limit@docker", 64, { average: 1 }), first);
  memory.settle();
  assert.notEqual(memory.sharedFor("limit@docker", 64, { average: 2 }), first);
});

function bound(slots: Slots) {
  return { cells: slots.cells, slotOf: (service: string, server: string) => slots.slotOf(service, server) };
}
