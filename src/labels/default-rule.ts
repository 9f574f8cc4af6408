import type { Workload } from "../model/workload.ts";
import { normalize, serviceNameOf } from "./names.ts";

/** Makes the rule of a router that has none, or says why it cannot. */
export type DefaultRule = (workload: Workload) => { readonly rule: string } | { readonly fault: string };

export function compileDefaultRule(template: string): DefaultRule {
  return (workload) => {
    const name = serviceNameOf(workload);
    const rule = template.replace(
      /\{\{\s*(normalize\s+)?\.(Name|ContainerName)\s*\}\}/g,
      (_, norm, field) => {
        const value = field === "Name" ? name : workload.name;
        return norm ? normalize(value) : value;
      },
    );
    if (rule.includes("{{")) return { fault: `holds ${template}, which cannot be read` };
    return rule.trim() === "" ? { fault: "gives nothing for it" } : { rule };
  };
}
