import { BadFile } from "./file-limits.ts";
import type { Node, Place } from "./node.ts";
import { type Problem, quote } from "./problem.ts";
import { parseToml } from "./toml-tree.ts";
import { parseYaml } from "./yaml-tree.ts";

const CHARACTERS_MAX = 4 * 1024 * 1024;

/**
 * The tree of a YAML, TOML or JSON file, by the end of its name. Undefined when the file as a whole cannot be
 * read; what is wrong has then been reported with line and column. An empty file is an empty node.
 */
export function parseFile(
  file: string,
  text: string,
  report: (problem: Problem) => void,
  { exactNames = false } = {},
): Node | undefined {
  const place: Place = { source: "file", key: "", file };
  try {
    if (text.length > CHARACTERS_MAX) throw new BadFile(place, "expected a file of at most 4 MiB");
    // JSON is YAML, and read as such its values have lines and columns too.
    const plain = text.replace(/^\ufeff/, "");
    return /\.toml$/i.test(file) ? parseToml(plain, place) : parseYaml(plain, place, exactNames);
  } catch (error) {
    report(problemOf(error, place));
    return undefined;
  }
}

// The parsers are other people's: whatever they throw is about the file, not about us.
function problemOf(error: unknown, place: Place): Problem {
  if (error instanceof BadFile) return error.problem;
  const reason =
    error instanceof RangeError ? "is nested too deeply" : `cannot be read: ${quote(String(error))}`;
  return new BadFile(place, reason).problem;
}
