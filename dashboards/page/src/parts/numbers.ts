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

/** A time of the record (UTC, ISO 8601) to the minute. */
export const moment = (time: string): string => {
  const found = new Date(time);
  return Number.isNaN(found.getTime()) ? time : `${found.toISOString().slice(0, 16).replace("T", " ")} UTC`;
};

/** Memory given in MB of 10^6 bytes. */
export const megabytes = (value: number | null | undefined): string =>
  value === null || value === undefined ? "-" : value >= 10_000 ? `${number(value / 1000, 3)} GB` : `${number(value, 3)} MB`;
