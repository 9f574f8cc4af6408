import { templateFunctions } from "./go-template-functions.ts";
import { TemplateError, type TemplateNode, TemplateParser } from "./go-template-parse.ts";
import { TemplateRun } from "./go-template-run.ts";
import type { TemplateFunction, TemplateValue } from "./go-template-values.ts";

export { stringsSplit } from "./go-template-texts.ts";
export type { TemplateFunction, TemplateValue };

/** Where a template is wrong, or what went wrong while it ran. */
export interface TemplateProblem {
  /** Begins with the place: `line 1, column 9: there is no function lowr`. */
  readonly message: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in characters. */
  readonly column: number;
  readonly suggestion?: string;
}

export interface TemplateOptions {
  /** Functions beside Go's and sprig's, or instead of them; `stringsSplit` is one. */
  readonly functions?: ReadonlyMap<string, TemplateFunction["call"]>;
}

export interface TemplateContext {
  /** What `env` and `expandenv` see. */
  readonly environment: ReadonlyMap<string, string>;
  /** Milliseconds since 1970. */
  readonly nowMs: () => number;
  /** UTF-16 units; 1 MiB if not given. */
  readonly outputMax?: number;
}

/** A template as Go's text/template reads it, with the functions of sprig that touch nothing outside. */
export class GoTemplate {
  readonly #text: string;
  readonly #nodes: readonly TemplateNode[];
  readonly #defined: ReadonlyMap<string, readonly TemplateNode[]>;
  readonly #functions: ReadonlyMap<string, TemplateFunction>;

  constructor(
    text: string,
    nodes: readonly TemplateNode[],
    defined: ReadonlyMap<string, readonly TemplateNode[]>,
    functions: ReadonlyMap<string, TemplateFunction>,
  ) {
    this.#text = text;
    this.#nodes = nodes;
    this.#defined = defined;
    this.#functions = functions;
  }

  /**
   * Fields of `data` that are not there are a problem; missing keys of maps inside it are empty. Neither the output
   * nor the work can grow beyond a bound.
   */
  execute(
    data: ReadonlyMap<string, TemplateValue>,
    context: TemplateContext,
  ): { readonly text: string } | { readonly problem: TemplateProblem } {
    try {
      return { text: new TemplateRun(this.#functions, this.#defined, data, context).run(this.#nodes) };
    } catch (error) {
      return { problem: problemOf(this.#text, error) };
    }
  }
}

export function parseGoTemplate(
  text: string,
  options: TemplateOptions = {},
): { readonly template: GoTemplate } | { readonly problem: TemplateProblem } {
  const functions = templateFunctions(options.functions);
  try {
    const parser = new TemplateParser(text, functions);
    const nodes = parser.parse();
    return { template: new GoTemplate(text, nodes, parser.defined, functions) };
  } catch (error) {
    return { problem: problemOf(text, error) };
  }
}

function problemOf(text: string, error: unknown): TemplateProblem {
  if (!(error instanceof TemplateError)) throw error;
  const before = text.slice(0, error.at).split("\n");
  const line = before.length;
  const column = [...before.at(-1)!].length + 1;
  const message = `line ${line}, column ${column}: ${error.message}`;
  return { message, line, column, ...(error.suggestion !== undefined && { suggestion: error.suggestion }) };
}
