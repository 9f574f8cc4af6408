import { useEffect, useState } from "preact/hooks";

/** Where in the dashboard we are: everything after the `#`, so that the server has one page to serve. */
export interface Place {
  /** `/routers/app%40docker` is `["routers", "app@docker"]`. */
  readonly parts: readonly string[];
  readonly query: URLSearchParams;
}

export function read(hash = location.hash): Place {
  const [path = "", query = ""] = hash.replace(/^#/, "").split("?", 2);
  const parts = path.split("/").filter((part) => part !== "");
  return { parts: parts.map(decode), query: new URLSearchParams(query) };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export function usePlace(): Place {
  const [place, setPlace] = useState(() => read());
  useEffect(() => {
    const hear = () => setPlace(read());
    addEventListener("hashchange", hear);
    return () => removeEventListener("hashchange", hear);
  }, []);
  return place;
}

export function link(...parts: readonly string[]): string {
  return `#/${parts.map(encodeURIComponent).join("/")}`;
}

/** The same page with other parameters; typing in a box is no step to go back over. */
export function setQuery(changes: { readonly [name: string]: string }): void {
  const { parts, query } = read();
  for (const [name, value] of Object.entries(changes)) {
    if (value === "") query.delete(name);
    else query.set(name, value);
  }
  const text = query.toString();
  history.replaceState(null, "", `${link(...parts)}${text === "" ? "" : `?${text}`}`);
  dispatchEvent(new HashChangeEvent("hashchange"));
}
