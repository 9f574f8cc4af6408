import { useState } from "preact/hooks";
import { Icon } from "./icons.tsx";

type Theme = "auto" | "light" | "dark";

const NEXT: { readonly [theme in Theme]: Theme } = { auto: "light", light: "dark", dark: "auto" };

function chosen(): Theme {
  try {
    const found = localStorage.getItem("waybill-theme");
    return found === "light" || found === "dark" ? found : "auto";
  } catch {
    return "auto";
  }
}

export function applyTheme(theme = chosen()): void {
  document.documentElement.dataset["theme"] = theme;
}

export function ThemeButton() {
  const [theme, setTheme] = useState(chosen);
  const change = () => {
    const next = NEXT[theme];
    try {
      localStorage.setItem("waybill-theme", next);
    } catch {
      // Without a place to keep it, it holds until the page is left.
    }
    applyTheme(next);
    setTheme(next);
  };
  return (
    <button type="button" class="quiet" onClick={change}>
      <Icon name={theme} />
      Theme: {theme}
    </button>
  );
}
