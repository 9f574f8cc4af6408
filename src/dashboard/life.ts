import type { Tone } from "./parts.tsx";
import type { Certificate } from "./types.ts";

export interface Life {
  readonly words: string;
  readonly tone: Tone;
}

/** How a certificate does. Those that live a week are not due all their life: what counts is the share that is left. */
export function lifeOf({ status, notBefore, notAfter }: Certificate, nowMs = Date.now()): Life {
  if (status === "expired") return { words: "ended", tone: "bad" };
  const [from, until] = [Date.parse(notBefore), Date.parse(notAfter)];
  const isDue = status === "warning" && until - nowMs < (until - from) / 3;
  return isDue ? { words: "ends soon", tone: "warn" } : { words: "valid", tone: "good" };
}
