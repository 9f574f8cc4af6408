import { useEffect, useState } from "preact/hooks";
import type { ProblemShape } from "../admin/shapes.ts";
import { getJson, onLoginNeeded, post, startEvents, useApi, useConnected } from "./data.ts";
import { Icon, type IconName } from "./icons.tsx";
import { LoginPage } from "./login.tsx";
import { CertificatePage, CertificatesPage } from "./pages/certificates.tsx";
import { ContainersPage } from "./pages/containers.tsx";
import { ExplainPage } from "./pages/explain.tsx";
import { MiddlewarePage, MiddlewaresPage } from "./pages/middlewares.tsx";
import { OverviewPage } from "./pages/overview.tsx";
import { ProblemsPage } from "./pages/problems.tsx";
import { RequestsPage } from "./pages/requests.tsx";
import { RouterPage, RoutersPage } from "./pages/routers.tsx";
import { ServicePage, ServicesPage } from "./pages/services.tsx";
import { SettingsPage } from "./pages/settings.tsx";
import { Empty, Page, Text } from "./parts.tsx";
import { link, type Place, usePlace } from "./route.ts";
import { ThemeButton } from "./theme.tsx";
import type { Version } from "./types.ts";

const MENU: readonly (readonly [
  group: string,
  entries: readonly (readonly [path: string, title: string])[],
])[] = [
  [
    "Now",
    [
      ["overview", "Overview"],
      ["requests", "Live requests"],
      ["explain", "Explain a URL"],
      ["problems", "Problems"],
    ],
  ],
  [
    "Routing",
    [
      ["routers", "Routers"],
      ["middlewares", "Middlewares"],
      ["services", "Services"],
      ["containers", "Containers"],
    ],
  ],
  [
    "Proxy",
    [
      ["certificates", "Certificates"],
      ["settings", "Settings"],
    ],
  ],
];

interface LoginState {
  readonly asksFor: "token" | "password" | "nothing";
  readonly isIn: boolean;
}

export function App() {
  const [login, setLogin] = useState<LoginState>();
  const ask = () =>
    void getJson<LoginState>("login").then(setLogin, () => setLogin({ asksFor: "nothing", isIn: true }));
  useEffect(() => {
    ask();
    return onLoginNeeded(ask);
  }, []);
  const isIn = login?.isIn === true;
  useEffect(() => {
    if (isIn) startEvents();
  }, [isIn]);
  if (login === undefined) return <div class="waiting" role="status" aria-label="Loading" />;
  if (!isIn) return <LoginPage asksFor={login.asksFor} done={ask} />;
  return (
    <Shell canLeave={login.asksFor !== "nothing"} leave={() => void post("logout", {}).then(ask, ask)} />
  );
}

function Shell({ canLeave, leave }: { readonly canLeave: boolean; readonly leave: () => void }) {
  const place = usePlace();
  const [isOpen, setOpen] = useState(false);
  const { data: version } = useApi<Version>("version", 60_000);
  useEffect(() => setOpen(false), [place]);
  useEffect(() => {
    const hear = (event: KeyboardEvent) => event.key === "Escape" && setOpen(false);
    addEventListener("keydown", hear);
    return () => removeEventListener("keydown", hear);
  }, []);
  return (
    <div class="shell">
      <button type="button" class="skip" onClick={skip}>
        Skip to the content
      </button>
      <header class="bar">
        <a class="brand" href={link()}>
          <svg viewBox="0 0 32 32" aria-hidden="true">
            <path d="M4 9l6 14 6-13 6 13 6-14" />
          </svg>
          <span>{version?.dashboardName ? <Text of={version.dashboardName} most={40} /> : "Waybill"}</span>
        </a>
        <button
          type="button"
          class="quiet narrow-only"
          aria-expanded={isOpen}
          aria-controls="menu"
          onClick={() => setOpen(!isOpen)}
        >
          <Icon name="menu" />
          <span class="hidden-text">Menu</span>
        </button>
      </header>
      <nav id="menu" class={isOpen ? "menu open" : "menu"} aria-label="Pages">
        {MENU.map(([title, entries]) => (
          <div key={title} class="menu-group">
            <p>{title}</p>
            <ul>
              {entries.map(([path, words]) => (
                <MenuEntry
                  key={path}
                  path={path}
                  title={words}
                  isHere={(place.parts[0] ?? "overview") === path}
                />
              ))}
            </ul>
          </div>
        ))}
        <div class="menu-foot">
          <ThemeButton />
          {canLeave && (
            <button type="button" class="quiet" onClick={leave}>
              <Icon name="arrow" /> Log out
            </button>
          )}
          {version && <p class="faint">Version {version.Version}</p>}
        </div>
      </nav>
      <main id="main" tabIndex={-1}>
        <Connection />
        <Content place={place} />
      </main>
    </div>
  );
}

/** Not a link: the address says where we are. */
function skip(): void {
  document.querySelector<HTMLElement>("#main")?.focus();
}

function MenuEntry({
  path,
  title,
  isHere,
}: {
  readonly path: string;
  readonly title: string;
  readonly isHere: boolean;
}) {
  return (
    <li>
      <a href={link(path)} aria-current={isHere ? "page" : undefined}>
        <Icon name={path as IconName} />
        {title}
        {path === "problems" && <ProblemCount />}
      </a>
    </li>
  );
}

function ProblemCount() {
  const { data } = useApi<readonly ProblemShape[]>("problems", 60_000);
  if (data === undefined || data.length === 0) return null;
  return (
    <span class="count">
      {data.length}
      <span class="hidden-text"> to mend</span>
    </span>
  );
}

function Connection() {
  const isConnected = useConnected();
  if (isConnected) return null;
  return (
    <p class="banner" role="status">
      Waybill does not answer. What is shown may be old; the page goes on trying.
    </p>
  );
}

function Content({ place: { parts } }: { readonly place: Place }) {
  const [page = "overview", name] = parts;
  switch (page) {
    case "overview":
      return <OverviewPage />;
    case "requests":
      return <RequestsPage />;
    case "explain":
      return <ExplainPage />;
    case "problems":
      return <ProblemsPage />;
    case "routers":
      return name === undefined ? <RoutersPage /> : <RouterPage key={name} name={name} />;
    case "services":
      return name === undefined ? <ServicesPage /> : <ServicePage key={name} name={name} />;
    case "middlewares":
      return name === undefined ? <MiddlewaresPage /> : <MiddlewarePage key={name} name={name} />;
    case "containers":
      return <ContainersPage />;
    case "certificates":
      return name === undefined ? <CertificatesPage /> : <CertificatePage key={name} name={name} />;
    case "settings":
      return <SettingsPage />;
    default:
      return (
        <Page title="Nothing here">
          <Empty title="There is no such page">The menu leads to those there are.</Empty>
        </Page>
      );
  }
}
