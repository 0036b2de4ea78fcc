// @vitest-environment jsdom
import { render } from "preact";
import { act } from "preact/test-utils";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Column, Table } from "../src/parts/table";

interface Row {
  name: string;
  size: number | null;
}
const ROWS: Row[] = [
  { name: "<b>b</b>", size: 2 },
  { name: "a", size: null },
  { name: "c", size: 10 },
];
const COLUMNS: Column<Row>[] = [
  { key: "name", title: "Name", sort: (row) => row.name, cell: (row) => row.name },
  { key: "size", title: "Size", sort: (row) => row.size, descending: true, number: true, cell: (row) => row.size },
];

let place: HTMLElement;
beforeEach(() => {
  place = document.body.appendChild(document.createElement("div"));
});
afterEach(() => {
  act(() => render(null, place));
  place.remove();
});

const names = (): string[] => [...place.querySelectorAll("tbody tr")].map((row) => row.querySelector("td")?.textContent ?? "");
const press = (key: string): void => {
  act(() => {
    document.activeElement?.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  });
};

test("a click on a column's title sorts, a second one turns round, and the state is told", () => {
  act(() => render(<Table caption="Things" columns={COLUMNS} rows={ROWS} rowKey={(row) => row.name} />, place));
  const [, size] = place.querySelectorAll<HTMLElement>("th");
  const button = size?.querySelector("button");
  act(() => button?.click());
  expect(names()).toEqual(["c", "<b>b</b>", "a"]);
  expect(size?.getAttribute("aria-sort")).toBe("descending");
  act(() => button?.click());
  expect(names()).toEqual(["<b>b</b>", "c", "a"]);
  expect(size?.getAttribute("aria-sort")).toBe("ascending");
});

test("a name that looks like markup stays text", () => {
  act(() => render(<Table caption="Things" columns={COLUMNS} rows={ROWS} rowKey={(row) => row.name} />, place));
  expect(place.querySelector("b")).toBeNull();
  expect(names()).toContain("<b>b</b>");
});

test("arrows select rows and Enter opens one, without a mouse", () => {
  const selected: string[] = [];
  const opened: string[] = [];
  const table = (): preact.JSX.Element => (
    <Table
      caption="Things"
      columns={COLUMNS}
      rows={ROWS}
      rowKey={(row) => row.name}
      selected={selected.at(-1) ?? null}
      onSelect={(row) => selected.push(row.name)}
      onOpen={(row) => opened.push(row.name)}
    />
  );
  act(() => render(table(), place));
  expect(place.querySelectorAll("tr[tabindex='0']")).toHaveLength(1);
  place.querySelector<HTMLElement>("tbody tr")?.focus();
  for (const key of ["ArrowDown", "End", "Enter", "ArrowUp"]) press(key);
  expect(selected).toEqual(["a", "c", "a"]);
  expect(opened).toEqual(["c"]);
});

test("long tables begin short and tell how much is left", () => {
  act(() => render(<Table caption="Things" columns={COLUMNS} rows={ROWS} rowKey={(row) => row.name} limit={2} />, place));
  expect(names()).toHaveLength(2);
  expect(place.textContent).toContain("2 of 3 rows");
  act(() => place.querySelector<HTMLElement>(".more button")?.click());
  expect(names()).toHaveLength(3);
});
