import { Text } from "./parts.tsx";

/** Options and their values, groups inside groups. */
export function Tree({ of }: { readonly of: unknown }) {
  if (typeof of !== "object" || of === null) return <Value of={of} />;
  const entries = Object.entries(of);
  if (entries.length === 0) return <span class="faint">defaults</span>;
  return (
    <dl class="tree">
      {entries.map(([name, value]) => (
        <div key={name}>
          <dt>
            <Text of={name} most={80} />
          </dt>
          <dd>{isGroup(value) ? <Tree of={value} /> : <Value of={value} />}</dd>
        </div>
      ))}
    </dl>
  );
}

const isGroup = (value: unknown) => typeof value === "object" && value !== null && !Array.isArray(value);

export function Value({ of }: { readonly of: unknown }) {
  if (Array.isArray(of)) {
    return (
      <ul class="names">
        {of.map((item, i) => (
          <li key={i}>{typeof item === "object" ? <Tree of={item} /> : <Value of={item} />}</li>
        ))}
      </ul>
    );
  }
  if (of === "***") return <span class="secret">hidden</span>;
  if (of === "") return <span class="faint">empty</span>;
  return (
    <code>
      <Text of={typeof of === "string" ? of : JSON.stringify(of)} />
    </code>
  );
}
