import { FAULTS } from "../model/fault.ts";
import { middleware } from "../model/middleware.ts";
import { bool } from "../schema/kinds.ts";

const REFUSAL = {
  status: 400,
  reason: "encodedCharacters: refused escape",
  headers: [],
  body: Buffer.alloc(0),
  fault: FAULTS["encoded-character"],
};

export default middleware({
  name: "encodedCharacters",
  summary: "Refuses paths with escapes that servers are known to read differently.",

  options: {
    allowEncodedSlash: bool({ doc: "Let %2F through.", default: "false" }),
    allowEncodedBackSlash: bool({ doc: "Let %5C through.", default: "false" }),
    allowEncodedNullCharacter: bool({ doc: "Let %00 through.", default: "false" }),
    allowEncodedSemicolon: bool({ doc: "Let %3B through.", default: "false" }),
    allowEncodedPercent: bool({ doc: "Let %25 through.", default: "false" }),
    allowEncodedQuestionMark: bool({ doc: "Let %3F through.", default: "false" }),
    allowEncodedHash: bool({ doc: "Let %23 through.", default: "false" }),
  },
  enabler: true,

  create(options) {
    const choices: [allowed: boolean, code: string][] = [
      [options.allowEncodedSlash, "%2F"],
      [options.allowEncodedBackSlash, "%5C"],
      [options.allowEncodedNullCharacter, "%00"],
      [options.allowEncodedSemicolon, "%3B"],
      [options.allowEncodedPercent, "%25"],
      [options.allowEncodedQuestionMark, "%3F"],
      [options.allowEncodedHash, "%23"],
    ];
    const refused = choices.filter(([allowed]) => !allowed).map(([, code]) => code);
    return {
      onRequest(exchange) {
        if (!exchange.path.includes("%")) return undefined;
        return refused.some((code) => exchange.path.includes(code)) ? REFUSAL : undefined;
      },
    };
  },
});
