import { useState } from "preact/hooks";
import { Table, type TableProperties } from "./table";

/** What a chart shows as a table that opens: for those who cannot see the chart, or want its numbers. */
export function AsTable<Row>(properties: TableProperties<Row>) {
  const [open, setOpen] = useState(false);
  return (
    <details class="as-table" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>The same as a table</summary>
      {open && <Table {...properties} />}
    </details>
  );
}
