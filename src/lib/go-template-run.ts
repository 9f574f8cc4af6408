import type { TemplateContext } from "./go-template.ts";
import {
  type Command,
  type Operand,
  type Pipe,
  TemplateError,
  type TemplateNode,
} from "./go-template-parse.ts";
import {
  BadValue,
  fieldOf,
  isList,
  isMap,
  isTrue,
  kindOf,
  show,
  sortedEntries,
  type TemplateFunction,
  type TemplateMap,
  type TemplateValue,
} from "./go-template-values.ts";
import { nearest } from "./nearest.ts";

const OUTPUT_MAX = 1 << 20;
// Steps, and the sum of the sizes of all values made: enough for a file with thousands of routers.
const WORK_MAX = 50_000_000;
const CALL_DEPTH_MAX = 50;

type Jump = "break" | "continue" | undefined;
type Block = Extract<TemplateNode, { body: unknown }>;

/** One execution of a template. Everything it makes is counted against a bound. */
export class TemplateRun {
  readonly #functions: ReadonlyMap<string, TemplateFunction>;
  readonly #defined: ReadonlyMap<string, readonly TemplateNode[]>;
  readonly #root: TemplateMap;
  readonly #context: TemplateContext;
  readonly #outputMax: number;
  #variables: { name: string; value: TemplateValue }[];
  #output = "";
  #work = 0;
  #depth = 0;

  constructor(
    functions: ReadonlyMap<string, TemplateFunction>,
    defined: ReadonlyMap<string, readonly TemplateNode[]>,
    root: TemplateMap,
    context: TemplateContext,
  ) {
    this.#functions = functions;
    this.#defined = defined;
    // `set` changes maps in place, and the caller's are not ours.
    this.#root = copyMap(root);
    this.#context = context;
    this.#outputMax = context.outputMax ?? OUTPUT_MAX;
    this.#variables = [{ name: "$", value: this.#root }];
  }

  run(nodes: readonly TemplateNode[]): string {
    this.#walk(nodes, this.#root);
    return this.#output;
  }

  #walk(nodes: readonly TemplateNode[], dot: TemplateValue): Jump {
    for (const node of nodes) {
      const jump = this.#node(node, dot);
      if (jump !== undefined) return jump;
    }
    return undefined;
  }

  #node(node: TemplateNode, dot: TemplateValue): Jump {
    if (node.kind === "jump") return node.jump;
    if (node.kind === "text") {
      this.#write(node.text, 0);
      return undefined;
    }
    if (node.kind === "show") {
      const value = this.#pipe(node.pipe, dot);
      if (node.pipe.variables.length === 0)
        this.#write(
          this.#guarded("", node.pipe.at, () => show(value)),
          node.pipe.at,
        );
      return undefined;
    }
    if (node.kind === "template") {
      this.#template(node.name, node.pipe && this.#pipe(node.pipe, dot), node.at);
      return undefined;
    }
    const scope = this.#variables.length;
    const value = this.#pipe(node.pipe, dot, node.kind === "range");
    const jump = node.kind === "range" ? this.#range(node, value, dot) : this.#choose(node, value, dot);
    this.#variables.length = scope;
    return jump;
  }

  #choose(node: Block, value: TemplateValue, dot: TemplateValue): Jump {
    if (!isTrue(value)) return this.#walk(node.otherwise, dot);
    return this.#walk(node.body, node.kind === "with" ? value : dot);
  }

  #range(node: Block, over: TemplateValue, dot: TemplateValue): Jump {
    const entries = this.#entriesOf(over, node.pipe.at);
    if (entries.length === 0) return this.#walk(node.otherwise, dot);
    const { variables, assigns, at } = node.pipe;
    const scope = this.#variables.length;
    for (const [key, value] of entries) {
      this.#charge(1, at);
      const values = variables.length === 2 ? [key, value] : [value];
      variables.forEach((name, i) => {
        this.#bind(name, values[i], assigns);
      });
      const jump = this.#walk(node.body, value);
      this.#variables.length = scope;
      if (jump === "break") break;
    }
    return undefined;
  }

  #entriesOf(over: TemplateValue, at: number): readonly (readonly [TemplateValue, TemplateValue])[] {
    if (over === undefined) return [];
    if (isList(over)) return over.map((value, i) => [i, value]);
    if (isMap(over)) return sortedEntries(over);
    if (typeof over === "number" && Number.isInteger(over)) {
      this.#charge(Math.max(0, over), at);
      return Array.from({ length: Math.max(0, over) }, (_, i) => [i, i]);
    }
    throw new TemplateError(`range needs a list or a map, found ${kindOf(over)}`, at);
  }

  #template(name: string, dot: TemplateValue, at: number): void {
    const nodes = this.#defined.get(name);
    if (nodes === undefined) {
      throw new TemplateError(
        `there is no template ${JSON.stringify(name)}`,
        at,
        nearest(name, this.#defined.keys()),
      );
    }
    if (++this.#depth > CALL_DEPTH_MAX)
      throw new TemplateError(`templates call each other without an end`, at);
    const outside = this.#variables;
    this.#variables = [{ name: "$", value: dot }];
    this.#walk(nodes, dot);
    this.#variables = outside;
    this.#depth--;
  }

  /** The value of the last command. For `range` the variables are bound item by item instead. */
  #pipe(pipe: Pipe, dot: TemplateValue, isRange = false): TemplateValue {
    let value: TemplateValue;
    pipe.commands.forEach((command, i) => {
      value = this.#command(command, dot, i === 0 ? [] : [value]);
    });
    if (!isRange) for (const name of pipe.variables) this.#bind(name, value, pipe.assigns);
    return value;
  }

  #command(command: Command, dot: TemplateValue, piped: readonly TemplateValue[]): TemplateValue {
    const first = command[0]!;
    if (first.kind !== "function") return this.#operand(first, dot);
    return this.#fields(first, this.#call(first.name, first.at, command.slice(1), dot, piped));
  }

  #call(
    name: string,
    at: number,
    operands: readonly Operand[],
    dot: TemplateValue,
    piped: readonly TemplateValue[],
  ): TemplateValue {
    if (name === "and" || name === "or") return this.#shortCircuit(name, operands, dot, piped);
    const args = [...operands.map((operand) => this.#operand(operand, dot)), ...piped];
    const { least, most, call } = this.#functions.get(name)!;
    if (args.length < least || args.length > most) {
      const range =
        least === most
          ? `${least}`
          : most === Number.POSITIVE_INFINITY
            ? `at least ${least}`
            : `${least} to ${most}`;
      throw new TemplateError(
        `${name} takes ${range} value${range === "1" ? "" : "s"}, found ${args.length}`,
        at,
      );
    }
    const result = this.#guarded(`${name}: `, at, () => call(args, this.#context));
    this.#charge(weight(result), at);
    return result;
  }

  /** Gives a bad value its place. */
  #guarded<T>(prefix: string, at: number, work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (error instanceof BadValue) throw new TemplateError(prefix + error.message, at);
      // The engine's own bound on texts, reached by `replace` and its like.
      if (error instanceof RangeError) throw new TemplateError(`${prefix}the value is too large`, at);
      throw error;
    }
  }

  #shortCircuit(
    name: "and" | "or",
    operands: readonly Operand[],
    dot: TemplateValue,
    piped: readonly TemplateValue[],
  ): TemplateValue {
    let value: TemplateValue;
    for (const operand of operands) {
      value = this.#operand(operand, dot);
      if (isTrue(value) === (name === "or")) return value;
    }
    return piped.length > 0 ? piped[0] : value;
  }

  #operand(operand: Operand, dot: TemplateValue): TemplateValue {
    this.#charge(1, operand.at);
    switch (operand.kind) {
      case "literal":
        return operand.value;
      case "dot":
        return this.#fields(operand, dot);
      case "variable":
        return this.#fields(operand, this.#variable(operand.name, operand.at));
      case "pipe":
        return this.#fields(operand, this.#pipe(operand.pipe, dot));
      case "function":
        return this.#fields(operand, this.#call(operand.name, operand.at, [], dot, []));
    }
  }

  #fields({ fields, at }: Operand, start: TemplateValue): TemplateValue {
    let value = start;
    for (const name of fields) {
      if (value === undefined) return undefined;
      if (!isMap(value))
        throw new TemplateError(`.${name} is asked of ${kindOf(value)}, which has no fields`, at);
      if (value === this.#root && !value.has(name)) {
        const known = [...value.keys()].map((key) => `.${key}`);
        const list = known.length === 0 ? "there are none" : `there are ${known.join(", ")}`;
        throw new TemplateError(`there is no field .${name}; ${list}`, at, nearest(`.${name}`, known));
      }
      value = fieldOf(value, name);
    }
    return value;
  }

  #variable(name: string, at: number): TemplateValue {
    const found = this.#variables.findLast((variable) => variable.name === name);
    if (found === undefined) throw new TemplateError(`${name} has no value here`, at);
    return found.value;
  }

  #bind(name: string, value: TemplateValue, assigns: boolean): void {
    const known = assigns ? this.#variables.findLast((variable) => variable.name === name) : undefined;
    if (known === undefined) this.#variables.push({ name, value });
    else known.value = value;
  }

  #write(text: string, at: number): void {
    if (this.#output.length + text.length > this.#outputMax)
      throw new TemplateError(`the output is longer than ${this.#outputMax} characters`, at);
    this.#output += text;
    this.#charge(text.length, at);
  }

  #charge(work: number, at: number): void {
    this.#work += work;
    if (this.#work > WORK_MAX) throw new TemplateError("this takes more work than a template may", at);
  }
}

function weight(value: TemplateValue): number {
  if (typeof value === "string" || isList(value)) return value.length + 1;
  return isMap(value) ? value.size + 1 : 1;
}

function copyMap(map: TemplateMap): TemplateMap {
  return new Map([...map].map(([key, value]) => [key, isMap(value) ? copyMap(value) : value]));
}
