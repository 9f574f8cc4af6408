import { useEffect, useRef, useState } from "preact/hooks";

/** The API beside this page, whatever path both are served under. */
export const API = `${location.pathname.replace(/\/dashboard(?:\/.*)?$/, "")}/api/`;

export class ApiError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const needLogin = new Set<() => void>();

/** Called when the API asks for a login. */
export function onLoginNeeded(hear: () => void): () => void {
  needLogin.add(hear);
  return () => void needLogin.delete(hear);
}

export async function get(path: string, signal?: AbortSignal): Promise<Response> {
  const response = await fetch(API + path, {
    headers: { accept: "application/json" },
    ...(signal && { signal }),
  });
  if (response.ok) return response;
  if (response.status === 401) for (const hear of needLogin) hear();
  throw new ApiError(response.status, await reasonOf(response));
}

export async function getJson<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await (await get(path, signal)).json()) as T;
}

export async function post(path: string, body: unknown): Promise<void> {
  const response = await fetch(API + path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new ApiError(response.status, await reasonOf(response));
}

async function reasonOf(response: Response): Promise<string> {
  const text = await response.text().catch(() => "");
  try {
    return (JSON.parse(text) as { message: string }).message;
  } catch {
    return `${response.status} ${response.statusText}`;
  }
}

export interface Loaded<T> {
  readonly data: T | undefined;
  readonly error: Error | undefined;
}

/** What the API answers, asked again after every configuration and every so many milliseconds. */
export function useApi<T>(path: string | undefined, everyMs = 10_000): Loaded<T> {
  return useLoad(path, (signal) => getJson<T>(path!, signal), everyMs);
}

/** The same for several questions at once; `key` says when they are others. */
export function useLoad<T>(
  key: string | undefined,
  load: (signal: AbortSignal) => Promise<T>,
  everyMs = 10_000,
): Loaded<T> {
  const [state, setState] = useState<Loaded<T> & { key: string | undefined }>({
    key,
    data: undefined,
    error: undefined,
  });
  const version = useConfigurationVersion();
  const latest = useRef(load);
  latest.current = load;
  useEffect(() => {
    if (key === undefined) return;
    const aborter = new AbortController();
    const ask = () =>
      latest
        .current(aborter.signal)
        .then((data) => setState({ key, data, error: undefined }))
        .catch((error: Error) => {
          if (!aborter.signal.aborted)
            setState((now) => ({ key, data: now.key === key ? now.data : undefined, error }));
        });
    void ask();
    const timer = setInterval(() => document.hidden || void ask(), everyMs);
    return () => {
      clearInterval(timer);
      aborter.abort();
    };
  }, [key, everyMs, version]);
  return state.key === key ? state : { data: undefined, error: undefined };
}

// --- One stream of events for the whole page.

let version = 0;
let isConnected = true;
let source: EventSource | undefined;
const hearers = new Set<() => void>();

export function startEvents(): void {
  source?.close();
  source = new EventSource(`${API}events`);
  const tell = () => {
    for (const hear of hearers) hear();
  };
  source.addEventListener("configuration", (event) => {
    // Reports of the same snapshot share its version, and may still tell of other containers and problems.
    version = (JSON.parse(event.data as string) as { madeAtMs: number }).madeAtMs;
    isConnected = true;
    tell();
  });
  source.addEventListener("open", () => {
    isConnected = true;
    tell();
  });
  source.addEventListener("error", () => {
    isConnected = false;
    tell();
  });
}

function useHearing<T>(read: () => T): T {
  const [value, setValue] = useState(read);
  useEffect(() => {
    const hear = () => setValue(read());
    hearers.add(hear);
    hear();
    return () => void hearers.delete(hear);
  }, []);
  return value;
}

export const useConfigurationVersion = () => useHearing(() => version);
export const useConnected = () => useHearing(() => isConnected);
