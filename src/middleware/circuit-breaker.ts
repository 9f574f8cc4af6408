import { BreakerMemory, RATIOS_MAX, RECOVERING, STANDBY, type StatusRatio, TRIPPED } from "../lib/breaker.ts";
import { compilePredicate, type Predicate, type PredicateFunction } from "../lib/predicate.ts";
import { type Exchange, reply } from "../model/exchange.ts";
import { FAULTS } from "../model/fault.ts";
import { middleware, type Outcome } from "../model/middleware.ts";
import { duration, statusCode, text } from "../schema/kinds.ts";

const NAMES = ["standby", "tripped", "recovering"];

export default middleware({
  name: "circuitBreaker",
  summary: "Stops sending requests to a service that fails, and tries it again after a while.",

  options: {
    expression: text({
      doc: "When to stop: NetworkErrorRatio(), ResponseCodeRatio(from, to, dividedByFrom, dividedByTo) and LatencyAtQuantileMS(percentage) with comparisons, && and ||.",
      required: true,
      example: "NetworkErrorRatio() > 0.30",
    }),
    checkPeriod: duration({ doc: "How often the expression is looked at.", default: "100ms" }),
    fallbackDuration: duration({ doc: "How long all requests are refused.", default: "10s" }),
    recoveryDuration: duration({
      doc: "How long the share of requests that pass then grows.",
      default: "10s",
    }),
    responseCode: statusCode({ doc: "Status for requests that are refused.", default: "503" }),
  },

  check(options, problem) {
    const compiled = compileCondition(options.expression);
    if ("problem" in compiled) problem("expression", compiled.problem);
    for (const name of ["checkPeriod", "fallbackDuration", "recoveryDuration"] as const)
      if (options[name] < 0) problem(name, "must not be negative");
  },

  sharedBytes: () => BreakerMemory.bytes,

  create({ expression, responseCode, ...times }, host) {
    // A time of 0 stands for the default, as in Traefik.
    const checkPeriod = times.checkPeriod || 100;
    const fallbackDuration = times.fallbackDuration || 10_000;
    const recoveryDuration = times.recoveryDuration || 10_000;
    const compiled = compileCondition(expression);
    if ("problem" in compiled) throw new Error(`circuitBreaker: ${compiled.problem}`);
    const { condition, ratios } = compiled;
    const shared = host.shared ?? new SharedArrayBuffer(BreakerMemory.bytes);
    const memory = new BreakerMemory(shared, host.owner, ratios, host.tickMs);
    const trips = host.counter("circuit_breaker_trips_total", "How often the circuit breaker has opened.");
    const refused = host.counter(
      "circuit_breaker_refused_total",
      "Requests refused by an open circuit breaker.",
    );
    const fault = { ...FAULTS["circuit-open"], status: responseCode };

    function refuse(): Outcome {
      refused.add(1);
      const waitS = Math.max(1, Math.ceil((memory.untilMs - host.tickMs()) / 1000));
      return { ...reply(responseCode, "circuitBreaker", ["Retry-After", String(waitS)]), fault };
    }

    function onRequest(): Outcome {
      const state = memory.state;
      if (state === STANDBY) return undefined;
      const now = host.tickMs();
      if (state === TRIPPED) {
        if (now < memory.untilMs) return refuse();
        if (memory.change(TRIPPED, RECOVERING, now + recoveryDuration))
          host.log.info(
            { middleware: host.name, router: host.owner },
            "circuit breaker lets some requests through",
          );
      } else if (now >= memory.untilMs) {
        if (memory.change(RECOVERING, STANDBY, 0))
          host.log.info({ middleware: host.name, router: host.owner }, "circuit breaker is closed again");
        return undefined;
      }
      const share = 0.5 * (1 - (memory.untilMs - now) / recoveryDuration);
      return memory.admit(share) ? undefined : refuse();
    }

    function onDone(exchange: Exchange): void {
      // What was refused here says nothing about the service.
      if (exchange.fault === fault) return;
      memory.record(exchange.status, latencyOf(exchange));
      const state = memory.state;
      if (state === TRIPPED || !memory.isTimeToLook(checkPeriod) || !condition(memory)) return;
      if (!memory.change(state, TRIPPED, host.tickMs() + fallbackDuration)) return;
      trips.add(1);
      host.log.warn({ middleware: host.name, router: host.owner, expression }, "circuit breaker is open");
    }

    return {
      onRequest,
      onDone,
      state: () => ({
        state: NAMES[memory.state] ?? "standby",
        networkErrorRatio: memory.networkErrorRatio(),
        ...(memory.state !== STANDBY && {
          secondsLeft: Math.max(0, (memory.untilMs - host.tickMs()) / 1000),
        }),
      }),
    };
  },
});

/** Until the first byte of the reply, or until it was clear that there would be none. */
function latencyOf({ sentAtMs, repliedAtMs, startedAtMs }: Exchange): number {
  return (repliedAtMs || performance.now()) - (sentAtMs || startedAtMs);
}

type Condition =
  | { readonly condition: Predicate<BreakerMemory>; readonly ratios: readonly StatusRatio[] }
  | { readonly problem: string };

function compileCondition(expression: string): Condition {
  const ratios: StatusRatio[] = [];
  const functions = new Map<string, PredicateFunction<BreakerMemory>>([
    ["NetworkErrorRatio", { args: 0, gives: "number", make: () => (memory) => memory.networkErrorRatio() }],
    [
      "ResponseCodeRatio",
      {
        args: 4,
        gives: "number",
        make([fromA, toA, fromB, toB]) {
          const index = ratios.push({ fromA: fromA!, toA: toA!, fromB: fromB!, toB: toB! }) - 1;
          return (memory) => memory.statusRatio(index);
        },
      },
    ],
    [
      "LatencyAtQuantileMS",
      {
        args: 1,
        gives: "number",
        make:
          ([percentage]) =>
          (memory) =>
            memory.latencyMs(percentage!),
      },
    ],
  ]);
  const compiled = compilePredicate(expression, functions);
  if ("problem" in compiled) return compiled;
  if (ratios.length > RATIOS_MAX) return { problem: `may ask for at most ${RATIOS_MAX} ratios` };
  return { condition: compiled.predicate, ratios };
}
