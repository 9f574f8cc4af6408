import type { IssuanceView } from "../model/certificate-view.ts";
import type { CertificateSpec } from "../model/snapshot.ts";
import { readName, registeredDomain } from "./names.ts";
import { certificateFolder } from "./shelf.ts";
import { Ticket, type TicketState } from "./ticket.ts";

/** One certificate that somebody needs. */
export interface Want {
  readonly resolver: string;
  /** All in one certificate. A `Host` rule makes one want a name, an entry of `tls.domains` one for all of its names. */
  readonly names: readonly string[];
  /** The router: `app@docker`. */
  readonly owner: string;
}

/** What is shown of one, and the certificate itself. */
export interface NameStatus extends IssuanceView {
  readonly state: TicketState;
  readonly certificate: CertificateSpec | undefined;
}

/** One ticket for each certificate that is wanted, however many routers want it. */
export class Tickets implements Iterable<Ticket> {
  readonly #byKey = new Map<string, Ticket>();
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  [Symbol.iterator](): Iterator<Ticket> {
    return this.#byKey.values();
  }

  /** Tickets that were there before stay what they are. */
  replace(wants: readonly Want[]): void {
    const fresh = new Map<string, Ticket>();
    for (const want of wants) {
      const read = want.names.map(readName);
      const names = [...new Set(read.map((one, i) => ("name" in one ? one.name : want.names[i]!)))];
      if (names.length === 0) continue;
      const key = `${want.resolver} ${[...names].sort().join(",")}`;
      const known = fresh.get(key);
      if (known !== undefined) {
        known.owners = [...new Set([...known.owners, want.owner])];
        continue;
      }
      const ticket = this.#byKey.get(key) ?? new Ticket(key, want.resolver, names, [], this.#random());
      ticket.owners = [want.owner];
      fresh.set(key, ticket);
      const wrong = read.find((one) => "reason" in one);
      ticket.wrongName = wrong && "reason" in wrong ? wrong.reason : undefined;
    }
    this.#byKey.clear();
    for (const [key, ticket] of fresh) this.#byKey.set(key, ticket);
  }

  /** Whether anything is wanted from the resolver. */
  use(resolver: string): boolean {
    return this.#byKey.values().some((ticket) => ticket.resolver === resolver);
  }

  find(resolver: string, name: string): Ticket | undefined {
    return this.#byKey.values().find((ticket) => ticket.resolver === resolver && ticket.names.includes(name));
  }

  /** Folders of the certificates that are looked after. */
  folders(): ReadonlySet<string> {
    const folders = new Set<string>();
    for (const ticket of this.#byKey.values()) {
      if (ticket.own !== undefined) folders.add(certificateFolder(ticket.own.ca, ticket.own.names));
    }
    return folders;
  }

  /** An order came to nothing: one of those that wait for its place in the budget may try. */
  letNext(resolver: string, names: readonly string[]): void {
    const domains = names.map(registeredDomain);
    for (const ticket of this.#byKey.values()) {
      if (!ticket.waitsForBudget || ticket.running || ticket.resolver !== resolver) continue;
      if (!ticket.names.some((name) => domains.includes(registeredDomain(name)))) continue;
      ticket.waitsForBudget = false;
      ticket.holdUntilMs = 0;
      return;
    }
  }

  /** Whoever waits for another process need wait no longer. True when there is one. */
  lookElsewhere(): boolean {
    let found = false;
    for (const ticket of this.#byKey.values()) {
      if (ticket.state !== "elsewhere" || ticket.running) continue;
      ticket.holdUntilMs = 0;
      found = true;
    }
    return found;
  }

  status(nowMs: number): readonly NameStatus[] {
    return [...this.#byKey.values()].map((ticket) => {
      const { resolver, names, owners, state, reason, failure, holdUntilMs } = ticket;
      const shown = ticket.own ?? ticket.cover;
      const nextTryAtMs = Math.max(failure?.nextAtMs ?? 0, holdUntilMs);
      return {
        resolver,
        names,
        owners,
        state,
        reason,
        failures: failure?.count ?? 0,
        nextTryAtMs: nextTryAtMs > nowMs ? nextTryAtMs : undefined,
        certificate: shown?.spec,
        issuer: shown?.issuer ?? "",
        renewAtMs: ticket.renewAtMs(),
      };
    });
  }
}
