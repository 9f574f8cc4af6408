import { VaultError } from "./vault.ts";

/** Problem types (RFC 8555 section 6.7) after which the same request can only fail again. */
const PERMANENT = new Set([
  "badCSR",
  "badPublicKey",
  "badSignatureAlgorithm",
  "caa",
  "externalAccountRequired",
  "invalidContact",
  "invalidProfile",
  "malformed",
  "rejectedIdentifier",
  "unsupportedContact",
  "unsupportedIdentifier",
  "userActionRequired",
]);

/** Problem types that say something about the name, rather than about the CA or the road to it. */
const VALIDATION = new Set(["connection", "dns", "incorrectResponse", "tls", "unauthorized"]);

export type ProblemKind = "transient" | "permanent" | "validation";

export interface Subproblem {
  readonly type: string;
  readonly detail: string;
  readonly name: string;
}

/** Why a CA did not do what we asked, or why we could not ask it. */
export class AcmeProblem extends Error {
  /** Without its URN: `rateLimited`. Ours: `network`, `timeout`, `badReply`, `storage`, `preflight`, `serverError`. */
  readonly type: string;
  /** 0 when there was no reply. */
  readonly status: number;
  /** Already clamped; undefined when the CA named no time. */
  readonly retryAfterMs: number | undefined;
  readonly subproblems: readonly Subproblem[];

  constructor(
    type: string,
    detail: string,
    extra: { status?: number; retryAfterMs?: number | undefined; subproblems?: readonly Subproblem[] } = {},
  ) {
    super(detail);
    this.name = "AcmeProblem";
    this.type = type;
    this.status = extra.status ?? 0;
    this.retryAfterMs = extra.retryAfterMs;
    this.subproblems = extra.subproblems ?? [];
  }

  get kind(): ProblemKind {
    const types = [this.type, ...this.subproblems.map((sub) => sub.type)];
    if (types.some((type) => PERMANENT.has(type))) return "permanent";
    return VALIDATION.has(this.type) || this.type === "preflight" ? "validation" : "transient";
  }
}

/** Anything thrown, as a problem: programming errors are not swallowed by being called transient twice. */
export function asProblem(error: unknown): AcmeProblem {
  if (error instanceof AcmeProblem) return error;
  if (error instanceof VaultError) return new AcmeProblem("storage", error.message);
  if ((error as { name?: string }).name === "AbortError") return new AcmeProblem("aborted", "stopped");
  return new AcmeProblem("unexpected", error instanceof Error ? error.message : String(error));
}

/** Reads an error document (RFC 7807) that came with a status. Never trusts its shape. */
export function readProblem(status: number, data: unknown, retryAfterMs: number | undefined): AcmeProblem {
  const document = isRecord(data) ? data : {};
  const urn = typeof document["type"] === "string" ? document["type"] : "";
  const type = /^urn:ietf:params:acme:error:(\w{1,64})$/.exec(urn)?.[1] ?? typeOfStatus(status);
  const detail = typeof document["detail"] === "string" ? document["detail"] : `the CA answered ${status}`;
  const list = Array.isArray(document["subproblems"]) ? document["subproblems"].slice(0, 100) : [];
  const subproblems = list.filter(isRecord).map((sub) => ({
    type: String(sub["type"] ?? "").replace("urn:ietf:params:acme:error:", ""),
    detail: String(sub["detail"] ?? "").slice(0, 500),
    name: isRecord(sub["identifier"]) ? String(sub["identifier"]["value"] ?? "") : "",
  }));
  return new AcmeProblem(type, detail.slice(0, 1000), { status, retryAfterMs, subproblems });
}

function typeOfStatus(status: number): string {
  if (status === 429) return "rateLimited";
  return status >= 500 ? "serverError" : "badReply";
}

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** One sentence for the person whose site it is: what is wrong and what they can do. */
export function explain(problem: AcmeProblem): string {
  const detail = problem.message.replace(/\.$/, "");
  const first = problem.subproblems[0];
  const about = first === undefined ? detail : `${detail}: ${first.name} ${first.detail}`.replace(/\.$/, "");
  const advice = ADVICE[problem.type] ?? (first && ADVICE[first.type]);
  return advice === undefined ? `${about}.` : `${about}. ${advice}`;
}

const ADVICE: Record<string, string | undefined> = {
  accountDoesNotExist: "The CA does not know our account any more; a new one is registered.",
  caa: "A CAA record of the domain forbids this CA; add one that allows it.",
  connection: "The CA could not reach this host; check the firewall and that the port is forwarded here.",
  dns: "The CA could not look the name up; check its DNS records.",
  externalAccountRequired: "This CA wants an external account; set eab.kid and eab.hmacEncoded.",
  incorrectResponse: "Something else than Waybill answered the CA; check where the name points.",
  network: "The CA could not be reached from here; check the outgoing network and DNS.",
  rateLimited: "Nothing needs to be done: it is asked again when the CA allows it.",
  rejectedIdentifier: "The CA will not issue for this name; use another name or another CA.",
  serverError: "The CA has trouble; it is asked again later.",
  timeout: "The CA did not answer in time; it is asked again later.",
  tls: "The CA could not speak TLS with this host; check that port 443 ends here.",
  unauthorized: "Something else than Waybill answered the CA; check where the name points.",
  userActionRequired: "The CA's terms have changed; visit the address it names.",
};
