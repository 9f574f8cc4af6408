import type { ProblemShape } from "../../admin/shapes.ts";
import { useApi } from "../data.ts";
import { Badge, Empty, Page, Text, To, Waiting } from "../parts.tsx";

const LINKED = new Map([
  ["router", "routers"],
  ["service", "services"],
  ["middleware", "middlewares"],
] as const);

export function ProblemsPage() {
  const { data, error } = useApi<readonly ProblemShape[]>("problems");
  return (
    <Page title="Problems" lead="What a person must mend, and where.">
      {data === undefined ? (
        <Waiting error={error} />
      ) : data.length === 0 ? (
        <Empty title="Nothing to mend">Every label, file and setting is understood and in force.</Empty>
      ) : (
        <ProblemList of={data} />
      )}
    </Page>
  );
}

export function ProblemList({ of }: { readonly of: readonly ProblemShape[] }) {
  return (
    <ul class="problems">
      {of.map((problem, i) => (
        <Problem key={i} of={problem} />
      ))}
    </ul>
  );
}

function Problem({ of: { severity, place, message, suggestion, subject } }: { readonly of: ProblemShape }) {
  const kind = subject && LINKED.get(subject.kind as "router");
  return (
    <li class={severity}>
      <p class="problem-head">
        <Badge status={severity} tone={severity === "error" ? "bad" : "warn"} />
        {subject &&
          (kind ? <To kind={kind} name={subject.name} /> : <Text of={`${subject.kind} ${subject.name}`} />)}
        <span class="faint">
          <Text of={place} />
        </span>
      </p>
      <pre>
        <Text of={message} most={2000} lines />
      </pre>
      {suggestion !== undefined && (
        <p class="hint">
          Did you mean{" "}
          <code>
            <Text of={suggestion} />
          </code>
          ?
        </p>
      )}
    </li>
  );
}
