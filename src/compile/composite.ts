import { Deadlines } from "../lib/deadlines.ts";
import { hash32 } from "../lib/hash.ts";
import { Rendezvous } from "../lib/rendezvous.ts";
import type { Exchange, Fallback, ForwardPlan, Mirror } from "../model/exchange.ts";
import { getHeader } from "../model/headers.ts";
import type { Hooks } from "../model/middleware.ts";
import type { Leaf, LeafLimits, Service } from "../model/service.ts";
import type { ServiceSpec } from "../model/snapshot.ts";
import { getCookie } from "./cookies.ts";
import { limitsOf } from "./load-balancer.ts";
import { makeSticky, type StickyCookie } from "./sticky.ts";

type SpecOf<K extends ServiceSpec["kind"]> = Extract<ServiceSpec, { kind: K }>;
/** Finds a compiled service; every name in a snapshot exists. */
export type FindService = (name: string) => Service;

/** Divides requests by weight; some may ask for a service by header or cookie, and cookies bring clients back. */
export class Weighted implements Service {
  readonly name: string;
  readonly #members: readonly Member[];
  readonly #turns: Deadlines;
  readonly #sticky: StickyCookie<Member> | undefined;
  readonly #checked: boolean;

  constructor(spec: SpecOf<"weighted">, find: FindService, hooks: readonly Hooks[]) {
    const { name, options } = spec;
    this.name = name;
    this.#checked = options.healthCheck !== undefined;
    const provider = name.slice(name.lastIndexOf("@"));
    this.#members = options.services.map((child) => new Member(child, find(child.name), provider));
    this.#turns = new Deadlines(
      this.#members.map((member) => member.weight),
      Math.random,
    );
    const keyed = this.#members.map((member) => [member.key, member] as const);
    this.#sticky = makeSticky(name, options.sticky, keyed);
    for (const member of this.#members)
      member.wrap = new Wrapping(spec, [...hooks, ...stickyHooks(this.#sticky, member)]);
  }

  available(): boolean {
    return this.#members.some((member) => member.weight > 0 && member.service.available());
  }

  choose(exchange: Exchange): Leaf {
    const member = this.#wanted(exchange) ?? this.#next();
    return member.wrap!.around(member.service.choose(exchange));
  }

  #wanted(exchange: Exchange): Member | undefined {
    for (let i = 0; i < this.#members.length; i++) {
      const member = this.#members[i]!;
      if (member.isAskedFor(exchange)) return member;
    }
    const known = this.#sticky?.read(exchange);
    return known !== undefined && known.weight > 0 && this.#mayGet(known) ? known : undefined;
  }

  #next(): Member {
    let best = -1;
    for (let i = 0; i < this.#members.length; i++) {
      const member = this.#members[i]!;
      if (member.weight <= 0 || !this.#mayGet(member)) continue;
      if (best < 0 || this.#turns.due(i) < this.#turns.due(best)) best = i;
    }
    // With nobody left, the first one says why it has no server.
    if (best < 0) return this.#members.find((member) => member.weight > 0) ?? this.#members[0]!;
    this.#turns.took(best);
    return this.#members[best]!;
  }

  #mayGet(member: Member): boolean {
    return !this.#checked || member.service.available();
  }
}

type WeightedChild = SpecOf<"weighted">["options"]["services"][number];

class Member {
  readonly service: Service;
  readonly weight: number;
  /** As configured, without the provider: what Traefik makes sticky cookies of. */
  readonly key: string;
  wrap: Wrapping | undefined = undefined;
  readonly #header: Wish | undefined;
  readonly #cookie: Wish | undefined;

  constructor(child: WeightedChild, service: Service, provider: string) {
    this.service = service;
    this.weight = child.weight;
    this.key = child.name.endsWith(provider) ? child.name.slice(0, -provider.length) : child.name;
    this.#header = readWish(child.header);
    this.#cookie = readWish(child.cookie);
  }

  isAskedFor(exchange: Exchange): boolean {
    if (this.#header !== undefined) {
      if (fulfils(getHeader(exchange.headers, this.#header.lower), this.#header)) return true;
    }
    return (
      this.#cookie !== undefined && fulfils(getCookie(exchange.headers, this.#cookie.name), this.#cookie)
    );
  }
}

interface Wish {
  readonly name: string;
  readonly lower: string;
  /** Undefined: any value. */
  readonly value: string | undefined;
}

function readWish(text: string): Wish | undefined {
  if (text === "") return undefined;
  const equals = text.indexOf("=");
  const name = equals < 0 ? text : text.slice(0, equals);
  return { name, lower: name.toLowerCase(), value: equals < 0 ? undefined : text.slice(equals + 1) };
}

function fulfils(found: string | undefined, wish: Wish): boolean {
  return found !== undefined && (wish.value === undefined || wish.value === found);
}

function stickyHooks(sticky: StickyCookie<Member> | undefined, member: Member): Hooks[] {
  if (sticky === undefined) return [];
  return [
    {
      onResponse(exchange) {
        sticky.write(exchange, member.key);
        return undefined;
      },
    },
  ];
}

/** Keeps each client address on one service. */
export class HighestRandomWeight implements Service {
  readonly name: string;
  readonly #services: readonly Service[];
  readonly #weights: readonly number[];
  readonly #draw: Rendezvous;
  readonly #wrap: Wrapping;
  readonly #checked: boolean;

  constructor(spec: SpecOf<"highestRandomWeight">, find: FindService, hooks: readonly Hooks[]) {
    const { name, options } = spec;
    this.name = name;
    this.#checked = options.healthCheck !== undefined;
    this.#services = options.services.map((child) => find(child.name));
    this.#weights = options.services.map((child) => child.weight);
    this.#draw = new Rendezvous(
      options.services.map((child) => child.name),
      this.#weights,
    );
    this.#wrap = new Wrapping(spec, hooks);
  }

  available(): boolean {
    return this.#services.some((service, i) => this.#weights[i]! > 0 && service.available());
  }

  choose(exchange: Exchange): Leaf {
    const key = hash32(exchange.connection.peerIp);
    let best = -1;
    let bestScore = 0;
    for (let i = 0; i < this.#services.length; i++) {
      if (this.#weights[i]! <= 0 || (this.#checked && !this.#services[i]!.available())) continue;
      const score = this.#draw.score(i, key);
      if (best >= 0 && score <= bestScore) continue;
      best = i;
      bestScore = score;
    }
    return this.#wrap.around(this.#services[Math.max(0, best)]!.choose(exchange));
  }
}

/** Answers from one service and sends copies to others. */
export class Mirroring implements Service {
  readonly name: string;
  readonly #main: Service;
  readonly #mirrors: readonly { readonly mirror: Mirror; readonly percent: number; count: number }[];
  readonly #wrap: Wrapping;
  #total = 0;

  constructor(spec: SpecOf<"mirroring">, find: FindService, hooks: readonly Hooks[]) {
    const { name, options } = spec;
    this.name = name;
    this.#main = find(options.service);
    this.#mirrors = options.mirrors.map((child) => ({
      mirror: { service: find(child.name), body: options.mirrorBody, bodyBytesMax: options.maxBodySize },
      percent: child.percent,
      count: 0,
    }));
    this.#wrap = new Wrapping(spec, hooks);
  }

  available(): boolean {
    return this.#main.available();
  }

  choose(exchange: Exchange): Leaf {
    const mirrors = this.#due();
    if (mirrors !== undefined) addToPlan(exchange, mirrors, undefined);
    return this.#wrap.around(this.#main.choose(exchange));
  }

  // Counted rather than drawn: of a hundred requests exactly `percent` are copied, spread evenly.
  #due(): Mirror[] | undefined {
    let due: Mirror[] | undefined;
    this.#total++;
    for (let i = 0; i < this.#mirrors.length; i++) {
      const entry = this.#mirrors[i]!;
      if (entry.count * 100 >= this.#total * entry.percent) continue;
      entry.count++;
      due ??= [];
      due.push(entry.mirror);
    }
    return due;
  }
}

/** Uses a second service while the first is down, or for replies of the first that have certain statuses. */
export class Failover implements Service {
  readonly name: string;
  readonly #main: Service;
  readonly #fallback: Service;
  readonly #onStatus: Fallback | undefined;
  readonly #wrap: Wrapping;

  constructor(spec: SpecOf<"failover">, find: FindService, hooks: readonly Hooks[]) {
    const { name, options } = spec;
    this.name = name;
    this.#main = find(options.service);
    this.#fallback = find(options.fallback);
    const ranges = options.errors?.status ?? [];
    this.#onStatus =
      ranges.length === 0
        ? undefined
        : {
            service: this.#fallback,
            when: (status) => ranges.some(({ from, to }) => status >= from && status <= to),
            bodyBytesMax: options.errors!.maxRequestBodyBytes,
          };
    this.#wrap = new Wrapping(spec, hooks);
  }

  available(): boolean {
    return this.#main.available() || this.#fallback.available();
  }

  choose(exchange: Exchange): Leaf {
    if (!this.#main.available()) return this.#wrap.around(this.#fallback.choose(exchange));
    if (this.#onStatus !== undefined) addToPlan(exchange, undefined, this.#onStatus);
    return this.#wrap.around(this.#main.choose(exchange));
  }
}

const NO_MIRRORS: readonly Mirror[] = [];

// Composite services may be inside each other: what each asks for is added up, and the innermost fallback counts.
function addToPlan(
  exchange: Exchange,
  mirrors: readonly Mirror[] | undefined,
  fallback: Fallback | undefined,
): void {
  const before: ForwardPlan | undefined = exchange.plan;
  const all = mirrors === undefined ? before?.mirrors : [...(before?.mirrors ?? NO_MIRRORS), ...mirrors];
  exchange.plan = { mirrors: all ?? NO_MIRRORS, fallback: fallback ?? before?.fallback };
}

/**
 * Puts the middlewares of a composite service before those of the leaf that it chose, and its limits over the leaf's.
 * Made once for each leaf.
 */
class Wrapping {
  readonly #hooks: readonly Hooks[];
  readonly #limits: LeafLimits;
  readonly #changesNothing: boolean;
  readonly #wrapped = new WeakMap<Leaf, Leaf>();

  constructor(spec: ServiceSpec, hooks: readonly Hooks[]) {
    this.#hooks = hooks;
    this.#limits = limitsOf(spec);
    this.#changesNothing = hooks.length === 0 && Object.values(this.#limits).every((limit) => limit === 0);
  }

  around(leaf: Leaf): Leaf {
    if (this.#changesNothing) return leaf;
    let wrapped = this.#wrapped.get(leaf);
    if (wrapped === undefined) {
      wrapped = new WrappedLeaf(leaf, [...this.#hooks, ...leaf.hooks], this.#limits);
      this.#wrapped.set(leaf, wrapped);
    }
    return wrapped;
  }
}

class WrappedLeaf implements Leaf {
  readonly #leaf: Leaf;
  readonly name: string;
  readonly hooks: readonly Hooks[];
  readonly answer: Leaf["answer"];
  readonly passHostHeader: boolean;
  readonly upstream?: NonNullable<Leaf["upstream"]>;
  readonly limits: LeafLimits;

  constructor(
    leaf: Leaf,
    hooks: readonly Hooks[],
    { requestMs, idleMs, connectMs, bodyBytesMax }: LeafLimits,
  ) {
    this.#leaf = leaf;
    this.name = leaf.name;
    this.hooks = hooks;
    this.answer = leaf.answer;
    this.passHostHeader = leaf.passHostHeader;
    if (leaf.upstream !== undefined) this.upstream = leaf.upstream;
    this.limits = {
      requestMs: requestMs || (leaf.limits?.requestMs ?? 0),
      idleMs: idleMs || (leaf.limits?.idleMs ?? 0),
      connectMs: connectMs || (leaf.limits?.connectMs ?? 0),
      bodyBytesMax: bodyBytesMax || (leaf.limits?.bodyBytesMax ?? 0),
    };
  }

  pick(...given: Parameters<Leaf["pick"]>): ReturnType<Leaf["pick"]> {
    return this.#leaf.pick(...given);
  }

  done(...given: Parameters<NonNullable<Leaf["done"]>>): void {
    this.#leaf.done?.(...given);
  }
}
