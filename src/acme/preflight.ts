import { randomBytes } from "node:crypto";
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { request } from "undici";
import type { ChallengeBoard } from "./challenges.ts";
import { AcmeProblem } from "./problem.ts";

/** How the check looks at the world; tests bring their own. */
export interface Network {
  /** Addresses of the name, none if it has none. Rejects when nobody could be asked. */
  addresses(name: string): Promise<readonly string[]>;
  /** What `http://name/.well-known/acme-challenge/<token>` answers. Rejects when nobody answers. */
  page(name: string, token: string): Promise<{ readonly status: number; readonly body: string }>;
}

const PATIENCE_MS = 5000;

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

/**
 * Asks what the CA will ask, before it does: a name that leads elsewhere costs us a second instead of one of five
 * failures an hour. Only what is surely wrong stops an order: behind many routers a machine cannot reach its own
 * public address although the world can.
 */
export async function preflight(
  names: readonly string[],
  challenge: string,
  board: ChallengeBoard,
  network: Network,
): Promise<void> {
  if (challenge === "dns-01") return;
  const results = await Promise.allSettled(names.map((name) => check(name, challenge, board, network)));
  const failed = results.find((result) => result.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}

async function check(
  name: string,
  challenge: string,
  board: ChallengeBoard,
  network: Network,
): Promise<void> {
  if (isIP(name) === 0) {
    const addresses = await network.addresses(name).catch(() => undefined);
    if (addresses?.length === 0)
      throw new AcmeProblem("preflight", `${name} has no address in DNS yet; add an A or AAAA record for it`);
  }
  if (challenge !== "http-01") return;
  const token = randomBytes(24).toString("base64url");
  const answer = randomBytes(24).toString("base64url");
  await board.showToken(token, answer);
  try {
    const page = await network.page(name, token).catch(() => undefined);
    if (page === undefined || page.body.trim() === answer) return;
    const what = `${name} is answered by something else than this proxy (status ${page.status} on port 80)`;
    throw new AcmeProblem("preflight", `${what}; point its DNS record here, or forward port 80`);
  } finally {
    await board.hideToken(token);
  }
}
