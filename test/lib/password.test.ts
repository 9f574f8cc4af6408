import assert from "node:assert/strict";
import { test } from "node:test";
import bcrypt from "bcrypt";
import { dummyLike, type PasswordHash, parsePasswordHash, verifyPassword } from "../../src/lib/password.ts";

const parsed = (text: string): PasswordHash => {
  const hash = parsePasswordHash(text);
  assert.notEqual(typeof hash, "string", String(hash));
  return hash as PasswordHash;
};

test("passwords are checked against bcrypt in all its spellings, SHA-1 and MD5 crypt", async () => {
  const made = bcrypt.hashSync("pass", 4);
  for (const letter of ["a", "b", "x", "y"]) {
    const hash = parsed(made.replace("$2b$", `$2${letter}$`));
    assert.equal(await verifyPassword("pass", hash), true);
    assert.equal(await verifyPassword("Pass", hash), false);
  }
  const sha = parsed("{SHA}nU4eI71bcnBGqeO0t9tXvY1u5oQ=");
  assert.equal(await verifyPassword("pass", sha), true);
  assert.equal(await verifyPassword("pas", sha), false);
  const apr = parsed("$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/");
  assert.equal(await verifyPassword("test", apr), true);
  assert.equal(await verifyPassword("test2", apr), false);
});

test("HD-17 a password beyond 72 bytes never equals its beginning", async () => {
  const long = "é".repeat(36);
  const hash = parsed(bcrypt.hashSync(long, 4));
  assert.equal(await verifyPassword(long, hash), true);
  assert.equal(await verifyPassword(`${long}x`, hash), false);
  assert.equal(await verifyPassword("\0", parsed(bcrypt.hashSync("", 4))), false);
});

test("HD-17 the hash of nobody costs as much as a real one and fits no password", async () => {
  for (const text of [
    bcrypt.hashSync("x", 5),
    "$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/",
    "{SHA}nU4eI71bcnBGqeO0t9tXvY1u5oQ=",
  ]) {
    const real = parsed(text);
    const dummy = dummyLike(real);
    assert.equal(dummy.kind, real.kind);
    if (dummy.kind === "bcrypt") assert.match(dummy.text, /^\$2b\$05\$.{53}$/);
    assert.equal(await verifyPassword("", dummy), false);
    assert.equal(await verifyPassword("x", dummy), false);
  }
});

test("a hash whose dollar signs were swallowed is recognised", () => {
  const whole = "$2y$05$GqS2mlGBaBlDVMmGMXDMCuJdUnsoy6E1fA2FcYSoz5yR5VIcjzXd6";
  const eaten = [
    whole.replace("$GqS2mlGBaBlDVMmGMXDMCuJdUnsoy6E1fA2FcYSoz5yR5VIcjzXd6", ""),
    "$2y$05.E1fA2FcYSoz5yR5VIcjzXd6",
    "y/bin/bash5",
    "ybash5/xyz",
    "$apr1$/Hx",
    "/IgXLP6ewTrSuBkTrqE8wj/",
    "",
  ];
  for (const text of eaten) assert.match(String(parsePasswordHash(text)), /swallow its \$ signs/, text);
  assert.match(String(parsePasswordHash("$6$salt$abc")), /SHA crypt/);
  assert.match(String(parsePasswordHash("pass word!")), /is not a password hash/);
  assert.equal(parsed(whole).kind, "bcrypt");
});
