"""The tables of docs/scaling.md, written from the recorded results: nobody copies a figure by hand.

    python benchmarks/scaling_parts/tables.py

`python benchmarks/scaling.py --record` does the same with what it measured. The sentences around
the tables are by hand: after a new record, read them again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

CHECKOUT: Final = Path(__file__).resolve().parents[2]
RESULTS: Final = CHECKOUT / "benchmarks" / "results" / "scaling.json"
PAGE: Final = CHECKOUT / "docs" / "scaling.md"

WORKERS: Final = (1, 4, 16, 64, 256, 1024)
"""Columns of the simulation; the results have more."""

_ORDERS: Final = {"deterministic": "batches of 16", "asynchronous": "no barrier"}
_PARTS: Final = {
    **{part: part for part in ("plan", "ask", "close")},
    "all_but_views": "all of it, with what is done once",
}

Results = Mapping[str, Any]


def driver_table(results: Results) -> str:
    """Return what a trial costs the driver: processor time and syncs."""
    sizes = results["driver"]
    rows = [
        [f"{told}: {name}", *(_cost(sizes[size][order][part]) for size in sizes)]
        for order, told in _ORDERS.items()
        for part, name in _PARTS.items()
    ]
    views = [each["deterministic"]["views_once"]["processor_ms"] / 1e3 for each in sizes.values()]
    rows.append(["the views, once", *(f"{seconds:.2f} s" for seconds in views)])
    return _table(["", *(f"after {int(size):,} trials" for size in sizes)], rows)


def _cost(found: Mapping[str, float]) -> str:
    return f"{found['processor_ms']:.1f} ms, {found['syncs']:.1f}"


def resuming_table(results: Results) -> str:
    """Return what resuming a run takes."""
    found = {size: each["resume"] for size, each in results["driver"].items()}
    rows = [
        [
            f"{int(size):,}",
            f"{told['imports_cpu_s'] + told['resume_cpu_s']:.1f} s",
            f"{told['imports_cpu_s']:.1f} s",
            f"{told['peak_mib'] / 1024:.1f} GiB",
        ]
        for size, told in found.items()
    ]
    heads = ["trials", "processor time", "of it imports", "memory at most"]
    return _table(heads, rows)


def simulated_table(results: Results) -> str:
    """Return the simulated searches by number of workers."""
    found = {(row["case"], row["workers"]): row for row in results["simulated"]}
    rows = [
        [case, *(_simulated(found[case, workers]) for workers in WORKERS)]
        for case in dict.fromkeys(case for case, _ in found)
    ]
    return _table(["search", *(f"{workers:,}" for workers in WORKERS)], rows)


def _simulated(row: Mapping[str, float]) -> str:
    return (
        f"{row['trials_per_s']:.3g} · {row['idle']:.0%} · {row['driver_busy']:.0%} · "
        f"{row['longest_queue']}"
    )


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def lines() -> Iterator[str]:
        yield f"| {' | '.join(heads)} |".replace("|  |", "| |")
        yield "|---" * len(heads) + "|"
        for row in rows:
            yield f"| {' | '.join(row)} |"

    return "\n".join(lines()) + "\n"


TABLES: Final[Mapping[str, Callable[[Results], str]]] = {
    "driver": driver_table,
    "resuming": resuming_table,
    "simulated": simulated_table,
}


def with_tables(page: str, results: Results) -> str:
    """Return the page with every table as the results have it.

    Raises:
        ValueError: If the page lacks the marks of one.
    """
    for name, table in TABLES.items():
        first, last = f"<!-- begin scaling {name} -->\n", f"<!-- end scaling {name} -->"
        start, end = page.find(first), page.find(last)
        if start < 0 or end < start:
            raise ValueError(f"the page lacks the lines {first.strip()} and {last}")
        page = page[: start + len(first)] + table(results) + page[end:]
    return page


def write_tables() -> None:
    """Write the tables into the page."""
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    page = with_tables(PAGE.read_text(encoding="utf-8"), results)
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    write_tables()
