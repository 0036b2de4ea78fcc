import type { ComponentChildren } from "preact";
import { useMemo, useRef, useState } from "preact/hooks";
import { Scroll } from "./scroll";
import { clicked, type Order, sorted, type SortValue } from "./sorting";

export interface Column<Row> {
  key: string;
  title: string;
  cell: (row: Row) => ComponentChildren;
  /** What the column is sorted by; without it the column cannot be sorted. */
  sort?: (row: Row) => SortValue;
  /** The first click sorts from large to small. */
  descending?: boolean;
  number?: boolean;
  /** No wider than its text: another column takes the room. */
  narrow?: boolean;
  /** The title is not shown: marks beside numbers explain themselves to who sees them. */
  quiet?: boolean;
  /** Left out below 700 pixels: its content stands elsewhere too. */
  wide?: boolean;
  /** What the column means, as a tooltip of its head. */
  help?: string;
}

export interface TableProperties<Row> {
  /** Names the table for those who cannot see it; shown above it with `showCaption`. */
  caption: string;
  showCaption?: boolean;
  columns: Column<Row>[];
  rows: readonly Row[];
  rowKey: (row: Row) => string | number;
  order?: Order;
  /** Rows shown before "show more". */
  limit?: number;
  /** Below 700 pixels every row becomes a card with the columns' titles beside the values. */
  stack?: boolean;
  /** Rows can be selected: by click, and by arrows, Home and End once a row has the focus. */
  onSelect?: (row: Row) => void;
  selected?: string | number | null;
  /** Called by Enter or a double click on a row. */
  onOpen?: (row: Row) => void;
  rowClass?: (row: Row) => string | undefined;
  /** Attributes by which a row is found, such as `data-trial`. */
  rowData?: (row: Row) => Record<`data-${string}`, string | number>;
}

/** A table whose columns sort and whose rows can be reached by keyboard. */
export function Table<Row>(properties: TableProperties<Row>) {
  const { caption, columns, rows, rowKey, limit = 100, onSelect, onOpen, selected } = properties;
  const [order, setOrder] = useState<Order | null>(properties.order ?? null);
  const [shown, setShown] = useState(limit);
  const body = useRef<HTMLTableSectionElement>(null);
  // Rows that are shown as cards are still rows of a table for those who listen.
  const stacked = properties.stack ? true : undefined;
  const reachable = onSelect !== undefined || onOpen !== undefined;
  const ordered = useMemo(() => {
    const by = columns.find((column) => column.key === order?.key)?.sort;
    return by && order ? sorted(rows, by, order.descending) : rows;
  }, [rows, columns, order]);
  const visible = ordered.slice(0, shown);
  const selectedHere = visible.some((row) => rowKey(row) === selected);

  const move = (event: KeyboardEvent, row: Row, place: number): void => {
    if (event.target !== event.currentTarget) return;
    if (event.key === "Enter" && onOpen) onOpen(row);
    else {
      const next = { ArrowDown: place + 1, ArrowUp: place - 1, Home: 0, End: visible.length - 1 }[event.key];
      const target = next === undefined ? undefined : visible[next];
      if (next === undefined || target === undefined) return;
      onSelect?.(target);
      (body.current?.rows[next] as HTMLElement | undefined)?.focus();
    }
    event.preventDefault();
  };

  return (
    <Scroll label={caption}>
      <table class={properties.stack ? "stack" : undefined} role={reachable ? "grid" : stacked && "table"} aria-label={properties.showCaption ? undefined : caption}>
        {properties.showCaption && <caption>{caption}</caption>}
        <thead>
          <tr>
            {columns.map((column) => (
              <Head key={column.key} column={column} order={order} onOrder={setOrder} />
            ))}
          </tr>
        </thead>
        <tbody ref={body}>
          {visible.map((row, place) => (
            <tr
              key={rowKey(row)}
              {...properties.rowData?.(row)}
              class={properties.rowClass?.(row)}
              role={stacked && "row"}
              tabIndex={reachable ? (rowKey(row) === selected || (!selectedHere && place === 0) ? 0 : -1) : undefined}
              aria-selected={onSelect ? rowKey(row) === selected : undefined}
              onClick={onSelect && (() => onSelect(row))}
              onDblClick={onOpen && (() => onOpen(row))}
              onKeyDown={reachable ? (event) => move(event, row, place) : undefined}
            >
              {columns.map((column) => (
                <td key={column.key} class={classOf(column)} data-label={column.title} role={stacked && "cell"}>
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {ordered.length > shown && (
        <p class="more">
          <button type="button" onClick={() => setShown(shown + 5 * limit)}>
            Show more
          </button>{" "}
          <span class="soft">
            {shown} of {ordered.length.toLocaleString("en")} rows
          </span>
        </p>
      )}
    </Scroll>
  );
}

const classOf = <Row,>(column: Column<Row>): string | undefined => [column.number && "number", column.narrow && "narrow", column.wide && "wide"].filter(Boolean).join(" ") || undefined;

interface HeadProperties<Row> {
  column: Column<Row>;
  order: Order | null;
  onOrder: (order: Order) => void;
}

function Head<Row>({ column, order, onOrder }: HeadProperties<Row>) {
  const direction = order?.key !== column.key ? undefined : order.descending ? "descending" : "ascending";
  return (
    <th scope="col" class={classOf(column)} aria-sort={direction} title={column.help}>
      {column.sort ? (
        <button type="button" class="sort" onClick={() => onOrder(clicked(order, column.key, column.descending ?? false))}>
          {column.title}
          <span class="arrow" aria-hidden="true">
            {direction === undefined ? "" : direction === "ascending" ? "▲" : "▼"}
          </span>
        </button>
      ) : (
        <span class={column.quiet ? "hidden" : undefined}>{column.title}</span>
      )}
    </th>
  );
}
