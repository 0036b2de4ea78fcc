import type { SpaceDocument } from "../documents";
import { type Domain, domainOf } from "../parts/marks";

export type Choice = SpaceDocument["choices"][number];
export type Effect = Choice["effects"][number];

export interface OptionRow {
  option: string;
  count: number;
  onFront: number;
  effect: Effect;
}

export function optionRows(choice: Choice): OptionRow[] {
  return choice.options.map((option, place) => ({
    option,
    count: choice.counts[place] ?? 0,
    onFront: choice.on_front[place] ?? 0,
    effect: choice.effects[place] ?? null,
  }));
}

/** Lines of all trials, whatever they pass. */
export const ALL = "all";

/**
 * Trials whose line passes an option, written as "axis option", and that are among the given ones; null
 * where that is all of them.
 */
export function keptTrials(document: SpaceDocument, through: string, among: ReadonlySet<number> | null): ReadonlySet<number> | null {
  if (through === ALL) return among;
  const [axis = 0, option = 0] = through.split(" ").map(Number);
  const { trials, rows } = document.parallel;
  return new Set(trials.filter((trial, place) => rows[place]?.[axis] === option && (among === null || among.has(trial))));
}

/** A whole number as text, in powers of ten where its digits say nothing. */
export function size(digits: string): string {
  if (!/^\d+$/.test(digits)) return digits;
  if (digits.length <= 9) return Number(digits).toLocaleString("en");
  const raised = [...String(digits.length - 1)].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(digit)]).join("");
  return `${digits[0]}.${digits[1]} × 10${raised}`;
}

/** Whether the interval leaves zero out. */
export const toldApart = (effect: Effect): boolean => effect !== null && (effect.low > 0 || effect.high < 0);

/** One scale for all effects, with zero in its middle, so that choices can be compared by eye. */
export function effectDomain(choices: readonly Choice[]): Domain | null {
  const ends = choices.flatMap((choice) => choice.effects.flatMap((effect) => (effect === null ? [] : [Math.abs(effect.low), Math.abs(effect.high)])));
  if (ends.length === 0) return null;
  // Options taken twice have intervals that would press all others flat: nine tenths of the ends set the scale.
  ends.sort((first, second) => first - second);
  const reach = ends[Math.floor(0.9 * (ends.length - 1))] || domainOf(ends)?.high || 1;
  return { low: -reach, high: reach };
}

const largest = (choice: Choice): number => Math.max(0, ...choice.effects.map((effect) => Math.abs(effect?.mean ?? 0)));

/** How many half intervals the clearest effect lies from zero: above 1 it is told apart. */
const clearest = (choice: Choice): number =>
  Math.max(0, ...choice.effects.map((effect) => (effect === null || effect.high <= effect.low ? 0 : (2 * Math.abs(effect.mean)) / (effect.high - effect.low))));

export function ordered(choices: readonly Choice[], by: string): Choice[] {
  const names = new Intl.Collator("en", { numeric: true });
  const compare: Record<string, (first: Choice, second: Choice) => number> = {
    clearest: (first, second) => clearest(second) - clearest(first),
    importance: (first, second) => (second.importance ?? -1) - (first.importance ?? -1),
    effect: (first, second) => largest(second) - largest(first),
    name: () => 0,
  };
  return [...choices].sort((first, second) => compare[by]?.(first, second) || names.compare(first.name, second.name));
}
