import assert from "node:assert/strict";
import { globSync } from "node:fs";
import { test } from "node:test";
import type { BalancerHost, Strategy } from "../../src/model/balancer.ts";
import { STRATEGIES } from "../../src/model/dynamic.ts";
import type { Exchange } from "../../src/model/exchange.ts";
import type { Server } from "../../src/model/service.ts";

const strategies: Strategy[] = [];
for (const file of globSync("src/balancer/*.ts").sort()) {
  strategies.push(((await import(`../../${file}`)) as { default: Strategy }).default);
}

class FakeServer implements Server {
  readonly spec;
  inFlight = 0;
  isUp = true;
  constructor(name: string, weight = 1) {
    const url = `http://${name}:80`;
    this.spec = {
      id: url,
      scheme: "http",
      host: name,
      port: 80,
      path: "",
      weight,
      url,
      workload: undefined,
    } as const;
  }
  up() {
    return this.isUp;
  }
}

/** The same numbers in every run: Park and Miller's generator. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

function makeHost(clock = { ms: 0 }): BalancerHost {
  return { random: randomFrom(7), tickMs: () => clock.ms, keyOf: (exchange) => exchange.connection.peerIp };
}

const from = (peerIp: string) => ({ connection: { peerIp } }) as Exchange;
const address = (n: number) => `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`;
const fleet = (count: number) => Array.from({ length: count }, (_, i) => new FakeServer(`s${i}`));

test("every strategy that an option names has one file, called like it", () => {
  assert.deepEqual(strategies.map((s) => s.name).sort(), [...STRATEGIES].sort());
  assert.deepEqual(
    globSync("src/balancer/*.ts")
      .map((file) => file.replace(/^.*\/|\.ts$/g, ""))
      .sort(),
    [...STRATEGIES].sort(),
  );
});

for (const strategy of strategies) {
  test(`${strategy.name}: the only server is picked every time`, () => {
    const servers = fleet(1);
    const balancer = strategy.create(servers, makeHost());
    for (let i = 0; i < 10; i++) assert.equal(balancer.pick(from(address(i)), undefined), servers[0]);
  });

  test(`${strategy.name}: no servers, none that is up, or none with a share give none`, () => {
    assert.equal(strategy.create([], makeHost()).pick(from("10.0.0.1"), undefined), undefined);
    const down = fleet(3);
    for (const server of down) server.isUp = false;
    assert.equal(strategy.create(down, makeHost()).pick(from("10.0.0.1"), undefined), undefined);
    const weightless = [new FakeServer("a", 0), new FakeServer("b", 0)];
    assert.equal(strategy.create(weightless, makeHost()).pick(from("10.0.0.1"), undefined), undefined);
  });

  test(`${strategy.name}: a server that is down or was tried is not picked, and comes back when it is up`, () => {
    const servers = fleet(3);
    const balancer = strategy.create(servers, makeHost());
    servers[0]!.isUp = false;
    for (let i = 0; i < 50; i++) assert.equal(balancer.pick(from(address(i)), [servers[1]!]), servers[2]);
    servers[0]!.isUp = true;
    const seen = new Set<Server | undefined>();
    for (let i = 0; i < 200; i++) seen.add(balancer.pick(from(address(i)), undefined));
    assert.equal(seen.size, 3);
  });

  test(`${strategy.name}: all tried gives none`, () => {
    const servers = fleet(2);
    assert.equal(strategy.create(servers, makeHost()).pick(from("10.0.0.1"), servers), undefined);
  });

  test(`${strategy.name}: equal servers get equal shares`, () => {
    const servers = fleet(4);
    const balancer = strategy.create(servers, makeHost());
    const shares = count(8000, (i) => balancer.pick(from(address(i)), undefined));
    for (const server of servers) {
      const share = shares.get(server) ?? 0;
      assert.ok(share > 8000 * 0.19 && share < 8000 * 0.31, `${server.spec.url} got ${share}`);
    }
  });

  if (strategy.name !== "p2c") {
    test(`${strategy.name}: a weight of three gets three times the requests of a weight of one`, () => {
      const servers = [new FakeServer("a", 3), new FakeServer("b", 1)];
      const balancer = strategy.create(servers, makeHost());
      const shares = count(8000, (i) => {
        const picked = balancer.pick(from(address(i)), undefined)!;
        if (["leastconn", "leasttime", "ewma"].includes(strategy.name)) underWay(picked, balancer);
        return picked;
      });
      const share = (shares.get(servers[0]!) ?? 0) / 8000;
      assert.ok(share > 0.68 && share < 0.82, `weight 3 got ${share}`);
    });
  }
}

for (const name of ["hrw", "hash"]) {
  const strategy = strategies.find((s) => s.name === name)!;

  test(`P5 ${name}: when one of N servers goes, only the keys that it had move`, () => {
    const servers = fleet(10);
    const before = strategy.create(servers, makeHost());
    const after = strategy.create(servers.slice(1), makeHost());
    let moved = 0;
    for (let i = 0; i < 10_000; i++) {
      const [was, is] = [before.pick(from(address(i)), undefined), after.pick(from(address(i)), undefined)];
      if (was === is) continue;
      assert.equal(was, servers[0], "a key moved that the lost server did not have");
      moved++;
    }
    assert.ok(moved <= (10_000 / 10) * 1.25, `${moved} of 10000 keys moved`);
  });

  test(`P5 ${name}: when a server comes, keys move only to it, and it may come at any place of the list`, () => {
    const servers = fleet(9);
    const late = new FakeServer("late");
    const before = strategy.create(servers, makeHost());
    const after = strategy.create([late, ...servers.toReversed()], makeHost());
    let moved = 0;
    for (let i = 0; i < 10_000; i++) {
      const [was, is] = [before.pick(from(address(i)), undefined), after.pick(from(address(i)), undefined)];
      if (was === is) continue;
      assert.equal(is, late);
      moved++;
    }
    assert.ok(moved <= (10_000 / 10) * 1.25, `${moved} of 10000 keys moved`);
  });

  test(`${name}: a client stays on its server`, () => {
    const balancer = strategy.create(fleet(5), makeHost());
    const first = balancer.pick(from("192.0.2.7"), undefined);
    for (let i = 0; i < 20; i++) assert.equal(balancer.pick(from("192.0.2.7"), undefined), first);
  });
}

for (const name of ["leasttime", "ewma"]) {
  const strategy = strategies.find((s) => s.name === name)!;

  test(`L3 ${name}: a replica ten times slower gets less than 5 % of the requests`, () => {
    const clock = { ms: 0 };
    const servers = fleet(3);
    const balancer = strategy.create(servers, makeHost(clock));
    const shares = count(5000, () => {
      clock.ms += 2;
      const picked = balancer.pick(from("10.0.0.1"), undefined)!;
      balancer.done!(picked, picked === servers[0] ? 100 : 10, 200);
      return picked;
    });
    assert.ok((shares.get(servers[0]!) ?? 0) < 250, `the slow one got ${shares.get(servers[0]!)}`);
  });

  test(`${name}: a server that fails at once is not taken for a fast one`, () => {
    const servers = fleet(3);
    const balancer = strategy.create(servers, makeHost());
    const shares = count(1000, () => {
      const picked = balancer.pick(from("10.0.0.1"), undefined)!;
      if (picked === servers[0]) balancer.done!(picked, 1, 502);
      else balancer.done!(picked, 10, 200);
      return picked;
    });
    assert.ok((shares.get(servers[0]!) ?? 0) < 50, `the failing one got ${shares.get(servers[0]!)}`);
  });
}

test("ewma: a server that was slow once is tried again after a while", () => {
  const clock = { ms: 0 };
  const servers = fleet(2);
  const balancer = strategies.find((s) => s.name === "ewma")!.create(servers, makeHost(clock));
  balancer.done!(servers[0]!, 1000, 200);
  let tries = 0;
  for (let i = 0; i < 6000; i++) {
    clock.ms += 20;
    const picked = balancer.pick(from("10.0.0.1"), undefined)!;
    balancer.done!(picked, 10, 200);
    if (picked === servers[0]) tries++;
  }
  assert.ok(tries > 1000, `it was tried ${tries} times`);
});

for (const name of ["p2c", "leastconn"]) {
  test(`${name}: a server with many requests under way gets few more`, () => {
    const servers = fleet(4);
    servers[0]!.inFlight = 100;
    const balancer = strategies.find((s) => s.name === name)!.create(servers, makeHost());
    const shares = count(1000, () => balancer.pick(from("10.0.0.1"), undefined));
    assert.equal(shares.get(servers[0]!) ?? 0, 0);
  });
}

test("wrr: turns of unequal weights are spread, not bunched", () => {
  const servers = [new FakeServer("a", 4), new FakeServer("b", 1)];
  const balancer = strategies.find((s) => s.name === "wrr")!.create(servers, makeHost());
  let longest = 0;
  let run = 0;
  for (let i = 0; i < 100; i++) {
    run = balancer.pick(from("10.0.0.1"), undefined) === servers[0] ? run + 1 : 0;
    longest = Math.max(longest, run);
  }
  assert.ok(longest <= 5, `${longest} turns in a row`);
});

test("wrr: a server that comes back does not get all the turns it missed", () => {
  const servers = fleet(2);
  const balancer = strategies.find((s) => s.name === "wrr")!.create(servers, makeHost());
  servers[0]!.isUp = false;
  for (let i = 0; i < 100; i++) balancer.pick(from("10.0.0.1"), undefined);
  servers[0]!.isUp = true;
  const shares = count(20, () => balancer.pick(from("10.0.0.1"), undefined));
  assert.ok(Math.abs((shares.get(servers[0]!) ?? 0) - 10) <= 2);
});

function count(times: number, pick: (i: number) => Server | undefined): Map<Server, number> {
  const shares = new Map<Server, number>();
  for (let i = 0; i < times; i++) {
    const server = pick(i);
    if (server !== undefined) shares.set(server, (shares.get(server) ?? 0) + 1);
  }
  return shares;
}

// Strategies that go by load see weights only under load: twenty requests are always under way, the oldest ends first.
const queue: Server[] = [];
function underWay(picked: Server, balancer: ReturnType<Strategy["create"]>): void {
  picked.inFlight++;
  queue.push(picked);
  if (queue.length <= 20) return;
  const ended = queue.shift()!;
  ended.inFlight--;
  balancer.done?.(ended, 10, 200);
}
