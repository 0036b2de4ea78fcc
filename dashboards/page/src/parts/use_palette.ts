import { useEffect, useState } from "preact/hooks";
import { type Palette, palette } from "./palette";

/** The colours in force, for what is drawn outside of a chart; it is drawn anew when the theme changes. */
export function usePalette(): Palette {
  const [colours, setColours] = useState(palette);
  useEffect(() => {
    const update = (): void => setColours(palette());
    const system = matchMedia("(prefers-color-scheme: dark)");
    addEventListener("nas-theme", update);
    system.addEventListener("change", update);
    return () => {
      removeEventListener("nas-theme", update);
      system.removeEventListener("change", update);
    };
  }, []);
  return colours;
}
