export interface AcmeCounts {
  orders: number;
  issued: number;
  failed: number;
}

/** How often what happened, by resolver, since the start. */
export class Counts {
  readonly byResolver = new Map<string, AcmeCounts>();

  of(resolver: string): AcmeCounts {
    const counts = this.byResolver.get(resolver) ?? { orders: 0, issued: 0, failed: 0 };
    this.byResolver.set(resolver, counts);
    return counts;
  }
}
