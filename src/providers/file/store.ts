import { parseGoTemplate, type TemplateContext } from "../../lib/go-template.ts";
import type { Declaration, Declared } from "../../model/declared.ts";
import { type DeclaredParts, readDynamic } from "../../model/read-dynamic.ts";
import type { Registry } from "../../model/read-middleware.ts";
import { parseFile } from "../../schema/file-tree.ts";
import type { Node, Place } from "../../schema/node.ts";
import type { Problem } from "../../schema/problem.ts";
import type { FoundFile, Scan } from "./files.ts";

export interface StoreHost {
  readonly registry: Registry;
  /** Throws `Unreadable`. */
  readonly secret: (reference: string) => string;
  readonly template: TemplateContext;
  /** Told what a template made of a file. */
  readonly rendered?: (path: string, text: string) => void;
}

type Report = (problem: Problem) => void;

const MAPS = ["routers", "services", "middlewares", "transports", "tlsOptions", "tlsStores"] as const;
const NOTHING: DeclaredParts = {
  routers: new Map(),
  services: new Map(),
  middlewares: new Map(),
  transports: new Map(),
  tlsOptions: new Map(),
  tlsStores: new Map(),
  tlsCertificates: [],
};

/**
 * What the files say, with a memory: a file that cannot be read, and a router that is broken, keep the version that
 * was good until they are mended or gone.
 */
export class FileStore {
  readonly #host: StoreHost;
  #inForce = new Map<string, DeclaredParts>();

  constructor(host: StoreHost) {
    this.#host = host;
  }

  /** The declaration that follows from what was found. */
  apply(scan: Scan): Declaration {
    const problems: Problem[] = [];
    const report: Report = (problem) => void problems.push(problem);
    if ("fault" in scan) {
      report(wholeFile(scan.path, `${scan.fault}${this.#inForce.size > 0 ? KEPT : ""}`));
    } else {
      const inForce = new Map<string, DeclaredParts>();
      for (const file of scan.files) {
        const before = this.#inForce.get(file.path);
        const parts = this.#read(file, before, report);
        if (parts !== undefined) inForce.set(file.path, parts);
      }
      this.#inForce = inForce;
    }
    return { provider: "file", ...combine(this.#inForce, report), problems, workloads: [] };
  }

  #read(file: FoundFile, before: DeclaredParts | undefined, report: Report): DeclaredParts | undefined {
    const kept = before === undefined ? "" : KEPT;
    if (file.text === undefined) {
      report(wholeFile(file.path, `${file.fault}${kept}`));
      return before;
    }
    const tree = this.#parse(file.path, file.text, (problem) =>
      report({ ...problem, message: `${problem.message}${kept}` }),
    );
    if (tree === undefined) return before;
    if (tree.children === undefined) {
      // A file caught between being emptied and being written looks like this too.
      report(wholeFile(file.path, `holds nothing${kept}; to say nothing on purpose, write {}`, "warning"));
      return before;
    }
    const context = { provider: "file", registry: this.#host.registry, report, secret: this.#host.secret };
    return mend(readDynamic(tree, context), before ?? NOTHING, report);
  }

  #parse(path: string, source: string, report: Report): Node | undefined {
    if (!source.includes("{{")) return parseFile(path, source, report);
    const parsed = parseGoTemplate(source);
    const result = "problem" in parsed ? parsed : parsed.template.execute(new Map(), this.#host.template);
    if ("problem" in result) {
      const { message, line, column, suggestion } = result.problem;
      const problem = wholeFile(path, message, "error", { line, column });
      report(suggestion === undefined ? problem : { ...problem, suggestion });
      return undefined;
    }
    this.#host.rendered?.(path, result.text);
    // Lines of the rendered text are not always those of the file, so the place says which is meant.
    return parseFile(result.text === source ? path : `${path} (rendered)`, result.text, report);
  }
}

const KEPT = "; what it said before stays in force";

function wholeFile(
  file: string,
  message: string,
  severity: Problem["severity"] = "error",
  spot: Pick<Place, "line" | "column"> = {},
): Problem {
  const place: Place = { source: "file", key: "", file, ...spot };
  return { code: "unreadable-file", severity, place, message };
}

/** Puts the version from before in the place of everything that is broken now. */
function mend(parts: DeclaredParts, before: DeclaredParts, report: Report): DeclaredParts {
  const good = <T>(now: Declared<T>, then: Declared<T> | undefined) => {
    if (!now.broken || then === undefined || then.broken) return now;
    const message = "is not in force as it is written; what it said before stays in force";
    report({ code: "kept", severity: "warning", place: now.place, message });
    return then;
  };
  const mended = MAPS.map((name) => {
    const then: ReadonlyMap<string, Declared<unknown>> = before[name];
    return [name, new Map([...parts[name]].map(([key, now]) => [key, good<unknown>(now, then.get(key))]))];
  });
  const tlsCertificates = parts.tlsCertificates.map((now) =>
    good(
      now,
      before.tlsCertificates.find(({ value }) => value.certFile === now.value.certFile),
    ),
  );
  return { ...(Object.fromEntries(mended) as DeclaredParts), tlsCertificates };
}

/** All files together: of two that say something by one name, the first by file name counts. */
function combine(files: ReadonlyMap<string, DeclaredParts>, report: Report): DeclaredParts {
  const combined = MAPS.map((name) => {
    const all = new Map<string, Declared<unknown>>();
    for (const parts of files.values()) {
      for (const [key, declared] of parts[name]) {
        const first = all.get(key);
        if (first === undefined) all.set(key, declared);
        else report(saidTwice(declared.place, first.place));
      }
    }
    return [name, all];
  });
  const tlsCertificates = [...files.values()].flatMap((parts) => parts.tlsCertificates);
  return { ...(Object.fromEntries(combined) as DeclaredParts), tlsCertificates };
}

const saidTwice = (place: Place, first: Place): Problem => ({
  code: "conflict",
  severity: "warning",
  place,
  message: `has no effect: ${first.file}:${first.line} has declared this name already`,
});
