import { createServer, type ServerResponse } from "node:http";
import type { TestContext } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { newKey } from "../../src/acme/certificate.ts";
import { type Clock, systemClock } from "../../src/acme/clock.ts";
import { alternativeNames, type SigningPair, signingPair, x509 } from "../../src/acme/x509.ts";

const DAY_MS = 86_400_000;
const URN = "urn:ietf:params:acme:error:";

/** Time that stands still until a test lets it pass. */
export class FakeClock implements Clock {
  #nowMs: number;
  #tickMs = 0;
  readonly #sleepers = new Set<{ atMs: number; wake: () => void }>();

  constructor(nowMs = Date.now()) {
    this.#nowMs = nowMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  tickMs(): number {
    return this.#tickMs;
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const sleeper = { atMs: this.#tickMs + ms, wake: resolve };
      this.#sleepers.add(sleeper);
      signal.addEventListener("abort", () => {
        this.#sleepers.delete(sleeper);
        reject(signal.reason);
      });
      this.#wakeDue();
    });
  }

  advance(ms: number): void {
    this.#nowMs += ms;
    this.#tickMs += ms;
    this.#wakeDue();
  }

  /** Somebody sets the wall clock: time has not passed. */
  jump(ms: number): void {
    this.#nowMs += ms;
  }

  #wakeDue(): void {
    for (const sleeper of this.#sleepers) {
      if (sleeper.atMs > this.#tickMs) continue;
      this.#sleepers.delete(sleeper);
      sleeper.wake();
    }
  }

  /** Lets time pass in steps, with room for real I/O between them, until it is so. Gives the milliseconds passed. */
  async until(isSo: () => boolean, stepMs = 1000, stepsMax = 1500): Promise<number> {
    const start = this.#tickMs;
    // Disks and sockets take real time: what is slow for want of that is waited for while hardly any of ours passes.
    const endMs = Date.now() + 60_000;
    for (let i = 0; i < stepsMax || Date.now() < endMs; i++) {
      for (let j = 0; j < 3; j++) {
        await wait(1);
        if (isSo()) return this.#tickMs - start;
      }
      this.advance(i < stepsMax ? stepMs : 1);
    }
    throw new Error("it did not happen in time");
  }

  /** The same when nothing is to happen. */
  async pass(ms: number, stepMs = 60_000): Promise<void> {
    for (let passed = 0; passed < ms; passed += stepMs) {
      this.advance(Math.min(stepMs, ms - passed));
      await wait(2);
    }
  }
}

export interface Call {
  readonly method: string;
  /** `order`, `finalize`: the first part of the path. */
  readonly kind: string;
  readonly path: string;
  readonly payload: Record<string, unknown>;
}

/** Instead of the CA's own answer. `hang` never answers. */
export type Trick =
  | { status: number; headers?: Record<string, string>; body?: string; problem?: string; detail?: string }
  | "hang"
  | undefined;

interface FakeOrder {
  readonly names: readonly { type: string; value: string }[];
  readonly replaces: string | undefined;
  readonly profile: string | undefined;
  status: string;
  chain: string;
  processingUntilMs: number;
  problem: { type: string; detail: string } | undefined;
}

/** A CA that plays what Pebble cannot. It believes everybody. */
export class FakeCa {
  directory = "";
  readonly calls: Call[] = [];
  readonly orders: FakeOrder[] = [];
  issued = 0;
  /** Milliseconds that its certificates live. */
  lifeMs = 90 * DAY_MS;
  /** How much later than now they begin. */
  beginsInMs = 0;
  /** Milliseconds that issuing takes. */
  processingMs = 0;
  /** An order for the same names that is not finished is handed out again, as Let's Encrypt does. */
  reuse = true;
  profiles: Record<string, string> = {};
  ari: { start: number; end: number; retryAfter?: string } | undefined;
  /** Renewal information ids whose certificate has been replaced. */
  readonly replaced = new Set<string>();
  /** The answer to an order that replaces one of those. */
  refusesReplaced: Exclude<Trick, "hang" | undefined> = {
    status: 409,
    problem: "alreadyReplaced",
    detail: "already replaced",
  };
  /** What its clock says. */
  now: () => number;
  trick: (call: Call) => Trick = () => undefined;
  /** Undefined when a name proves well. */
  validate: (name: string, type: string) => string | undefined | Promise<string | undefined> = () =>
    undefined;
  readonly #clock: Clock;
  readonly #authorizations = new Map<string, { status: string; problem?: object }>();
  #signer: { root: string; pair: SigningPair } | undefined;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
    this.now = () => clock.nowMs();
  }

  async listen(t: TestContext): Promise<this> {
    const { keys, algorithm } = await signingPair(await newKey("EC256"));
    const root = await x509.X509CertificateGenerator.createSelfSigned({
      name: "CN=Fake Root",
      keys,
      signingAlgorithm: algorithm,
      notAfter: new Date(Date.now() + 36500 * DAY_MS),
      extensions: [
        new x509.BasicConstraintsExtension(true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    this.#signer = { root: root.toString("pem"), pair: { keys, algorithm } };
    const server = createServer(async (request, response) => {
      let body = "";
      for await (const chunk of request) body += chunk;
      const { payload = "" } = body === "" ? {} : (JSON.parse(body) as { payload?: string });
      const text = Buffer.from(payload, "base64url").toString();
      const path = request.url!;
      const call = {
        method: request.method!,
        kind: path.split("/")[1]!,
        path,
        payload: text === "" ? {} : JSON.parse(text),
      };
      this.calls.push(call);
      response.setHeader("replay-nonce", Buffer.from(String(Math.random())).toString("base64url"));
      response.setHeader("date", new Date(this.now()).toUTCString());
      const trick = this.trick(call);
      if (trick === "hang") return;
      if (trick !== undefined) return play(response, trick);
      await this.#answer(call, response).catch((error) =>
        play(response, { status: 500, body: String(error) }),
      );
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    t.after(() => server.close().closeAllConnections());
    this.directory = `http://127.0.0.1:${(server.address() as { port: number }).port}/dir`;
    return this;
  }

  count(kind: string): number {
    return this.calls.filter((call) => call.kind === kind && call.method === "POST").length;
  }

  get #base(): string {
    return this.directory.replace(/\/dir$/, "");
  }

  async #answer({ kind, path, payload }: Call, response: ServerResponse): Promise<void> {
    const [, , first = "", second = ""] = path.split("/");
    const at = (name: string) => `${this.#base}/${name}`;
    if (kind === "dir") {
      const resources = { newNonce: at("nonce"), newAccount: at("account"), newOrder: at("order") };
      const ari = this.ari === undefined ? {} : { renewalInfo: at("ari") };
      return json(response, 200, { ...resources, ...ari, meta: { profiles: this.profiles } });
    }
    if (kind === "nonce") return json(response, 200, undefined);
    if (kind === "account") return json(response, 201, { status: "valid" }, { location: at("acct/1") });
    if (kind === "ari") return this.#ari(response);
    if (kind === "order" && first === "") return this.#newOrder(payload, response);
    const n = Number(first);
    const order = this.orders[n]!;
    if (order === undefined) return play(response, { status: 404, problem: "malformed" });
    if (kind === "authz") return json(response, 200, this.#authorization(n, Number(second)));
    if (kind === "chall") return this.#challenge(n, Number(second), path.split("/")[4]!, response);
    if (kind === "finalize") await this.#finalize(order, payload);
    if (kind === "cert") {
      response.writeHead(200, { "content-type": "application/pem-certificate-chain" }).end(order.chain);
      return;
    }
    json(
      response,
      200,
      this.#show(n),
      kind === "finalize" || order.status === "processing" ? { "retry-after": "2" } : {},
    );
  }

  #ari(response: ServerResponse): void {
    const { start, end, retryAfter } = this.ari!;
    const window = { start: new Date(start).toISOString(), end: new Date(end).toISOString() };
    const headers: Record<string, string> = retryAfter === undefined ? {} : { "retry-after": retryAfter };
    json(response, 200, { suggestedWindow: window }, headers);
  }

  #newOrder(payload: Record<string, unknown>, response: ServerResponse): void {
    const names = payload["identifiers"] as FakeOrder["names"];
    const replaces = payload["replaces"] as string | undefined;
    if (replaces !== undefined && this.replaced.has(replaces)) return play(response, this.refusesReplaced);
    this.orders.forEach((_, n) => void this.#show(n));
    const same = this.orders.findIndex(
      (order) =>
        ["pending", "ready"].includes(order.status) && JSON.stringify(order.names) === JSON.stringify(names),
    );
    const n = this.reuse && same >= 0 ? same : this.orders.length;
    const profile = payload["profile"] as string | undefined;
    this.orders[n] ??= {
      names,
      replaces,
      profile,
      status: "pending",
      chain: "",
      processingUntilMs: 0,
      problem: undefined,
    };
    json(response, 201, this.#show(n), { location: `${this.#base}/order/${n}` });
  }

  #show(n: number): object {
    const order = this.orders[n]!;
    const states = order.names.map((_, i) => this.#authorizations.get(`${n}/${i}`)?.status ?? "pending");
    if (order.status === "pending" && states.every((state) => state === "valid")) order.status = "ready";
    if (states.includes("invalid")) order.status = "invalid";
    if (order.status === "processing" && this.#clock.nowMs() >= order.processingUntilMs)
      order.status = "valid";
    const at = (kind: string) => `${this.#base}/${kind}/${n}`;
    return {
      status: order.status,
      identifiers: order.names,
      authorizations: order.names.map((_, i) => `${at("authz")}/${i}`),
      finalize: at("finalize"),
      ...(order.status === "valid" && { certificate: at("cert") }),
    };
  }

  #authorization(n: number, i: number): object {
    const identifier = this.orders[n]!.names[i]!;
    const { status, problem } = this.#authorizations.get(`${n}/${i}`) ?? { status: "pending" };
    const challenges = ["http-01", "tls-alpn-01", "dns-01"].map((type) => ({
      type,
      url: `${this.#base}/chall/${n}/${i}/${type}`,
      token: Buffer.from(`${n}-${i}-${type}`).toString("base64url"),
      status,
      ...(problem !== undefined && { error: problem }),
    }));
    return { identifier, status, challenges };
  }

  async #challenge(n: number, i: number, type: string, response: ServerResponse): Promise<void> {
    const refused = await this.validate(this.orders[n]!.names[i]!.value, type);
    const problem = { type: `${URN}unauthorized`, detail: refused };
    this.#authorizations.set(
      `${n}/${i}`,
      refused === undefined ? { status: "valid" } : { status: "invalid", problem },
    );
    json(response, 200, { type, status: "processing" });
  }

  async #finalize(order: FakeOrder, payload: Record<string, unknown>): Promise<void> {
    if (order.status !== "ready") throw new Error(`finalize while ${order.status}`);
    const request = new x509.Pkcs10CertificateRequest(Buffer.from(String(payload["csr"]), "base64url"));
    const { root, pair } = this.#signer!;
    const parent = new x509.X509Certificate(root);
    const begins = this.#clock.nowMs() + this.beginsInMs;
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: `7f${(++this.issued).toString(16).padStart(14, "0")}`,
      issuer: parent.subject,
      notBefore: new Date(begins),
      notAfter: new Date(begins + this.lifeMs),
      publicKey: request.publicKey,
      signingKey: pair.keys.privateKey,
      signingAlgorithm: pair.algorithm,
      extensions: [
        alternativeNames(order.names.map(({ value }) => value)),
        await x509.AuthorityKeyIdentifierExtension.create(parent),
      ],
    });
    if (order.replaces !== undefined) this.replaced.add(order.replaces);
    order.chain = `${certificate.toString("pem")}\n${root}`;
    order.status = "processing";
    order.processingUntilMs = this.#clock.nowMs() + this.processingMs;
  }
}

function play(response: ServerResponse, trick: Exclude<Trick, "hang" | undefined>): void {
  const document = JSON.stringify({ type: `${URN}${trick.problem}`, detail: trick.detail ?? trick.problem });
  const type = trick.problem === undefined ? "text/html" : "application/problem+json";
  response.writeHead(trick.status, { "content-type": type, ...trick.headers });
  response.end(trick.body ?? (trick.problem === undefined ? "<html>an error</html>" : document));
}

function json(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(body === undefined ? "" : JSON.stringify(body));
}
