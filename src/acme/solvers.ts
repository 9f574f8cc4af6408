import type { ChallengeBoard, Solver } from "./challenges.ts";
import type { Clock } from "./clock.ts";
import type { ResolverPlan } from "./resolver.ts";
import type { SharedChallenges } from "./shared-challenges.ts";

export interface SolverTools {
  readonly board: ChallengeBoard;
  readonly shared: SharedChallenges;
  readonly clock: Clock;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly authorityPort?: number;
}

/** How a resolver proves names, by challenge type. */
export async function makeSolvers(
  plan: ResolverPlan,
  tools: SolverTools,
): Promise<ReadonlyMap<string, Solver>> {
  const { httpChallenge, tlsChallenge, dnsChallenge } = plan.options;
  const { board, shared, clock } = tools;
  const solvers = new Map<string, Solver>([
    ["http-01", delayed(shared.sharing("http-01", board.http), httpChallenge?.delay ?? 0, clock)],
    ["tls-alpn-01", delayed(shared.sharing("tls-alpn-01", board.tlsAlpn), tlsChallenge?.delay ?? 0, clock)],
  ]);
  if (dnsChallenge !== undefined && dnsChallenge.provider !== "") {
    const { dnsSolver } = await import("./dns/solver.ts");
    solvers.set("dns-01", dnsSolver(dnsChallenge, tools));
  }
  return solvers;
}

function delayed(solver: Solver, delayMs: number, clock: Clock): Solver {
  if (delayMs <= 0) return solver;
  return async (proof) => {
    const cleanUp = await solver(proof);
    await clock.sleep(delayMs, proof.signal);
    return cleanUp;
  };
}
