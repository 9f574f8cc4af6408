import type { CertificateSpec } from "../model/snapshot.ts";
import { DAY_MS } from "./patience.ts";

const MINUTE_MS = 60_000;
const SHORT_LIFE_MS = 10 * DAY_MS;

/** When the CA suggests to renew (RFC 9773), and the moment in it that we picked. */
export interface Suggestion {
  readonly startMs: number;
  readonly endMs: number;
  readonly pickedMs: number;
}

type Life = Pick<CertificateSpec, "notBeforeMs" | "notAfterMs">;

/**
 * When a certificate is to be renewed without the CA's advice: with a third of its life left, with half of it if
 * it lives less than ten days. Spread over up to a day, so that certificates of one evening do not stay together.
 */
export function renewAtMs({ notBeforeMs, notAfterMs }: Life, random: number): number {
  const lifeMs = notAfterMs - notBeforeMs;
  const leadMs = lifeMs < SHORT_LIFE_MS ? lifeMs / 2 : lifeMs / 3;
  return notAfterMs - leadMs - random * Math.min(DAY_MS, lifeMs / 20);
}

/** The same with the CA's advice, which cannot put a renewal off for too long. */
export function renewAtWithAdvice(life: Life, suggestion: Suggestion | undefined, random: number): number {
  if (suggestion === undefined) return renewAtMs(life, random);
  return Math.min(suggestion.pickedMs, lastCallsMs(life)[0]);
}

/** With 1/20 and 1/50 of its life left a certificate is renewed whatever anybody advises. */
export function lastCallsMs({ notBeforeMs, notAfterMs }: Life): readonly [number, number] {
  const lifeMs = notAfterMs - notBeforeMs;
  return [notAfterMs - lifeMs / 20, notAfterMs - lifeMs / 50];
}

/** A moment in the window: the one picked before while the window stays the same. */
export function pick(
  window: { readonly startMs: number; readonly endMs: number },
  before: Suggestion | undefined,
  random: () => number,
): Suggestion {
  const { startMs, endMs } = window;
  if (before?.startMs === startMs && before.endMs === endMs) return before;
  return { startMs, endMs, pickedMs: startMs + random() * (endMs - startMs) };
}

/** Milliseconds until the advice is asked for again. */
export function adviceAgainMs(retryAfterMs: number | undefined): number {
  return Math.min(Math.max(retryAfterMs ?? DAY_MS / 4, MINUTE_MS), DAY_MS);
}

/** `sixth` and `twentieth` of its life left: worth a word in the log. Undefined before that. */
export function alarm({ notBeforeMs, notAfterMs }: Life, nowMs: number): "sixth" | "twentieth" | undefined {
  const left = (notAfterMs - nowMs) / (notAfterMs - notBeforeMs);
  if (left < 1 / 20) return "twentieth";
  return left < 1 / 6 ? "sixth" : undefined;
}
