import { randomBytes } from "node:crypto";
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { request } from "undici";
import type { Solver } from "./challenges.ts";
import type { Clock } from "./clock.ts";
import { AcmeProblem } from "./problem.ts";

/** How the check looks at the world; tests bring their own. */
export interface Network {
  /** Addresses of the name, none if it has none. Rejects when nobody could be asked. */
  addresses(name: string): Promise<readonly string[]>;
  /** What `http://name/.well-known/acme-challenge/<token>` answers. Rejects when nobody answers. */
  page(name: string, token: string): Promise<{ readonly status: number; readonly body: string }>;
}

const PATIENCE_MS = 5000;
const AGAIN_MS = 500;

export const systemNetwork: Network = {
  async addresses(name) {
    try {
      return (await lookup(name, { all: true })).map(({ address }) => address);
    } catch (error) {
      if (["ENOTFOUND", "ENODATA"].includes((error as { code?: string }).code ?? "")) return [];
      throw error;
    }
  },
  async page(name, token) {
    const host = isIP(name) === 6 ? `[${name}]` : name;
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const reply = await request(`http://${host}/.well-known/acme-challenge/${token}`, { signal });
    return { status: reply.statusCode, body: (await reply.body.text()).slice(0, 1000) };
  },
};

export interface PreflightTools {
  /** Puts a token where every machine answers it. */
  readonly show: Solver;
  readonly network: Network;
  readonly clock: Clock;
  /** Milliseconds that a token may need until it is answered everywhere. */
  readonly patienceMs: number;
  readonly signal: AbortSignal;
}

/**
 * Asks what the CA will ask, before it does: a name that leads elsewhere costs us a second instead of one of five
 * failures an hour. Only what is surely wrong stops an order: behind many routers a machine cannot reach its own
 * public address although the world can.
 */
export async function preflight(
  names: readonly string[],
  challenge: string,
  tools: PreflightTools,
): Promise<void> {
  if (challenge === "dns-01") return;
  const results = await Promise.allSettled(names.map((name) => check(name, challenge, tools)));
  const failed = results.find((result) => result.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}

async function check(name: string, challenge: string, tools: PreflightTools): Promise<void> {
  if (isIP(name) === 0) {
    const addresses = await tools.network.addresses(name).catch(() => undefined);
    if (addresses?.length === 0)
      throw new AcmeProblem("preflight", `${name} has no address in DNS yet; add an A or AAAA record for it`);
  }
  if (challenge !== "http-01") return;
  const token = randomBytes(24).toString("base64url");
  const keyAuthorization = randomBytes(24).toString("base64url");
  const authorization = { url: "", name, status: "pending", challenges: [], retryAfterMs: undefined };
  const hide = await tools.show({ authorization, token, keyAuthorization, signal: tools.signal });
  try {
    await fetchBack(name, token, keyAuthorization, tools);
  } finally {
    await hide();
  }
}

async function fetchBack(name: string, token: string, answer: string, tools: PreflightTools): Promise<void> {
  const { network, clock, patienceMs, signal } = tools;
  for (const endMs = clock.tickMs() + patienceMs; ; ) {
    const page = await network.page(name, token).catch(() => undefined);
    if (page === undefined || page.body.trim() === answer) return;
    if (clock.tickMs() >= endMs) throw elsewhere(name, page.status);
    await clock.sleep(AGAIN_MS, signal);
  }
}

function elsewhere(name: string, status: number): AcmeProblem {
  const what = `${name} is answered by something else than this proxy (status ${status} on port 80)`;
  return new AcmeProblem("preflight", `${what}; point its DNS record here, or forward port 80`);
}
