import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { ChallengeBoard, type LiveChallenges } from "../../src/acme/challenges.ts";
import { systemClock } from "../../src/acme/clock.ts";
import { FileVault } from "../../src/acme/file-vault.ts";
import { SharedChallenges } from "../../src/acme/shared-challenges.ts";
import type { Vault } from "../../src/acme/vault.ts";
import { FakeCa } from "./fake-ca.ts";
import { openNetwork, type Responder, resolverOptions, scratch, startAcme } from "./helpers.ts";
import { until } from "./pebble.ts";
import { startRedis } from "./redis-server.ts";

function machine(vault: Vault) {
  let live: LiveChallenges = { tokens: new Map(), certificates: [] };
  const board = new ChallengeBoard((now) => {
    live = now;
  });
  const shared = new SharedChallenges(vault, board, systemClock);
  return { board, shared, tokens: () => live.tokens };
}

const proof = (token: string) => ({
  authorization: {
    url: "",
    name: "a.example.com",
    status: "pending",
    challenges: [],
    retryAfterMs: undefined,
  },
  token,
  keyAuthorization: `${token}.print`,
  signal: new AbortController().signal,
});

async function openVault(t: TestContext): Promise<FileVault> {
  const vault = await FileVault.open(scratch(t));
  t.after(() => vault.close());
  return vault;
}

const record = (token: string, more: object = {}) =>
  JSON.stringify({ type: "http-01", ...proof(token), name: "a.example.com", atMs: Date.now(), ...more });

test("AC-17 a proof that is put while others are being read is learned all the same", async (t) => {
  const vault = await openVault(t);
  const one = machine(vault);
  const list = vault.list.bind(vault);
  let late: (() => Promise<void>) | undefined = () => vault.put("challenges/late.json", record("late"));
  // Another machine's proof comes after the list was read, and before what is on it has been.
  vault.list = async (folder) => {
    const paths = await list(folder);
    await late?.();
    if (late !== undefined) void one.shared.refresh();
    late = undefined;
    return paths;
  };
  await vault.put("challenges/early.json", record("early"));
  await one.shared.refresh();
  assert.deepEqual([...one.tokens().keys()].sort(), ["early", "late"]);
});

test("AC-17 the CA is told of a proof when every machine answers it, and a silent one is not waited for long", async (t) => {
  const vault = await openVault(t);
  const [one, two] = [machine(vault), machine(vault)];
  vault.peers = async () => 1;
  let isReady = false;
  const placed = one.shared.sharing("http-01", one.board.http)(proof("token"));
  void placed.then(() => {
    isReady = true;
  });
  await until(async () => (await vault.list("challenges")).length === 1);
  assert.equal(isReady, false);
  await two.shared.refresh();
  assert.equal(two.tokens().get("token"), "token.print");
  const cleanUp = await placed;
  await cleanUp();
  await two.shared.refresh();
  assert.deepEqual([one.tokens().size, two.tokens().size], [0, 0]);
  assert.deepEqual(await vault.list("seen"), [], "nothing of it stays");

  vault.peers = async () => 7;
  await (await one.shared.sharing("http-01", one.board.http)(proof("alone")))();
});

test("AC-18 the proof of an order that was left to us stays until we take it away", async (t) => {
  const vault = await openVault(t);
  const one = machine(vault);
  await vault.put("challenges/token.json", record("token"));
  await one.shared.refresh();
  const cleanUp = await one.shared.sharing("http-01", one.board.http)(proof("token"));
  await one.shared.refresh();
  assert.equal(one.tokens().get("token"), "token.print");
  await cleanUp();
  await one.shared.refresh();
  assert.equal(one.tokens().size, 0);
});

test("RD-09 what stands among the challenges and is none is not answered, and becomes no rule", async (t) => {
  const vault = await openVault(t);
  const one = machine(vault);
  const bad = [
    "junk",
    "[]",
    "null",
    record("token`) || PathPrefix(`/"),
    record("../../etc"),
    record("t", { type: "dns-01" }),
    record("t", { keyAuthorization: "a\r\nSet-Cookie: b" }),
    record("t", { name: "a`b" }),
    record("t", { atMs: "now" }),
  ];
  for (const [i, text] of bad.entries()) await vault.put(`challenges/bad${i}.json`, text);
  await vault.put("challenges/good.json", record("good"));
  await one.shared.refresh();
  assert.deepEqual([...one.tokens().keys()], ["good"]);
});

test("AC-17 the check before an order succeeds behind a balancer that asks the other machine", async (t) => {
  const redis = await startRedis(t);
  if (redis === undefined) return;
  const ca = await new FakeCa().listen(t);
  const machines: Responder[] = [];
  // Whoever asks, the balancer leads him to the machine that has not asked.
  const behind = (other: () => Responder | undefined) => ({
    ...openNetwork,
    page: async (_: string, token: string) => {
      const body = other()?.live.tokens.get(token);
      return body === undefined ? { status: 404, body: "" } : { status: 200, body };
    },
  });
  const le = resolverOptions({ caServer: ca.directory, storage: redis.url });
  const [one, two] = await Promise.all(
    [1, 0].map((other, i) =>
      startAcme(
        t,
        { le },
        { environment: redis.environment(`m${i}`), network: behind(() => machines[other]) },
      ),
    ),
  );
  machines.push(one!.responder, two!.responder);
  await until(async () => {
    const [, count] = (await redis.redis.pubsub("NUMSUB", "waybill:acme")) as [string, number];
    return count === 2;
  });
  const names = Array.from({ length: 6 }, (_, i) => `n${i}.example.com`);
  const wants = names.map((name) => ({ resolver: "le", names: [name], owner: "app@docker" }));
  one!.acme.want(wants);
  two!.acme.want(wants);
  await until(() => [one, two].every((each) => each!.certificates().length === names.length), 30_000);
  const failed = [one, two].map((each) => each!.acme.counts.get("le")?.failed ?? 0);
  assert.deepEqual(failed, [0, 0]);
  assert.equal(ca.orders.length, names.length);
});

test("a token has the delay of the resolver to be answered everywhere before the check gives up", async (t) => {
  const ca = await new FakeCa().listen(t);
  let asked = 0;
  let tokens = (): ReadonlyMap<string, string> => new Map();
  const network = {
    ...openNetwork,
    page: async (_: string, token: string) => {
      asked += 1;
      return asked < 3 ? { status: 404, body: "" } : { status: 200, body: tokens().get(token) ?? "" };
    },
  };
  const httpChallenge = { entryPoint: "web", delay: 5000 };
  const le = resolverOptions({ caServer: ca.directory, storage: scratch(t), httpChallenge });
  const { acme, responder, certificates } = await startAcme(t, { le }, { network });
  tokens = () => responder.live.tokens;
  acme.want([{ resolver: "le", names: ["a.example.com"], owner: "app@docker" }]);
  await until(() => certificates().length === 1, 30_000);
  assert.equal(asked, 3);
  assert.equal(acme.counts.get("le")!.failed, 0);
});
