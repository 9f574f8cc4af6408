import assert from "node:assert/strict";
import { test } from "node:test";
import { Slots } from "../../src/control/slots.ts";
import { CannotListen, Threads } from "../../src/control/threads.ts";
import type { Logger } from "../../src/model/host.ts";
import type { Settings } from "../../src/model/settings.ts";
import { changeBetween, EMPTY_SNAPSHOT } from "../../src/model/snapshot-change.ts";
import { eventually } from "../e2e/harness.ts";

interface Line {
  readonly level: string;
  readonly fields: Record<string, unknown>;
  readonly message: string;
}

/** Where silence matters: long enough for the other thread on a busy machine, less than the dawdler takes. */
const SILENT_MS: Record<string, number> = { hang: 4000, dawdle: 1500 };

function start(habit: string, lines: Line[], count = 2): Threads {
  const write = (level: string) => (fields: Record<string, unknown>, message: string) =>
    void lines.push({ level, fields, message });
  const log: Logger = {
    debug: write("debug"),
    info: write("info"),
    warn: write("warn"),
    error: write("error"),
  };
  const slots = new Slots(count, Date.now);
  return new Threads(count, {
    settings: { entryPoints: new Map([[habit, {}]]) } as unknown as Settings,
    log,
    servers: slots.memory,
    cells: slots.cells,
    meter() {},
    threadStarted() {},
    threadGone() {},
    brokenMiddleware() {},
    silentMs: SILENT_MS[habit] ?? 60_000,
    script: new URL("./misbehaving-thread.ts", import.meta.url),
  });
}

const told = (lines: readonly Line[], index: number, generation: number) =>
  lines
    .filter(
      ({ message, fields }) =>
        message === "told" && fields["index"] === index && fields["generation"] === generation,
    )
    .map(({ fields }) => fields["kind"]);

for (const [habit, row] of [
  ["hang", "RS-10 a thread whose loop stands still"],
  ["throw", "RS-09 a thread that an error ends"],
  ["exit", "RS-08 a thread that is gone without a word"],
] as const) {
  test(`${row} is replaced, configured like the others, and listens on the same ports`, async () => {
    const lines: Line[] = [];
    const threads = start(habit, lines);
    await threads.start();
    const next = { ...EMPTY_SNAPSHOT, version: 7 };
    threads.publish(next, changeBetween(EMPTY_SNAPSHOT, next));
    await eventually(() => assert.deepEqual(told(lines, 0, 2), ["configure", "listen"]));
    assert.deepEqual(threads.ports, new Map([[habit, 4000]]));
    assert.deepEqual(told(lines, 1, 2), [], "the other thread lives on");
    assert.ok(lines.some(({ level, message }) => level === "error" && message.includes("is replaced")));
    await threads.close();
  });
}

test("a thread that takes its time to start is not taken for a stuck one", async () => {
  const lines: Line[] = [];
  const threads = start("dawdle", lines, 1);
  await threads.start();
  assert.deepEqual(told(lines, 0, 1), ["configure", "listen"]);
  await threads.close();
});

test("a start fails with the name of the entry point that cannot listen", async () => {
  const threads = start("refuse", [], 1);
  await assert.rejects(
    threads.start(),
    (error) => error instanceof CannotListen && error.entryPoint === "refuse",
  );
  await threads.close();
});

test("draining asks every thread and waits for all of them", async () => {
  const lines: Line[] = [];
  const threads = start("behave", lines);
  await threads.start();
  assert.equal(await threads.drain(100), 0);
  assert.equal(told(lines, 0, 1).at(-1), "drain");
  assert.equal(told(lines, 1, 1).at(-1), "drain");
  await threads.close();
});
