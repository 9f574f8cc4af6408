import { hash32 } from "../lib/hash.ts";
import { SharedCounts } from "../lib/shared-counts.ts";
import { type Exchange, reply } from "../model/exchange.ts";
import { FAULTS } from "../model/fault.ts";
import { middleware } from "../model/middleware.ts";
import { byHost, compileSource, sourceCriterion, whyNoCriterion } from "../model/source-criterion.ts";
import { count } from "../schema/kinds.ts";

const FULL = { ...reply(503, "inFlightReq: too many sources at once"), fault: FAULTS.overloaded };

export default middleware({
  name: "inFlightReq",
  summary: "Limits how many requests are under way at once.",

  options: {
    amount: count({ doc: "Requests at once; 0 lets none through.", default: "0", example: "10" }),
    sourceCriterion: sourceCriterion({ doc: "What counts together; the host if not set." }),
  },

  check({ sourceCriterion }, problem) {
    const why = whyNoCriterion(sourceCriterion);
    if (why !== undefined) problem("sourceCriterion", why);
  },

  sharedBytes: () => SharedCounts.bytes,

  create({ amount, sourceCriterion }, host) {
    const counts = new SharedCounts(host.shared ?? new SharedArrayBuffer(SharedCounts.bytes), host.thread);
    const owner = hash32(host.owner);
    const most = BigInt(amount);
    const sourceOf = compileSource(sourceCriterion, byHost);
    const refused = host.counter(
      "in_flight_refused_total",
      "Requests refused because too many were under way.",
    );
    const tickets = new Map<Exchange, number>();
    const refusal = {
      ...reply(429, "inFlightReq", [], `max connections reached: ${amount}`),
      fault: { ...FAULTS["refused-by-middleware"], status: 429 },
    };
    return {
      onRequest(exchange) {
        const ticket = counts.take(sourceOf(exchange), owner, most);
        if (ticket < 0) {
          refused.add(1);
          return ticket === -1 ? refusal : FULL;
        }
        tickets.set(exchange, ticket);
        return undefined;
      },
      onDone(exchange) {
        const ticket = tickets.get(exchange);
        if (ticket === undefined) return;
        tickets.delete(exchange);
        counts.give(ticket);
      },
      state: () => ({ inFlightHere: tickets.size }),
    };
  },
});
