import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually, startProduct } from "../e2e/harness.ts";
import { answerHeads, startRaw, wait } from "./kit.ts";

/** An address that goes from one container to another while connections to the first are still open. */

const ROUNDS = 4;

test("BE-23 an address that another container got serves only the other, on connections of its own", async () => {
  // The address itself: it keeps all connections open, as the kernel does for a container that froze.
  await using address = await startRaw(answerHeads());
  const container = (name: string) => ({
    name,
    serve: false,
    networks: { bridge: "127.0.0.1" },
    ports: [Number(new URL(address.url).port)],
    labels: { [`traefik.http.routers.${name}.rule`]: `Host(\`${name}.test\`)` },
  });
  await using product = await startProduct({ threads: 1 });
  const { engine } = product.demo;
  const tookMs: number[] = [];
  let tenant = await engine.add(container("a0"));
  await eventually(async () => assert.equal((await product.get("a0.test")).status, 200));

  for (let round = 1; round <= ROUNDS; round++) {
    const old = `a${round - 1}.test`;
    await Promise.all(Array.from({ length: 8 }, () => product.get(old)));
    const connections = address.sockets.length;
    assert.ok(address.heard.join("").includes(old));
    const asking = askAllTheTime(product.get, old);
    // One at once after the other: nobody can have seen the address free.
    await engine.die(tenant);
    tenant = await engine.add(container(`a${round}`));
    await eventually(async () => assert.equal((await product.get(`a${round}.test`)).status, 200));
    const servedAtMs = performance.now();
    const left = () => address.sockets.filter((socket, i) => i < connections && !socket.destroyed).length;
    await eventually(() => assert.equal(left(), 0, "connections of a container that is gone are closed"));
    tookMs.push(performance.now() - servedAtMs);
    await wait(500);
    await asking.stop();
    assert.equal((await product.get(old)).status, 404);

    for (const [i, text] of address.heard.entries()) {
      const hosts = new Set(text.match(/^Host: \S+/gm));
      assert.ok(hosts.size <= 1, `connection ${i} carried requests for ${[...hosts]}`);
      if (i < connections) assert.ok(!hosts.has(`Host: a${round}.test`), "the new one got an old connection");
    }
  }
  assert.ok(Math.min(...tookMs) < 1000, `closed after ${tookMs.map(Math.round)} ms`);
});

/** Requests one after the other, whatever becomes of them. */
function askAllTheTime(get: (host: string) => Promise<unknown>, host: string) {
  let isOver = false;
  const asking = (async () => {
    while (!isOver) {
      await get(host).catch(() => {});
      await wait(2);
    }
  })();
  return {
    async stop() {
      isOver = true;
      await asking;
    },
  };
}
