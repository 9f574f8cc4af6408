import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "./data.ts";
import { Icon } from "./icons.tsx";
import { link, setQuery, usePlace } from "./route.ts";

interface Children {
  readonly children?: ComponentChildren;
}

// What would hide, turn round or break the text it stands in.
const UNSEEN = /[\0-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff]/;
const TEXT_MAX = 300;

/**
 * Text from outside, which may be anything: isolated, its unseen characters shown, of bounded length. `lines`: it is a
 * sentence of ours that may have several.
 */
export function Text({
  of,
  most = TEXT_MAX,
  lines = false,
}: {
  readonly of: string;
  readonly most?: number;
  readonly lines?: boolean;
}) {
  const shown = of.length > most ? of.slice(0, most) : of;
  const isUnseen = (piece: string) => UNSEEN.test(piece) && !(lines && piece === "\n");
  const pieces = UNSEEN.test(shown) ? shown.split(new RegExp(`(${UNSEEN.source})`)) : [shown];
  return (
    <bdi>
      {pieces.map((piece) =>
        isUnseen(piece) ? (
          <span class="unseen">{`\\u${piece.charCodeAt(0).toString(16).padStart(4, "0")}`}</span>
        ) : (
          piece
        ),
      )}
      {of.length > most && <span class="unseen">… ({of.length} characters)</span>}
    </bdi>
  );
}

/** A page with its heading, which gets the focus when somebody comes here. */
export function Page({
  title,
  lead,
  aside,
  children,
}: Children & {
  readonly title: string;
  readonly lead?: ComponentChildren;
  readonly aside?: ComponentChildren;
}) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · Waybill`;
    if (hasMoved) heading.current?.focus({ preventScroll: true });
    hasMoved = true;
    scrollTo(0, 0);
  }, [title]);
  return (
    <>
      <div class="page-head">
        <div>
          <h1 ref={heading} tabIndex={-1}>
            <Text of={title} most={120} />
          </h1>
          {lead && <p class="lead">{lead}</p>}
        </div>
        {aside && <div class="aside">{aside}</div>}
      </div>
      {children}
    </>
  );
}

/** The focus stays where the browser has put it until somebody follows a link. */
let hasMoved = false;

export function Card({
  title,
  more,
  children,
  wide,
}: Children & {
  readonly title?: ComponentChildren;
  readonly more?: ComponentChildren;
  readonly wide?: boolean;
}) {
  return (
    <section class={wide ? "card wide" : "card"}>
      {title && (
        <div class="card-head">
          <h2>{title}</h2>
          {more}
        </div>
      )}
      {children}
    </section>
  );
}

export type Tone = "good" | "warn" | "bad" | "plain";

const TONES: { readonly [status: string]: Tone } = {
  enabled: "good",
  warning: "warn",
  disabled: "bad",
  expired: "bad",
  UP: "good",
  DOWN: "bad",
  up: "good",
  unhealthy: "bad",
  resting: "warn",
  error: "bad",
  routed: "good",
};

const WORDS: { readonly [status: string]: string } = {
  enabled: "in force",
  disabled: "not in force",
  UP: "up",
  DOWN: "down",
};

export function Badge({ status, tone }: { readonly status: string; readonly tone?: Tone }) {
  return <span class={`badge ${tone ?? TONES[status] ?? "plain"}`}>{WORDS[status] ?? status}</span>;
}

export function Empty({ title, children }: Children & { readonly title: string }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children && <p>{children}</p>}
    </div>
  );
}

/** What there is to say while something is not there: it is coming, or it cannot. */
export function Waiting({ error }: { readonly error: Error | undefined }) {
  if (error === undefined) return <div class="waiting" role="status" aria-label="Loading" />;
  if (error instanceof ApiError && error.status === 404) {
    return (
      <Empty title="There is nothing of that name">
        It may have gone since; the lists show what is there now.
      </Empty>
    );
  }
  return <Empty title="Waybill does not answer">{error.message}</Empty>;
}

export function Facts({
  of,
}: {
  readonly of: readonly (readonly [name: string, value: ComponentChildren])[];
}) {
  return (
    <dl class="facts">
      {of.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

export function Errors({ of }: { readonly of: readonly string[] | undefined }) {
  if (of === undefined || of.length === 0) return null;
  return (
    <Card title="To mend" wide>
      <ul class="problems">
        {of.map((text) => (
          <li key={text}>
            <pre>
              <Text of={text} most={2000} lines />
            </pre>
          </li>
        ))}
      </ul>
    </Card>
  );
}

/** A link to something by its name. */
export function To({
  kind,
  name,
}: {
  readonly kind: "routers" | "services" | "middlewares";
  readonly name: string;
}) {
  // Where a line ends within a name, it had better be before its provider.
  const at = name.lastIndexOf("@");
  const [own, provider] = at < 1 || name.length > 80 ? [name, ""] : [name.slice(0, at), name.slice(at)];
  return (
    <a href={link(kind, name)}>
      <Text of={own} most={80} />
      {provider !== "" && (
        <>
          <wbr />
          <Text of={provider} />
        </>
      )}
    </a>
  );
}

/** A sentence of ours; a rule with a caret may stand below it. */
export function Reason({ of, most = 600 }: { readonly of: string; readonly most?: number }) {
  const end = of.indexOf("\n");
  if (end < 0) return <Text of={of} most={most} />;
  return (
    <>
      <Text of={of.slice(0, end)} most={most} />
      {"\n"}
      <pre class="spot">
        <Text of={of.slice(end + 1)} most={most} lines />
      </pre>
    </>
  );
}

export function Names({
  kind,
  of,
}: {
  readonly kind: "routers" | "services" | "middlewares";
  readonly of: readonly string[] | undefined;
}) {
  if (of === undefined || of.length === 0) return <span class="faint">none</span>;
  return (
    <ul class="names">
      {of.map((name) => (
        <li key={name}>
          <To kind={kind} name={name} />
        </li>
      ))}
    </ul>
  );
}

/** A box that keeps what is typed in the address; `/` leads to it. */
export function Search({ label }: { readonly label: string }) {
  const { query } = usePlace();
  const [text, setText] = useState(query.get("search") ?? "");
  const box = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const timer = setTimeout(() => text !== (query.get("search") ?? "") && setQuery({ search: text }), 250);
    return () => clearTimeout(timer);
  }, [text, query]);
  useEffect(() => {
    const hear = (event: KeyboardEvent) => {
      if (event.key !== "/" || event.target instanceof HTMLInputElement) return;
      event.preventDefault();
      box.current?.focus();
    };
    addEventListener("keydown", hear);
    return () => removeEventListener("keydown", hear);
  }, []);
  return (
    <input
      ref={box}
      type="search"
      value={text}
      placeholder="Search"
      aria-label={label}
      aria-keyshortcuts="/"
      onInput={(event) => setText(event.currentTarget.value)}
    />
  );
}

/** One of a few, kept in the address. */
export function Choice({
  name,
  label,
  of,
}: {
  readonly name: string;
  readonly label: string;
  readonly of: readonly (readonly [value: string, words: string])[];
}) {
  const { query } = usePlace();
  const chosen = query.get(name) ?? "";
  return (
    <fieldset class="choice">
      <legend class="hidden-text">{label}</legend>
      {of.map(([value, words]) => (
        <button
          key={value}
          type="button"
          aria-pressed={chosen === value}
          onClick={() => setQuery({ [name]: value })}
        >
          {words}
        </button>
      ))}
    </fieldset>
  );
}

export interface Column<T> {
  readonly title: string;
  /** What the API sorts by; not sortable without. */
  readonly sortBy?: string;
  readonly cell: (item: T) => ComponentChildren;
  readonly class?: string;
}

export function Table<T>({
  caption,
  columns,
  items,
  keyOf,
}: {
  readonly caption: string;
  readonly columns: readonly Column<T>[];
  readonly items: readonly T[];
  readonly keyOf: (item: T) => string;
}) {
  return (
    <div class="table-frame">
      <table>
        <caption class="hidden-text">{caption}</caption>
        <thead>
          <tr>
            {columns.map((column) => (
              <Heading key={column.title} title={column.title} sortBy={column.sortBy} />
            ))}
          </tr>
        </thead>
        <tbody>
          {items.map((item) => (
            <tr key={keyOf(item)}>
              {columns.map(({ title, cell, class: name }) => (
                <td key={title} class={name} data-title={title}>
                  {cell(item)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Heading({ title, sortBy }: { readonly title: string; readonly sortBy: string | undefined }) {
  const { query } = usePlace();
  if (sortBy === undefined) return <th scope="col">{title}</th>;
  const isSorted = (query.get("sortBy") ?? "name") === sortBy;
  const isDown = query.get("direction") === "desc";
  const turn = () => setQuery({ sortBy, direction: isSorted && !isDown ? "desc" : "" });
  return (
    <th scope="col" aria-sort={isSorted ? (isDown ? "descending" : "ascending") : "none"}>
      <button type="button" onClick={turn}>
        {title}
        <span class="sort" aria-hidden="true">
          {isSorted ? (isDown ? "↓" : "↑") : ""}
        </span>
      </button>
    </th>
  );
}

export function Lock() {
  return (
    <span class="lock" title="HTTPS">
      <Icon name="lock" />
      <span class="hidden-text">HTTPS</span>
    </span>
  );
}

export function Rule({ of }: { readonly of: string | undefined }) {
  if (of === undefined) return <span class="faint">none</span>;
  return (
    <code class="rule">
      <Text of={of} />
    </code>
  );
}
