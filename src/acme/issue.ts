import { isIP } from "node:net";
import type { Authorization, Ca, Challenge, Order } from "./ca.ts";
import {
  type CertificateFacts,
  checkDelivered,
  type KeyType,
  newKey,
  readCertificate,
} from "./certificate.ts";
import type { CleanUp, Solver } from "./challenges.ts";
import type { Clock } from "./clock.ts";
import { canonicalIp } from "./names.ts";
import { AcmeProblem } from "./problem.ts";
import type { KeptOrder, Shelf } from "./shelf.ts";

/** What one certificate is to be. */
export interface IssueJob {
  /** Folder of the CA. */
  readonly caId: string;
  readonly names: readonly string[];
  readonly keyType: KeyType;
  readonly profile: string;
  readonly preferredChain: string;
  readonly emailAddresses: readonly string[];
  readonly replaces: string | undefined;
  /** Milliseconds that the CA may take once it has everything. */
  readonly certificateTimeoutMs: number;
  /** Preferred first. */
  readonly challenges: readonly string[];
}

export interface IssueTools {
  readonly ca: Ca;
  readonly shelf: Shelf;
  readonly clock: Clock;
  readonly solvers: ReadonlyMap<string, Solver>;
  /** Asked before every write: false when another process has taken over. */
  readonly held: () => Promise<boolean>;
  readonly onStage: (stage: Stage) => void;
  readonly signal: AbortSignal;
}

export type Stage = "ordering" | "proving" | "finalizing" | "downloading";

const VALIDATION_MS = 180_000;
const POLL_FIRST_MS = 1000;
const POLL_LAST_MS = 10_000;

/** One certificate, from the order to a checked chain. Called again after a crash, it goes on where it was. */
export async function issue(job: IssueJob, tools: IssueTools): Promise<CertificateFacts> {
  tools.onStage("ordering");
  const { order: opened, kept } = await openOrder(job, tools);
  try {
    tools.onStage("proving");
    const proven = opened.status === "pending" ? await prove(opened, job, tools) : opened;
    tools.onStage("finalizing");
    const valid = await finalize(proven, kept, job, tools);
    tools.onStage("downloading");
    const chain = await tools.ca.certificate(valid, job.preferredChain);
    const facts = readCertificate(chain, kept.key);
    checkDelivered(facts, job.names, tools.clock.nowMs());
    return facts;
  } catch (error) {
    // An order that cannot become a certificate any more must not be resumed.
    if (error instanceof AcmeProblem && error.kind !== "transient") await dropOrder(job, tools);
    throw error;
  }
}

async function dropOrder(job: IssueJob, { shelf }: IssueTools): Promise<void> {
  await shelf.removeOrder(job.caId, job.names).catch(() => {});
}

async function openOrder(job: IssueJob, tools: IssueTools): Promise<{ order: Order; kept: KeptOrder }> {
  const kept = await tools.shelf.loadOrder(job.caId, job.names);
  if (kept !== undefined) {
    const order = await resumable(kept, tools);
    if (order !== undefined) return { order, kept };
  }
  const order = await newOrder(job, tools);
  const key = await newKey(job.keyType);
  const fresh = { ca: job.caId, url: order.url, names: job.names, key, startedAtMs: tools.clock.nowMs() };
  // Key and address are safe before anything is asked that would cost a certificate to ask again.
  await saveUnderLock(tools, () => tools.shelf.saveOrder(fresh));
  return { order, kept: fresh };
}

async function resumable(kept: KeptOrder, { ca }: IssueTools): Promise<Order | undefined> {
  try {
    const order = await ca.order(kept.url);
    return order.status === "invalid" ? undefined : order;
  } catch (error) {
    if (error instanceof AcmeProblem && error.status >= 400 && error.status < 500 && error.status !== 429)
      return undefined;
    throw error;
  }
}

async function newOrder(job: IssueJob, { ca }: IssueTools): Promise<Order> {
  const identifiers = job.names.map((value) => ({
    type: isIP(value) === 0 ? ("dns" as const) : ("ip" as const),
    value,
  }));
  const request = { identifiers, profile: job.profile || undefined, replaces: job.replaces };
  try {
    return await ca.createOrder(request);
  } catch (error) {
    if (job.replaces === undefined || !mayBeForReplaces(error)) throw error;
    return ca.createOrder({ ...request, replaces: undefined });
  }
}

/** What CAs say of a certificate that was replaced already, or that they do not know (any more). */
const ABOUT_REPLACES: readonly string[] = ["alreadyReplaced", "malformed", "notFound", "serverInternal"];

// To say what is replaced is a courtesy (RFC 9773 section 5). It must never be why a renewal fails.
function mayBeForReplaces(error: unknown): boolean {
  if (!(error instanceof AcmeProblem) || error.retryAfterMs !== undefined) return false;
  return ABOUT_REPLACES.includes(error.type) || error.status === 404 || error.status === 409;
}

/** Proves every name at once. All are tried even when one fails, so that the reason names every broken one. */
async function prove(order: Order, job: IssueJob, tools: IssueTools): Promise<Order> {
  const results = await Promise.allSettled(order.authorizations.map((url) => proveOne(url, job, tools)));
  const failed = results.filter((result) => result.status === "rejected");
  if (failed.length > 0) throw failed[0]!.reason;
  return poll(
    () => tools.ca.order(order.url),
    (now) => now.status !== "pending",
    VALIDATION_MS,
    tools,
  );
}

async function proveOne(url: string, job: IssueJob, tools: IssueTools): Promise<void> {
  const { ca, solvers, signal } = tools;
  const authorization = await ca.authorization(url);
  // Or a CA could have us write to DNS whatever it likes.
  if (!job.names.some((name) => name.replace(/^\*\./, "") === canonicalIp(authorization.name)))
    throw new AcmeProblem("badReply", "the CA wants a name proved that was not asked for");
  if (authorization.status === "valid") return;
  if (authorization.status !== "pending")
    throw new AcmeProblem("unauthorized", `${authorization.name} was refused`);
  const challenge = chooseChallenge(authorization, job.challenges);
  const keyAuthorization = await ca.keyAuthorization(challenge.token);
  const solver = solvers.get(challenge.type)!;
  const cleanUp = await solver({ authorization, token: challenge.token, keyAuthorization, signal });
  try {
    await ca.begin(challenge);
    const decided = await poll(() => ca.authorization(url), isDecided, VALIDATION_MS, tools);
    if (decided.status !== "valid") throw failureOf(decided);
  } finally {
    await quietly(cleanUp);
  }
}

const isDecided = (authorization: Authorization) =>
  authorization.status !== "pending" && authorization.status !== "processing";

function chooseChallenge(authorization: Authorization, wanted: readonly string[]): Challenge {
  for (const type of wanted) {
    const challenge = authorization.challenges.find((one) => one.type === type && one.token !== "");
    if (challenge !== undefined) return challenge;
  }
  const offered = authorization.challenges.map((one) => one.type).join(", ") || "none";
  throw new AcmeProblem(
    "unsupportedIdentifier",
    `the CA proves ${authorization.name} by ${offered} only, and the resolver has ${wanted.join(", ")}`,
  );
}

function failureOf(authorization: Authorization): AcmeProblem {
  const problem = authorization.challenges.find((one) => one.problem !== undefined)?.problem;
  const detail = `${authorization.name}: ${problem?.message ?? `the CA says ${authorization.status}`}`;
  return new AcmeProblem(problem?.type ?? "unauthorized", detail, {
    status: 403,
    subproblems: problem?.subproblems ?? [],
  });
}

async function finalize(order: Order, kept: KeptOrder, job: IssueJob, tools: IssueTools): Promise<Order> {
  let now = order;
  if (now.status === "ready") {
    const { makeRequest } = await import("./x509.ts");
    const request = await makeRequest(job.names, kept.key, job.emailAddresses);
    await saveUnderLock(tools, async () => {});
    now = await tools.ca.finalize(order, request);
  }
  if (now.status === "processing") {
    const isDone = (later: Order) => later.status !== "processing";
    now = await poll(
      () => tools.ca.order(order.url),
      isDone,
      job.certificateTimeoutMs,
      tools,
      now.retryAfterMs,
    );
  }
  if (now.status === "valid" && now.certificate !== undefined) return now;
  if (now.problem !== undefined) throw now.problem;
  throw new AcmeProblem(
    now.status === "invalid" ? "unauthorized" : "badReply",
    `the order became ${now.status}`,
  );
}

/** Asks until the answer is what we wait for: as often as the CA wants, or a little less often each time. */
async function poll<T extends { readonly retryAfterMs: number | undefined }>(
  ask: () => Promise<T>,
  isDone: (answer: T) => boolean,
  patienceMs: number,
  { clock, signal }: IssueTools,
  firstWaitMs?: number,
): Promise<T> {
  const endMs = clock.nowMs() + patienceMs;
  let waitMs = firstWaitMs ?? 0;
  for (let round = 0; ; round++) {
    if (waitMs > 0) await clock.sleep(waitMs, signal);
    const answer = await ask();
    if (isDone(answer)) return answer;
    if (clock.nowMs() >= endMs) throw new AcmeProblem("timeout", "the CA has not decided in time");
    const ownMs = Math.min(POLL_FIRST_MS * 1.5 ** round, POLL_LAST_MS);
    waitMs = Math.min(answer.retryAfterMs ?? ownMs, Math.max(endMs - clock.nowMs(), POLL_FIRST_MS));
  }
}

async function saveUnderLock(tools: IssueTools, save: () => Promise<void>): Promise<void> {
  if (!(await tools.held())) throw new AcmeProblem("superseded", "another process has taken this name over");
  await save();
}

async function quietly(cleanUp: CleanUp): Promise<void> {
  try {
    await cleanUp();
  } catch {
    // A proof that stays behind does no harm; the certificate must not fail for it.
  }
}
