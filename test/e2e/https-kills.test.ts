import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { systemClock } from "../../src/acme/clock.ts";
import { Connection } from "../../src/acme/connection.ts";
import { planResolver } from "../../src/acme/resolver.ts";
import { openShelf, resolverOptions } from "../acme/helpers.ts";
import { hasPebble, type Pebble, startPebble, until } from "../acme/pebble.ts";
import { eventually } from "./harness.ts";
import { resolverFlags, scratchFolder, secureGet } from "./https.ts";

/** For a quiet machine and an hour: `KILLS=200`. */
const KILLS = Number(process.env["KILLS"] ?? 8);
const FIRST_NAMES = 10;
/** Our own budget has 300 orders for three hours, and 50 for a domain. */
const NAMES_PER_LIFE = KILLS > 100 ? 1 : 2;
const PROGRAM = new URL("../../bin/waybill.js", import.meta.url).pathname;

const ordersAt = (pebble: Pebble) =>
  [...pebble.log().matchAll(/Added order "([\w-]+)"/g)].map(([, id]) => id!);
const issuedAt = (pebble: Pebble) =>
  [...pebble.log().matchAll(/Issued certificate serial \w+ for order ([\w-]+)/g)].map(([, id]) => id!);

function routesFor(hosts: readonly string[]): string {
  const router = (host: string, i: number) =>
    `    r${i}: { rule: "Host(\`${host}\`)", service: noop@internal, entryPoints: [websecure], tls: { certResolver: le } }`;
  return `http:\n  routers:\n${hosts.map(router).join("\n")}\n`;
}

/** The whole product in a process of its own, to be killed. */
class Lives {
  readonly pebble: Pebble;
  readonly hosts: string[] = [];
  /** Orders that were found in the store of a dead one, by their id. */
  readonly saved = new Map<string, string>();
  readonly #t: TestContext;
  readonly #storage: string;
  readonly #routes: string;
  #child: ChildProcess | undefined;
  #said = "";
  #certificates = 0;

  constructor(t: TestContext, pebble: Pebble) {
    this.#t = t;
    this.pebble = pebble;
    const folder = scratchFolder(t);
    this.#storage = join(folder, "store");
    this.#routes = join(folder, "routes.yml");
    t.after(() => void this.#child?.kill("SIGKILL"));
  }

  get said(): string {
    return this.#said;
  }

  /** Names for which the last one that died had no certificate. */
  get missing(): number {
    return this.hosts.length - this.#certificates;
  }

  begin(fresh: number): void {
    for (let i = 0; i < fresh; i++) this.hosts.push(`www.shop${this.hosts.length}.com`);
    writeFileSync(this.#routes, routesFor(this.hosts));
    const flags = [
      ...resolverFlags(this.pebble, this.#storage, ["httpChallenge.entryPoint=web"]),
      "--providers.docker=false",
      `--providers.file.filename=${this.#routes}`,
      "--threads=1",
    ];
    const child = spawn(process.execPath, [PROGRAM, ...flags]);
    this.#said = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk) => {
        this.#said += String(chunk);
      });
    this.#child = child;
  }

  async kill(): Promise<void> {
    this.#child!.kill("SIGKILL");
    await once(this.#child!, "exit");
  }

  /** Looks at what the killed one left: nothing broken, and orders that the next one goes on with. */
  async autopsy(): Promise<void> {
    const { shelf, reports } = await openShelf(this.#storage);
    const { kept, blocked } = await shelf.loadCertificates();
    assert.equal(blocked.size, 0);
    assert.deepEqual(reports, []);
    assert.deepEqual(await shelf.vault.list("quarantine"), []);
    this.#certificates = kept.length;
    for (const path of await shelf.vault.list("orders")) {
      const { url } = JSON.parse((await shelf.vault.get(path))!.toString()) as { url: string };
      this.saved.set(url.slice(url.lastIndexOf("/") + 1), url);
    }
    await shelf.vault.close();
  }

  /** Of the orders that were saved and came to nothing, those that could still become a certificate. */
  async abandoned(): Promise<readonly string[]> {
    const { directory, roots } = this.pebble;
    const options = resolverOptions({ caServer: directory, caCertificates: [roots], storage: this.#storage });
    const { shelf } = await openShelf(this.#storage);
    const connection = new Connection(planResolver("le", options).cas[0]!, shelf, systemClock);
    const ca = await connection.ca(this.#t.signal);
    const found: string[] = [];
    for (const id of ordersAt(this.pebble)) {
      const url = this.saved.get(id);
      if (url === undefined || issuedAt(this.pebble).includes(id)) continue;
      // The CA came to ask while nobody was there: that one is spoilt.
      if ((await ca.order(url)).status !== "invalid") found.push(id);
    }
    await connection.close();
    await shelf.vault.close();
    return found;
  }

  async servesAll(): Promise<void> {
    const ca = await this.pebble.root(0);
    for (const host of this.hosts)
      await eventually(async () => {
        assert.equal((await secureGet(this.pebble.tlsPort, host, { ca })).status, 418);
      }, 150).catch((error: Error) => {
        throw new Error(`${host}: ${error.message}\n${this.#said}`);
      });
  }
}

test("AC-14 AC-16 the product is killed again and again while it gets certificates: each is issued once, none is broken", async (t) => {
  if (!hasPebble(t)) return;
  const lives = new Lives(t, await startPebble(t));
  const { pebble } = lives;
  let allowed = 0;
  for (let n = 0; n < KILLS; n++) {
    const before = ordersAt(pebble).length;
    lives.begin(n === 0 ? FIRST_NAMES : NAMES_PER_LIFE);
    // A life orders what is missing, and once: what of it is not saved, the next one orders again.
    allowed += lives.missing;
    await until(() => ordersAt(pebble).length > before);
    // Rather early than late: most of what can go wrong happens in the first moments.
    await wait(Math.random() ** 2 * 1500);
    await lives.kill();
    await lives.autopsy();
  }
  lives.begin(NAMES_PER_LIFE);
  allowed += lives.missing;
  await lives.servesAll();
  assert.doesNotMatch(lives.said, /ERROR|broken|moved to/);
  await lives.kill();
  await lives.autopsy();
  const orders = ordersAt(pebble).length;
  assert.ok(orders <= allowed, `${orders} orders, where ${allowed} may have been needed`);
  t.diagnostic(`${KILLS} kills: ${orders} orders for ${lives.hosts.length} names`);
  assert.equal(issuedAt(pebble).length, lives.hosts.length, "each name has one certificate, and only one");
  assert.deepEqual(await lives.abandoned(), [], "an order that was saved is gone on with");
});
