import assert from "node:assert/strict";
import { test } from "node:test";
import { nearHosts } from "../../src/lib/near-host.ts";

const near = (host: string, ...candidates: string[]) => nearHosts(host, candidates, 3);

test("a host is near when one letter or two of a label are wrong", () => {
  assert.deepEqual(near("ap.test", "app.test"), ["app.test"]);
  assert.deepEqual(near("grafana.example.com", "garfana.example.com"), ["garfana.example.com"]);
  assert.deepEqual(near("app.exmaple.com", "app.example.com"), ["app.example.com"]);
  assert.deepEqual(near("APP.example.com", "app.example.com"), ["app.example.com"]);
});

test("a shared domain alone does not make hosts near", () => {
  assert.deepEqual(near("a.test", "b.test"), []);
  assert.deepEqual(near("db.example.com", "app.example.com", "mq.example.com"), []);
  assert.deepEqual(near("shop.example.com", "wiki.example.com", "blog.example.com"), []);
  assert.deepEqual(near("deep.shop.example.com", "example.com"), []);
});

test("a www, a dot or a stage more or less is near", () => {
  assert.deepEqual(near("www.example.com", "example.com"), ["example.com"]);
  assert.deepEqual(near("example.com", "www.example.com"), ["www.example.com"]);
  assert.deepEqual(near("appexample.com", "app.example.com"), ["app.example.com"]);
  assert.deepEqual(near("app-dev.example.com", "app.example.com"), ["app.example.com"]);
});

test("the same name of another domain is named only when nothing is nearer", () => {
  assert.deepEqual(near("shop.localhost", "shop.example.com"), ["shop.example.com"]);
  assert.deepEqual(near("shop.localhost", "shop.example.com", "shops.localhost"), ["shops.localhost"]);
  assert.deepEqual(near("www.one.test", "www.two.example"), []);
});

test("the nearest come first, and no more than are asked for", () => {
  assert.deepEqual(near("app1.test", "app22.test", "app2.test", "app3.test", "app4.test"), [
    "app2.test",
    "app3.test",
    "app4.test",
  ]);
});

test("addresses, nothing and endless names are near to nothing", () => {
  assert.deepEqual(near("10.0.0.1", "10.0.0.2"), []);
  assert.deepEqual(near("", "a.test"), []);
  assert.deepEqual(near("a".repeat(5000), "b".repeat(5000)), []);
});
