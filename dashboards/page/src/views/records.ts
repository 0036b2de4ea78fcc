/** Reading of free records: nested objects as pairs, and the ledger's rows. */

/** Leaves of a record as pairs of a dotted name and text; empty values are left out. */
export function flattened(record: unknown, prefix = ""): [string, string][] {
  if (record === null || record === undefined || record === "") return [];
  if (Array.isArray(record) && record.every((each) => typeof each !== "object" || each === null)) return record.length ? [[prefix, record.join(", ")]] : [];
  if (typeof record !== "object") return [[prefix, String(record)]];
  return Object.entries(record).flatMap(([name, value]) => flattened(value, prefix ? `${prefix}.${name}` : name));
}

/** A name of a field as words. */
export const spaced = (name: string): string => name.replace(/_/g, " ").replace(/\./g, " · ");

export interface LedgerRow {
  part: string;
  jobs: number | null;
  device: number | null;
  wall: number | null;
  unknown: number | null;
}

export interface Ledger {
  rows: LedgerRow[];
  facts: [string, string | number][];
}

const numberOf = (value: unknown): number | null => (typeof value === "number" ? value : null);

export function ledgerRows(ledger: Record<string, unknown>): Ledger {
  const given = Array.isArray(ledger["rows"]) ? (ledger["rows"] as Record<string, unknown>[]) : [];
  const rows = given.map((row) => ({
    part: String(row["part"]),
    jobs: numberOf(row["jobs"]),
    device: numberOf(row["device_s"]),
    wall: numberOf(row["wall_s"]),
    unknown: numberOf(row["unknown"]),
  }));
  const facts = Object.entries(ledger).filter(
    (pair): pair is [string, string | number] => pair[0] !== "unit" && (typeof pair[1] === "number" || typeof pair[1] === "string"),
  );
  return { rows, facts };
}
