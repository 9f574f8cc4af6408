import { hash32 } from "../lib/hash.ts";
import { mayPick, type Strategy } from "../model/balancer.ts";
import type { Server } from "../model/service.ts";

const POINTS_PER_WEIGHT = 160;
// A weight of a million must not cost a gigabyte: beyond this many points, shares are scaled down together.
const POINTS_MAX = 65_536;

export default {
  name: "hash",
  summary: "Keeps each value of a header, a cookie or the client's address on one server by a hash ring.",

  create(servers, { keyOf }) {
    const ring = makeRing(servers);
    return {
      pick(exchange, tried) {
        const start = firstAtOrAfter(ring.points, hash32(keyOf(exchange)));
        for (let i = 0; i < ring.points.length; i++) {
          const server = servers[ring.owners[(start + i) % ring.points.length]!]!;
          if (mayPick(server, tried)) return server;
        }
        return undefined;
      },
    };
  },
} satisfies Strategy;

function makeRing(servers: readonly Server[]): { points: Uint32Array; owners: Uint32Array } {
  const total = servers.reduce((sum, { spec }) => sum + Math.max(0, spec.weight), 0);
  const perWeight = Math.min(POINTS_PER_WEIGHT, POINTS_MAX / total);
  const marks: { point: number; owner: number }[] = [];
  servers.forEach(({ spec }, owner) => {
    if (spec.weight <= 0) return;
    const count = Math.max(1, Math.round(spec.weight * perWeight));
    for (let i = 0; i < count; i++) marks.push({ point: hash32(`${spec.id}#${i}`), owner });
  });
  // Points that fall together go to the same server whatever the order of the list.
  marks.sort((a, b) => a.point - b.point || (servers[a.owner]!.spec.id < servers[b.owner]!.spec.id ? -1 : 1));
  return {
    points: Uint32Array.from(marks, (mark) => mark.point),
    owners: Uint32Array.from(marks, (mark) => mark.owner),
  };
}

function firstAtOrAfter(points: Uint32Array, value: number): number {
  let low = 0;
  let high = points.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (points[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low === points.length ? 0 : low;
}
