import type { Series } from "./meter-reader.ts";

/** Which of the counted series one receiver asked for: two may ask for different ones. */
export interface MetricChoice {
  readonly addEntryPointsLabels: boolean;
  readonly addRoutersLabels: boolean;
  readonly addServicesLabels: boolean;
  /** Upper bounds of the histograms, seconds; among those that are counted by. */
  readonly bounds: readonly number[];
}

const REQUEST_FAMILY = /^traefik_(entrypoint|router|service)_(?:request|response|retries)/;

/** The series as that receiver wants them. */
export function viewOf(series: readonly Series[], choice: MetricChoice): Series[] {
  const wanted = new Map([
    ["entrypoint", choice.addEntryPointsLabels],
    ["router", choice.addRoutersLabels],
    ["service", choice.addServicesLabels],
  ]);
  return series
    .filter(({ family }) => wanted.get(REQUEST_FAMILY.exec(family.name)?.[1] ?? "") !== false)
    .map((one) => (one.family.type === "histogram" ? withBounds(one, choice.bounds) : one));
}

/** All bounds that anyone asked for, so that each can be shown those it wants. */
export function allBounds(...choices: readonly (readonly number[])[]): number[] {
  return [...new Set(choices.flat())].sort((a, b) => a - b);
}

function withBounds({ family, labels, values }: Series, wanted: readonly number[]): Series {
  const bounds = allBounds(wanted);
  const buckets = new Array<number>(bounds.length + 1).fill(0);
  const counted = family.bounds ?? [];
  for (let i = 0; i <= counted.length; i++) {
    const bound = counted[i] ?? Number.POSITIVE_INFINITY;
    const at = bounds.findIndex((own) => bound <= own);
    buckets[at < 0 ? bounds.length : at]! += values[1 + i]!;
  }
  return { family: { ...family, bounds }, labels, values: [values[0]!, ...buckets] };
}
