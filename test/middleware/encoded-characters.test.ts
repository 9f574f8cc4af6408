import assert from "node:assert/strict";
import { test } from "node:test";
import encodedCharacters from "../../src/middleware/encoded-characters.ts";
import { make, request, run } from "./harness.ts";

const CODES = {
  allowEncodedSlash: "%2F",
  allowEncodedBackSlash: "%5C",
  allowEncodedNullCharacter: "%00",
  allowEncodedSemicolon: "%3B",
  allowEncodedPercent: "%25",
  allowEncodedQuestionMark: "%3F",
  allowEncodedHash: "%23",
};

for (const [option, code] of Object.entries(CODES)) {
  test(`encodedCharacters refuses ${code} with 400 unless ${option}`, async () => {
    const refused = await run(make(encodedCharacters, {}), request({ path: `/a${code}b` }));
    assert.equal(refused.stopped?.status, 400);
    assert.equal(refused.stopped?.body.length, 0, "without a body");
    const passed = await run(make(encodedCharacters, { [option]: "true" }), request({ path: `/a${code}b` }));
    assert.equal(passed.stopped, undefined);
  });
}

test("encodedCharacters lets other escapes through", async () => {
  assert.equal(
    (await run(make(encodedCharacters, {}), request({ path: "/a%20b/%C3%A9" }))).stopped,
    undefined,
  );
});
