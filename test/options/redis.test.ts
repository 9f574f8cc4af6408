import assert from "node:assert/strict";
import { test } from "node:test";
import * as shared from "../../src/model/shared-limit.ts";
import { connect } from "../../src/redis/connect.ts";
import { written } from "../gateway/plane.ts";

/** What a shared rate limit can be told of its Redis, where its end-to-end tests do not show it. */

const read = (texts: Record<string, string>) => written(shared.sharedLimitOptions, texts);

test("poolSize, minIdleConns and maxActiveConns: how many connections a thread has", () => {
  const connections = (texts: Record<string, string>) => shared.connectionsOf(read(texts));
  assert.equal(connections({}), 1);
  assert.equal(connections({ poolSize: "3" }), 3);
  assert.equal(connections({ minIdleConns: "4" }), 4);
  assert.equal(connections({ poolSize: "5", maxActiveConns: "2" }), 2);
});

test("dialTimeout and sentinel: how the client is made", () => {
  const made = (texts: Record<string, string>) => {
    const client = connect(read({ endpoints: "127.0.0.1:1", ...texts }), 40);
    client.disconnect();
    return client.options as Record<string, unknown>;
  };
  assert.equal(made({ dialTimeout: "7s" })["connectTimeout"], 7000);
  const guarded = made({
    "sentinel.masterName": "town",
    "sentinel.username": "watch",
    "sentinel.password": "s3cret",
  });
  assert.deepEqual(
    [guarded["name"], guarded["sentinelUsername"], guarded["sentinelPassword"]],
    ["town", "watch", "s3cret"],
  );
});

test("writeTimeout: it must be more than nothing, as the others must", () => {
  assert.match(String(shared.whyNoSharedLimit(read({ writeTimeout: "0" }))), /timeouts/);
  assert.equal(shared.whyNoSharedLimit(read({})), undefined);
});
