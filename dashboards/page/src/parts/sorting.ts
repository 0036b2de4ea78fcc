export type SortValue = number | string | boolean | null | undefined;
export interface Order {
  key: string;
  descending: boolean;
}

const unknown = (value: SortValue): boolean => value === null || value === undefined || (typeof value === "number" && Number.isNaN(value));

/** Sorts a copy: numbers by size, text by language with its digits as numbers, unknown always last. */
export function sorted<Row>(rows: readonly Row[], of: (row: Row) => SortValue, descending: boolean): Row[] {
  const text = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
  const compare = (first: SortValue, second: SortValue): number => {
    if (unknown(first) || unknown(second)) return Number(unknown(first)) - Number(unknown(second));
    const found = typeof first === "string" || typeof second === "string" ? text.compare(String(first), String(second)) : Number(first) - Number(second);
    return descending ? -found : found;
  };
  return [...rows].sort((first, second) => compare(of(first), of(second)));
}

/** What a click on a column's head makes of the order: a first click sorts as the column likes it. */
export function clicked(order: Order | null, key: string, descendingFirst: boolean): Order {
  return order?.key === key ? { key, descending: !order.descending } : { key, descending: descendingFirst };
}
