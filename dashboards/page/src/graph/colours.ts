import { useEffect, useState } from "preact/hooks";
import { type Palette, palette } from "../parts/palette";

/** The colours in force; drawings that carry them are made again when the theme changes. */
export function usePalette(): Palette {
  const [colours, setColours] = useState<Palette>(palette);
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
