import assert from "node:assert/strict";
import { test } from "node:test";
import { md5Crypt } from "../../src/lib/md5-crypt.ts";

test("MD5 crypt gives what openssl passwd gives", () => {
  assert.equal(md5Crypt("test", "apr1", "H6uskkkW"), "$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/");
  assert.equal(
    md5Crypt("a longer password than sixteen bytes é", "1", "abcdefgh"),
    "$1$abcdefgh$Hbg5UHVkSHVBj7d7v5AHc.",
  );
  assert.equal(md5Crypt("", "apr1", "xx"), "$apr1$xx$aGHxR9NsG1buO7l/rFJjm1");
});
