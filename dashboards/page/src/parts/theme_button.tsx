import { useEffect, useState } from "preact/hooks";

type Theme = "auto" | "light" | "dark";
const NEXT: Record<Theme, Theme> = { auto: "light", light: "dark", dark: "auto" };
const KEY = "nas-theme";

function remembered(): Theme {
  try {
    const found = localStorage.getItem(KEY);
    return found === "light" || found === "dark" ? found : "auto";
  } catch {
    return "auto"; // a browser may forbid storage, as some do for files
  }
}

/** Light, dark, or as the system says. Charts hear of a change by the event "nas-theme". */
export function ThemeButton() {
  const [theme, setTheme] = useState<Theme>(remembered);
  useEffect(() => {
    document.documentElement.dataset["theme"] = theme;
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // The choice then lasts as long as the page.
    }
    dispatchEvent(new Event("nas-theme"));
  }, [theme]);
  return (
    <button type="button" class="theme" onClick={() => setTheme(NEXT[theme])} aria-label={`Colours: ${theme}; change`}>
      {theme === "auto" ? "◐" : theme === "light" ? "○" : "●"}
    </button>
  );
}
