import { parseGoTemplate, type TemplateContext, type TemplateProblem } from "../lib/go-template.ts";
import type { Workload } from "../model/workload.ts";
import { normalize, serviceNameOf } from "./names.ts";

/** Makes the rule of a router that has none, or says why it cannot. */
export type DefaultRule = (workload: Workload) => { readonly rule: string } | { readonly fault: string };

const FUNCTIONS = new Map([["normalize", ([text]: readonly unknown[]) => normalize(String(text ?? ""))]]);

/** Compiles `providers.docker.defaultRule`, with Traefik's names: `.Name`, `.ContainerName`, `.Labels`, `normalize`. */
export function compileDefaultRule(
  text: string,
  context: TemplateContext,
): { readonly defaultRule: DefaultRule; readonly problem?: TemplateProblem } {
  const parsed = parseGoTemplate(text, { functions: FUNCTIONS });
  if ("problem" in parsed) {
    return { defaultRule: () => ({ fault: "cannot be read" }), problem: parsed.problem };
  }
  return {
    defaultRule(workload) {
      const data = new Map<string, string | ReadonlyMap<string, string>>([
        ["Name", serviceNameOf(workload)],
        ["ContainerName", workload.name],
        ["Labels", workload.labels],
      ]);
      const made = parsed.template.execute(data, context);
      if ("problem" in made) return { fault: `fails: ${made.problem.message}` };
      return made.text.trim() === "" ? { fault: "gives nothing for this container" } : { rule: made.text };
    },
  };
}
