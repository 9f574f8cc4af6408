import { resolve } from "node:path";

/** File systems that are a container's own, and go with it. */
const PASSING = /^(?:overlay|aufs|fuse-overlayfs|tmpfs|ramfs)$/;

/**
 * Whether what is written in this directory goes when the container does: nothing that lasts is mounted there.
 * `mounts` is `/proc/self/mountinfo`; on a machine of its own the root is a disk, and nothing goes.
 */
export function goesWithContainer(directory: string, mounts: string): boolean {
  const path = resolve(directory);
  let deepest = "";
  let kind = "";
  for (const line of mounts.split("\n")) {
    const [, point, type] = /^(?:\S+ ){4}(\S+) .* - (\S+) /.exec(line) ?? [];
    if (point === undefined || type === undefined || point.length < deepest.length) continue;
    if (point !== "/" && path !== point && !path.startsWith(`${point}/`)) continue;
    deepest = point;
    kind = type;
  }
  return PASSING.test(kind);
}
