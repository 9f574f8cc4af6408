import { readFileSync } from "node:fs";

/** What a command may touch of the process it runs in; tests give their own. */
export interface Shell {
  readonly env: ReadonlyMap<string, string>;
  readonly cwd: string;
  /** Throws as `fs.readFileSync` does. */
  readonly readFile: (path: string) => string;
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** One line from the terminal without showing it, or the first line of standard input. */
  readonly askSecret: (question: string) => Promise<string>;
}

export interface Command {
  readonly name: string;
  /** After the name: `[user] [password]`. */
  readonly usage: string;
  readonly summary: string;
  /** What `waybill help <command>` says beside the summary. */
  readonly details: string;
  /** Gives the exit code. `args` come after the command's name. */
  readonly run: (args: readonly string[], shell: Shell) => Promise<number>;
}

export const processShell: Shell = {
  env: new Map(
    Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined),
  ),
  cwd: process.cwd(),
  readFile: (path) => readFileSync(path, "utf8"),
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  askSecret,
};

async function askSecret(question: string): Promise<string> {
  const { createInterface } = await import("node:readline");
  const { stdin, stderr } = process;
  if (stdin.isTTY) stderr.write(question);
  // Without an output the terminal's echo is off, and nothing of the answer is shown.
  const lines = createInterface({ input: stdin, terminal: stdin.isTTY === true });
  try {
    for await (const line of lines) return line;
    return "";
  } finally {
    lines.close();
    if (stdin.isTTY) stderr.write("\n");
  }
}
