import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Explanation } from "../../admin/shapes.ts";
import { getJson } from "../data.ts";
import { count, formatDate } from "../format.ts";
import { Badge, Empty, Names, Page, Reason, Rule, Text, To } from "../parts.tsx";
import { setQuery, usePlace } from "../route.ts";
import { Tree } from "../tree.tsx";

export function ExplainPage() {
  const { query } = usePlace();
  const asked = query.get("url") ?? "";
  const [found, setFound] = useState<Explanation>();
  const [error, setError] = useState("");
  const question = query.toString();
  useEffect(() => {
    setFound(undefined);
    setError("");
    if (asked === "") return;
    const aborter = new AbortController();
    const { header, ...rest } = Object.fromEntries(new URLSearchParams(question));
    const parameters = new URLSearchParams(rest);
    for (const line of (header ?? "").split("\n")) if (line.trim() !== "") parameters.append("header", line);
    getJson<Explanation>(`explain?${parameters}`, aborter.signal)
      .then(setFound)
      .catch((failure: Error) => aborter.signal.aborted || setError(failure.message));
    return () => aborter.abort();
  }, [asked, question]);
  return (
    <Page title="Explain a URL" lead="Type a URL and see what becomes of a request for it. Nothing is sent.">
      <Form key={question} query={query} />
      {error !== "" && (
        <p class="form-error" role="alert">
          <Text of={error} />
        </p>
      )}
      {found && <Walk of={found} />}
      {asked === "" && (
        <Empty title="Why 404?">
          Or which of two routers wins, what a middleware is set to, whether a server is up: it is all in the
          walk.
        </Empty>
      )}
    </Page>
  );
}

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

function Form({ query }: { readonly query: URLSearchParams }) {
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget as HTMLFormElement);
    const text = (name: string) => String(fields.get(name) ?? "").trim();
    const method = text("method");
    setQuery({
      url: text("url"),
      method: method === "GET" ? "" : method,
      from: text("from"),
      header: text("header"),
    });
  };
  const value = (name: string) => query.get(name) ?? "";
  return (
    <form class="ask" onSubmit={submit}>
      <label class="method-field">
        <span class="hidden-text">Method</span>
        <select name="method" defaultValue={value("method") || "GET"}>
          {METHODS.map((method) => (
            <option key={method} selected={method === (value("method") || "GET")}>
              {method}
            </option>
          ))}
        </select>
      </label>
      <label class="url-field">
        <span class="hidden-text">URL</span>
        <input
          name="url"
          required
          placeholder="https://app.example.com/path"
          autocomplete="off"
          spellcheck={false}
          defaultValue={value("url")}
        />
      </label>
      <button type="submit" class="main-button">
        Explain
      </button>
      <details class="ask-more" open={value("header") !== "" || value("from") !== ""}>
        <summary>Headers and client</summary>
        <label>
          Headers, one a line
          <textarea name="header" rows={3} placeholder="X-Canary: yes" defaultValue={value("header")} />
        </label>
        <label>
          Address of the client
          <input name="from" placeholder="127.0.0.1" defaultValue={value("from")} />
        </label>
      </details>
    </form>
  );
}

function Step({
  title,
  tone = "good",
  children,
}: {
  readonly title: string;
  readonly tone?: string;
  readonly children?: ComponentChildren;
}) {
  return (
    <li class={`step ${tone}`}>
      <h2>{title}</h2>
      {children}
    </li>
  );
}

function Walk({ of }: { readonly of: Explanation }) {
  const { routed, diagnosis, request, entryPoint, router, middlewares, service } = of;
  const isAnswered = routed && !diagnosis.includes("nobody answers");
  return (
    <>
      <div class={`verdict ${isAnswered ? "good" : "bad"}`} role="status">
        <Reason of={diagnosis} most={1000} />
      </div>
      <ol class="walk">
        <Step title="Entry point">
          <p>
            <strong>
              <Text of={entryPoint?.name ?? ""} />
            </strong>{" "}
            <code>{entryPoint?.address}</code>
          </p>
          <p class="faint">
            <Text
              of={`${request.method} ${request.scheme}://${request.host}${request.path}, from ${request.from}`}
            />
          </p>
        </Step>
        <Step title={router ? "Router" : "No router takes it"} tone={router ? "good" : "bad"}>
          {router && (
            <>
              <p>
                <To kind="routers" name={router.name} />
              </p>
              <Rule of={router.rule} />
              <p class="faint">{router.why}.</p>
            </>
          )}
          {of.nearRules.length > 0 && (
            <>
              <p class="faint">These would, but for one thing:</p>
              <Attempts
                of={of.nearRules.map(({ router: name, reason }) => ({ router: name, reasons: [reason] }))}
              />
            </>
          )}
          {of.nearest.map(({ host, routers }) => (
            <div key={host}>
              Nearest: <Text of={host} /> <Names kind="routers" of={routers} />
            </div>
          ))}
          <Considered of={of} />
        </Step>
        {!routed && of.leftOut.length > 0 && <LeftOut of={of.leftOut} />}
        {middlewares.map(({ name, type, options }) => (
          <Step key={name} title={`Middleware: ${type || "missing"}`}>
            <p>
              <To kind="middlewares" name={name} />
            </p>
            <Tree of={options} />
          </Step>
        ))}
        {service && <Servers of={of} />}
        {of.certificate && (
          <Step title="Certificate" tone={of.certificate.fits ? "good" : "bad"}>
            <p>
              <Text of={of.certificate.names.join(", ") || "none for this name"} />
            </p>
            <p class="faint">
              <Text of={of.certificate.note ?? of.certificate.issuer} />
              {of.certificate.notAfter && `, until ${formatDate(of.certificate.notAfter)}`}
            </p>
          </Step>
        )}
      </ol>
    </>
  );
}

function Considered({ of: { considered, consideredMore, nearRules } }: { readonly of: Explanation }) {
  const isShown = (name: string) => nearRules.some(({ router }) => router === name);
  const others = considered.filter(({ matched, router }) => !matched && !isShown(router));
  if (others.length === 0) return null;
  const far = others.filter(({ reasons }) => /it listens on |: the host is /.test(reasons[0] ?? ""));
  const near = others.filter((one) => !far.includes(one));
  return (
    <>
      {near.length > 0 && <Attempts of={near} />}
      {far.length > 0 && (
        <details>
          <summary>{count(far.length + consideredMore, "router")} for other hosts or entry points</summary>
          <Attempts of={far} />
        </details>
      )}
    </>
  );
}

interface Attempt {
  readonly router: string;
  readonly reasons: readonly string[];
}

function Attempts({ of }: { readonly of: readonly Attempt[] }) {
  return (
    <ul class="attempts">
      {of.map(({ router, reasons }) => (
        <li key={router}>
          <To kind="routers" name={router} />
          {reasons.map((reason) => (
            <span key={reason} class="second">
              <Text of={reason} />
            </span>
          ))}
        </li>
      ))}
    </ul>
  );
}

function LeftOut({ of }: { readonly of: Explanation["leftOut"] }) {
  return (
    <Step title="Left out" tone="warn">
      <ul class="attempts">
        {of.map(({ kind, name, reason }) => (
          <li key={`${kind} ${name}`}>
            <Badge status={kind} />{" "}
            {kind === "router" ? <To kind="routers" name={name} /> : <Text of={name} />}
            <div class="second">
              <Reason of={reason} />
            </div>
          </li>
        ))}
      </ul>
    </Step>
  );
}

function Servers({ of: { service, servers, unavailable } }: { readonly of: Explanation }) {
  const isOurs = service!.name.endsWith("@internal");
  const isUp = isOurs || servers.some(({ state }) => state === "up");
  return (
    <Step title="Service" tone={isUp ? "good" : "bad"}>
      <p>
        <To kind="services" name={service!.name} />
      </p>
      <ul class="rows">
        {(isOurs ? [] : servers).map(({ service: owner, url, state, inFlight }) => (
          <li key={`${owner} ${url}`}>
            <Badge status={state} />
            <code>
              <Text of={url} />
            </code>
            <span class="faint">{count(inFlight, "request")} under way</span>
          </li>
        ))}
        {unavailable.map((reason) => (
          <li key={reason} class="bad-text">
            <Text of={reason} />
          </li>
        ))}
      </ul>
    </Step>
  );
}
