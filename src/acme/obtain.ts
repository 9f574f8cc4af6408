import { isIP } from "node:net";
import type { Budget } from "./budget.ts";
import type { Ca } from "./ca.ts";
import type { CertificateFacts } from "./certificate.ts";
import type { Solver } from "./challenges.ts";
import type { Clock } from "./clock.ts";
import type { CaPlan, Connection } from "./connection.ts";
import { type IssueJob, issue, type Stage } from "./issue.ts";
import { caAfter, rotate, STAGING_AFTER } from "./patience.ts";
import { type Network, preflight } from "./preflight.ts";
import { AcmeProblem } from "./problem.ts";
import type { ResolverPlan } from "./resolver.ts";
import type { Kept, Shelf } from "./shelf.ts";

/** A resolver that is in use: its plan with everything it needs. */
export interface Runtime {
  readonly plan: ResolverPlan;
  readonly shelf: Shelf;
  /** Puts a token where every machine answers it. */
  readonly show: Solver;
  readonly solvers: ReadonlyMap<string, Solver>;
  connection(plan: CaPlan): Connection;
  budget(plan: CaPlan): Budget;
}

export interface Attempt {
  readonly names: readonly string[];
  /** The certificate that is replaced. */
  readonly own: Kept | undefined;
  /** Failures in a row so far. */
  readonly failures: number;
  readonly held: () => Promise<boolean>;
  readonly onStage: (stage: Stage) => void;
}

export interface Surroundings {
  readonly clock: Clock;
  readonly network: Network;
  readonly signal: AbortSignal;
}

/** Our own budget says no: not a failure, only not yet. */
export class NotYet extends Error {
  readonly waitMs: number;

  constructor(waitMs: number) {
    super("our own budget for this CA is used up");
    this.waitMs = waitMs;
  }
}

const SKEW_MAX_MS = 12 * 3_600_000;

/** One try for one certificate: which CA, by which proof, and everything that is asked before the CA is. */
export async function obtain(attempt: Attempt, runtime: Runtime, world: Surroundings): Promise<Kept> {
  const { plan } = runtime;
  const { names, failures } = attempt;
  const caPlan = plan.cas[caAfter(failures, plan.cas.length)]!;
  const challenges = rotate(usable(names, plan.challenges), failures);
  await forgetFinished(attempt, caPlan, runtime);
  await readyToAsk(attempt, caPlan, challenges, runtime, world);
  try {
    return await orderFrom(caPlan, challenges, attempt, runtime, world);
  } catch (error) {
    // What cannot be given back now comes back with time; the reason is what counts.
    await giveBack(attempt, caPlan, runtime, world.clock).catch(() => {});
    throw error;
  }
}

/** We were stopped between saving a certificate and taking its order away: resumed, it would give the same again. */
async function forgetFinished({ names, own }: Attempt, caPlan: CaPlan, { shelf }: Runtime): Promise<void> {
  if (own?.ca !== caPlan.id) return;
  const order = await shelf.loadOrder(caPlan.id, names);
  if (order?.key === own.spec.key) await shelf.removeOrder(caPlan.id, names);
}

/** An order that can be resumed has been paid for, and a renewal cost nothing that could be given back. */
async function giveBack({ names, own }: Attempt, caPlan: CaPlan, { shelf, budget }: Runtime, clock: Clock) {
  if (own !== undefined || (await shelf.loadOrder(caPlan.id, names)) !== undefined) return;
  await budget(caPlan).giveBack(names, clock.nowMs());
}

async function orderFrom(
  caPlan: CaPlan,
  challenges: readonly string[],
  attempt: Attempt,
  runtime: Runtime,
  world: Surroundings,
): Promise<Kept> {
  const { plan, shelf } = runtime;
  const { names, own, failures } = attempt;
  if (failures >= STAGING_AFTER && plan.staging !== undefined) {
    await order(attempt, { caPlan: plan.staging, challenges, replaces: undefined }, runtime, world);
    await shelf.removeOrder(plan.staging.id, names);
  }
  const replaces = own?.ca === caPlan.id ? own.ariId : undefined;
  const { facts, profile } = await order(attempt, { caPlan, challenges, replaces }, runtime, world);
  return { ...facts, ca: caPlan.id, names, resolver: plan.name, issuedAtMs: world.clock.nowMs(), profile };
}

function usable(names: readonly string[], types: readonly string[]): readonly string[] {
  const hasWildcard = names.some((name) => name.startsWith("*."));
  if (hasWildcard && !types.includes("dns-01"))
    throw new AcmeProblem(
      "unsupportedIdentifier",
      "a wildcard can only be proved by DNS; set up dnsChallenge",
    );
  if (hasWildcard) return ["dns-01"];
  const isAddress = names.some((name) => isIP(name) !== 0);
  const fit = isAddress ? types.filter((type) => type !== "dns-01") : types;
  if (fit.length === 0)
    throw new AcmeProblem(
      "unsupportedIdentifier",
      "an address cannot be proved by DNS; set up httpChallenge",
    );
  return fit;
}

async function readyToAsk(
  { names, own }: Attempt,
  caPlan: CaPlan,
  challenges: readonly string[],
  { plan, shelf, show, budget }: Runtime,
  { clock, network, signal }: Surroundings,
): Promise<void> {
  if (plan.options.preflight) {
    const patienceMs = plan.options.httpChallenge?.delay ?? 0;
    await preflight(names, challenges[0]!, { show, network, clock, patienceMs, signal });
  }
  // An order under way has been paid for.
  if ((await shelf.loadOrder(caPlan.id, names)) !== undefined) return;
  const waitMs = await budget(caPlan).takeOrder(names, own !== undefined, clock.nowMs());
  if (waitMs > 0) throw new NotYet(waitMs);
}

interface Route {
  readonly caPlan: CaPlan;
  readonly challenges: readonly string[];
  readonly replaces: string | undefined;
}

async function order(
  attempt: Attempt,
  route: Route,
  runtime: Runtime,
  world: Surroundings,
): Promise<{ facts: CertificateFacts; profile: string }> {
  const connection = runtime.connection(route.caPlan);
  const ask = async (ca: Ca) => {
    const profile = await profileFor(attempt.names, ca, runtime.plan);
    const replaces = (await ca.hasRenewalInfo()) ? route.replaces : undefined;
    checkClock(connection, world.clock);
    const { keyType, preferredChain, emailAddresses, certificateTimeout } = runtime.plan.options;
    const job: IssueJob = {
      caId: route.caPlan.id,
      names: attempt.names,
      keyType,
      profile,
      preferredChain,
      emailAddresses,
      replaces,
      certificateTimeoutMs: certificateTimeout,
      challenges: route.challenges,
    };
    const { shelf, solvers } = runtime;
    const { held, onStage } = attempt;
    return { facts: await issue(job, { ca, shelf, solvers, held, onStage, ...world }), profile };
  };
  try {
    return await ask(await connection.ca(world.signal));
  } catch (error) {
    if (!(error instanceof AcmeProblem) || error.type !== "accountDoesNotExist") throw error;
    // An order belongs to its account.
    await runtime.shelf.removeOrder(route.caPlan.id, attempt.names);
    return ask(await connection.recover(world.signal));
  }
}

/** CAs that issue for addresses do it in their short-lived profile only. */
async function profileFor(names: readonly string[], ca: Ca, plan: ResolverPlan): Promise<string> {
  const { profile } = plan.options;
  if (profile !== "" || names.every((name) => isIP(name) === 0)) return profile;
  return (await ca.profiles()).includes("shortlived") ? "shortlived" : "";
}

// With a wrong clock everything looks expired: rather wait than have every name ordered again.
function checkClock({ transport }: Connection, clock: Clock): void {
  const skewMs = transport.skewMs();
  if (Math.abs(skewMs) < SKEW_MAX_MS) return;
  const there = new Date(clock.nowMs() + skewMs).toISOString();
  throw new AcmeProblem("clock", `the CA says it is ${there}; set this machine's clock`);
}
