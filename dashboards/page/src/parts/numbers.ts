export const number = (value: number | null | undefined, digits = 4): string =>
  value === null || value === undefined ? "-" : Number.isInteger(value) ? value.toLocaleString("en") : Number(value.toPrecision(digits)).toString();

export const percent = (value: number | null | undefined, digits = 2): string =>
  value === null || value === undefined ? "-" : `${(100 * value).toFixed(digits)} %`;

export const withBar = (value: number | null | undefined, bar: number | null | undefined): string =>
  bar === null || bar === undefined ? number(value) : `${number(value)} ± ${number(bar, 2)}`;

export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined) return "-";
  if (seconds < 90) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}
