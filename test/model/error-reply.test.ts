import assert from "node:assert/strict";
import { test } from "node:test";
import { errorReply } from "../../src/model/error-reply.ts";
import { FAULTS } from "../../src/model/fault.ts";

const bodyOf = (code: keyof typeof FAULTS, accept = "*/*") =>
  String(errorReply(FAULTS[code], ["Accept", accept]).body);

test("an error says its code in every form, so that it can be looked up", () => {
  for (const fault of Object.values(FAULTS).filter(({ status }) => status > 0)) {
    assert.match(bodyOf(fault.code as "starting", "application/json"), new RegExp(`"code":"${fault.code}"`));
    assert.match(bodyOf(fault.code as "starting", "text/html"), new RegExp(`<small>${fault.code}</small>`));
  }
  assert.equal(bodyOf("no-shared-network"), "Bad Gateway (no-shared-network)\n");
  assert.equal(bodyOf("starting"), "Service Unavailable (starting)\n");
});

test("what people look for in Traefik's words is said in them", () => {
  assert.equal(bodyOf("no-route"), "404 page not found\n");
  assert.equal(bodyOf("no-server"), "no available server\n");
});

test("the page of an application that starts asks again by itself, and no other does", () => {
  assert.match(bodyOf("starting", "text/html"), /http-equiv="refresh" content="5"/);
  assert.doesNotMatch(bodyOf("unhealthy", "text/html"), /refresh/);
});
