import assert from "node:assert/strict";
import { test } from "node:test";
import { goesWithContainer } from "../../src/control/lasting.ts";

const IN_A_CONTAINER = `601 501 0:50 / / rw,relatime master:210 - overlay overlay rw,lowerdir=/l
602 601 0:53 / /proc rw,nosuid - proc proc rw
603 601 0:54 / /tmp rw - tmpfs tmpfs rw
610 601 254:1 /srv/acme.json /acme.json rw,relatime - ext4 /dev/vda1 rw
611 601 254:1 /srv/letsencrypt /letsencrypt rw,relatime - ext4 /dev/vda1 rw
`;

test("certificates beside a single file that is mounted go with the container, those on a volume stay", () => {
  const goes = (directory: string) => goesWithContainer(directory, IN_A_CONTAINER);
  assert.equal(goes("/acme"), true);
  assert.equal(goes("/etc/traefik/acme"), true);
  assert.equal(goes("/tmp/acme"), true);
  assert.equal(goes("/letsencrypt/acme"), false);
  assert.equal(goes("/letsencrypt"), false);
  assert.equal(goes("/letsencrypt-of-another"), true);
});

test("on a machine without containers, or where nothing is known, nothing is said to go", () => {
  const machine = "25 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n";
  assert.equal(goesWithContainer("/acme", machine), false);
  assert.equal(goesWithContainer("acme", ""), false);
  assert.equal(goesWithContainer("/acme", "nonsense\n\n - "), false);
});
