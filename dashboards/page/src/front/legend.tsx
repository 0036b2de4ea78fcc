import { familyStyle } from "../parts/palette";
import { BASELINE_SYMBOLS, type Drawn, runColour } from "./option";
import { titleOf, valueText } from "./quantities";
import type { FrontState } from "./state";
import { ShapeSymbol } from "./symbol";
import type { Change } from "./use_state";
import { usePalette } from "../parts/use_palette";

interface LegendProperties {
  drawn: Drawn;
  state: FrontState;
  change: Change;
}

/** What colours, shapes and lines mean; a family's button hides and shows it. */
export function Legend({ drawn, state, change }: LegendProperties) {
  const colours = usePalette();
  const { rows, scene, overlay } = drawn;
  const counts = familyCounts(drawn);
  const present = rows.families.filter((family) => counts.has(family));
  const toggle = (family: string): void =>
    change({ hidden: state.hidden.includes(family) ? state.hidden.filter((each) => each !== family) : [...state.hidden, family] });
  return (
    <div class="front-legend">
      {present.length > 0 && (
        <div role="group" aria-label="Wiring families; press to hide">
          {present.map((family) => {
            const style = familyStyle(family, rows.families, colours);
            const colour = overlay.fronts.length ? colours.soft : style.colour;
            return (
              <button key={family} type="button" class="family" data-family={family} aria-pressed={!state.hidden.includes(family)} onClick={() => toggle(family)}>
                <ShapeSymbol symbol={style.symbol} colour={colour} />
                {family} <span class="soft">{counts.get(family)}</span>
              </button>
            );
          })}
        </div>
      )}
      <p class="front-signs">
        {overlay.fronts.length > 0 && <RunSigns drawn={drawn} />}
        {signs(drawn).map(([symbol, text]) => (
          <span key={text}>
            {symbol !== "" && <ShapeSymbol symbol={symbol} colour={symbol.startsWith("empty") || symbol.startsWith("path") ? colours.ink : colours.soft} />} {text}
          </span>
        ))}
        {scene.sizeEnds && drawn.size && (
          <span>
            larger marks: more {titleOf(drawn.size)}, {valueText(drawn.size.name, scene.sizeEnds[0], 3)} to {valueText(drawn.size.name, scene.sizeEnds[1], 3)}
          </span>
        )}
        {scene.beyond > 0 && <span>
            {scene.beyond.toLocaleString("en")} far worse {scene.beyond === 1 ? "trial lies" : "trials lie"} beyond the axes
          </span>}
      </p>
    </div>
  );
}

function RunSigns({ drawn }: { drawn: Drawn }) {
  const colours = usePalette();
  return (
    <>
      <span>
        <ShapeSymbol symbol="circle" colour={runColour(colours, 0)} /> {drawn.run}
      </span>
      {drawn.overlay.fronts.map((front, place) => (
        <span key={front.run} data-run={front.run}>
          <ShapeSymbol symbol="emptyDiamond" colour={runColour(colours, place + 1)} /> {front.run}
        </span>
      ))}
      {drawn.overlay.bands && <span>shaded: attained by some of the runs, dotted: by half of them</span>}
    </>
  );
}

/** Signs that are on the chart now. */
function signs({ scene, limits, overlay }: Drawn): [string, string][] {
  const kinds = new Set(scene.marks.map((mark) => mark.kind));
  const clouds = new Set(scene.clouds.map((cloud) => cloud.tone));
  const bars = scene.marks.some((mark) => mark.x.low !== null || mark.y.low !== null);
  const all: [boolean, string, string][] = [
    [kinds.has("front"), "", "large: on the front, the fuller the surer"],
    [kinds.has("near"), "", "thin outline: may be on it as well"],
    [kinds.has("retrained"), "emptyCircle", "retrained, on test images"],
    [kinds.has("hand_made"), BASELINE_SYMBOLS["hand_made"] as string, "hand-made"],
    [kinds.has("random"), BASELINE_SYMBOLS["random"] as string, "random"],
    [clouds.has("infeasible"), "circle", "small and grey: breaks a constraint of the run"],
    [clouds.has("out") || scene.marks.some((mark) => mark.out), "", "faint: over a limit"],
    [bars, "", "bars: 95 %"],
    [limits.some((each) => each.own), "", "dotted: a constraint of the run"],
    [scene.familyLines.length > 1 && overlay.fronts.length === 0, "", "thin lines: the front of each family"],
  ];
  return all.filter(([is]) => is).map(([, symbol, text]) => [symbol, text]);
}

function familyCounts({ rows }: Drawn): Map<string, number> {
  const counts = new Map<string, number>();
  for (const family of rows.family) if (family !== null) counts.set(family, (counts.get(family) ?? 0) + 1);
  return counts;
}
