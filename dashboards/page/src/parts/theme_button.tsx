import { useEffect, useState } from "preact/hooks";

type Theme = "auto" | "light" | "dark";
const NEXT: Record<Theme, Theme> = { auto: "light", light: "dark", dark: "auto" };
const SIGN: Record<Theme, string> = { auto: "◐", light: "○", dark: "●" };
const KEY = "nas-theme";

function remembered(): Theme {
  try {
    const found = localStorage.getItem(KEY);
    return found === "light" || found === "dark" ? found : "auto";
  } catch {
    return "auto"; // a browser may forbid storage, as some do for files
  }
}

/** Light, dark, or as the system says, and how to go on to the next. Charts hear of it by "nas-theme". */
export function useTheme(): [Theme, () => void] {
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
  return [theme, () => setTheme((old) => NEXT[old])];
}

export function ThemeButton({ theme, onNext }: { theme: Theme; onNext: () => void }) {
  const told = theme === "auto" ? "as the system says" : theme;
  return (
    <button type="button" onClick={onNext} aria-label={`Colours: ${told}; change`} title={`Colours: ${told}`}>
      <span aria-hidden="true">{SIGN[theme]}</span>
    </button>
  );
}
