import bcrypt from "bcrypt";
import type { Command } from "./command.ts";

const ROUNDS = 10;
/** bcrypt reads no further, so a longer password would be weaker than it looks. */
const BYTES_MAX = 72;

export default {
  name: "hash",
  usage: "[--raw] [--cost=10] <user> [password]",
  summary: "Prints a user for basicAuth, ready for a compose file.",
  details:
    "Asks for the password, or reads it from standard input, if it is not given; a password among the arguments\n" +
    "stays in the shell's history. Every $ is doubled, as compose files need it; --raw leaves them single, as files\n" +
    "and .htpasswd need it.",
  async run(args, shell) {
    const cost = Number(args.find((arg) => arg.startsWith("--cost="))?.slice("--cost=".length) ?? ROUNDS);
    const [user, given, ...more] = args.filter((arg) => !arg.startsWith("--"));
    const complaint = complaintAbout(user, cost, more);
    if (user === undefined || complaint !== undefined) {
      shell.err(`${complaint}\nusage: waybill hash ${this.usage}\n`);
      return 1;
    }
    const password = given ?? (await shell.askSecret(`Password of ${user}: `));
    const bytes = Buffer.byteLength(password);
    if (bytes === 0 || bytes > BYTES_MAX) {
      shell.err(`expected a password of 1 to ${BYTES_MAX} bytes, found ${bytes}\n`);
      return 1;
    }
    const line = `${user}:${await bcrypt.hash(password, cost)}`;
    shell.out(`${args.includes("--raw") ? line : line.replaceAll("$", "$$$$")}\n`);
    return 0;
  },
} satisfies Command;

function complaintAbout(user: string | undefined, cost: number, more: readonly string[]): string | undefined {
  if (user === undefined || user === "") return "expected the name of a user";
  if (user.includes(":")) return "expected a name without a colon, which ends the name in basicAuth";
  if (more.length > 0) return "expected a name and a password; put a password with spaces in quotes";
  if (!(Number.isInteger(cost) && cost >= 4 && cost <= 16)) return "expected a cost from 4 to 16";
  return undefined;
}
