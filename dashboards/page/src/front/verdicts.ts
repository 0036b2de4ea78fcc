/** What a confirmation allows to claim: one row per comparison of a candidate with a rival. */

interface Spread {
  mean: number | null;
  std: number | null;
}

interface Entrant {
  name: string;
  kind: string;
  trial: number | null;
  test: Spread;
}

interface Comparison {
  rival: Entrant;
  kind: string;
  difference: { mean: number; low: number; high: number; confidence: number } | null;
}

interface Bin {
  candidate: Entrant | null;
  comparisons: Comparison[];
  p_holm: number | null;
  outcome: string;
  why: string | null;
  above: number | null;
  up_to: number | null;
}

/** The confirmation of a front document, as `runs/README.md` describes it. */
export interface Confirmation {
  bins: Bin[];
  cost: string | null;
  seeds_a: unknown[];
  seeds_b: unknown[];
  recipe_hash: string;
  data: string;
  distillation: boolean;
  left_out: { name: string; reason: string }[];
  recipes: { complete: number; kendall_w: number | null } | null;
}

export interface VerdictRow {
  key: string;
  range: string;
  candidate: string;
  trial: number | null;
  candidateError: string;
  rival: string;
  rivalKind: string;
  rivalError: string;
  difference: string;
  p: string;
  verdict: string;
}

const hundred = (value: number): string => (100 * value).toFixed(2);
const signed = (value: number): string => `${value < 0 ? "−" : "+"}${hundred(Math.abs(value))}`;

export function errorText(spread: Spread | undefined): string {
  if (!spread || spread.mean === null) return "-";
  return spread.std === null ? `${hundred(spread.mean)} %` : `${hundred(spread.mean)} ± ${hundred(spread.std)} %`;
}

export function rangeText(bin: Pick<Bin, "above" | "up_to">): string {
  if (bin.up_to !== null) return `up to ${Number(bin.up_to.toPrecision(4))}`;
  return bin.above === null ? "all" : `above ${Number(bin.above.toPrecision(4))}`;
}

function differenceText(comparison: Comparison): string {
  const found = comparison.difference;
  return found ? `${signed(found.mean)} (${signed(found.low)} to ${signed(found.high)})` : "-";
}

/** What a claim lacks, and who is better where the rival is. */
function verdictText(bin: Bin, comparison: Comparison | null): string {
  if (bin.outcome === "no claim") return bin.why ?? bin.outcome;
  return comparison?.difference && comparison.difference.low > 0 ? `${bin.outcome}: the rival is better` : bin.outcome;
}

/** The verdicts of a confirmation; nothing where none was judged. */
export function verdictRows(found: Confirmation | null): VerdictRow[] {
  return (found?.bins ?? []).flatMap((bin, place) => {
    const head = {
      range: rangeText(bin),
      candidate: bin.candidate?.name ?? "-",
      trial: bin.candidate?.trial ?? null,
      candidateError: errorText(bin.candidate?.test),
      p: bin.p_holm === null ? "-" : bin.p_holm.toFixed(3),
    };
    const against = (comparison: Comparison | null, index: number): VerdictRow => ({
      ...head,
      key: `${place}-${index}`,
      rival: comparison?.rival.name ?? "-",
      rivalKind: comparison ? comparison.kind.replaceAll("_", "-") : "-",
      rivalError: errorText(comparison?.rival.test),
      difference: comparison ? differenceText(comparison) : "-",
      verdict: verdictText(bin, comparison),
    });
    return bin.comparisons.length ? bin.comparisons.map(against) : [against(null, 0)];
  });
}

/** How the confirmation was done, in a sentence or two. */
export function confirmationText(found: Confirmation): string {
  const seeds = `Seeds A (${found.seeds_a.length}) chose on validation images, seeds B (${found.seeds_b.length}) judge on test images`;
  const how = `recipe ${found.recipe_hash}, data ${found.data.slice(0, 12)}, distillation ${found.distillation ? "on" : "off"}`;
  const ranks = found.recipes && found.recipes.kendall_w !== null ? ` Ranks over ${found.recipes.complete} recipes, on validation: Kendall's W ${found.recipes.kendall_w.toFixed(2)}.` : "";
  return `${seeds}; ${how}. Ranges along ${found.cost ?? "nothing"}. Points that are not named here have no test error.${ranks}`;
}
