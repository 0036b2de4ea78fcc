"""The trials of several runs as one table: CSV for spreadsheets, parquet for the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nas.config_files import csv_text
from nas.run_store import Run
from nas.search.front.tables import trials_table

if TYPE_CHECKING:
    import pyarrow as pa


def runs_table(runs: Mapping[str, Run]) -> pa.Table:
    """Return one row per trial of every run, the name of its run in the column `run`.

    Args:
        runs: Runs by the name to call them; a column that a run lacks is empty there.
    """
    import pyarrow as pa

    tables = []
    for name, run in runs.items():
        table = trials_table(run)
        tables.append(table.add_column(0, "run", pa.array([name] * len(table), pa.string())))
    return pa.concat_tables(tables, promote_options="permissive")


def table_csv(table: pa.Table) -> bytes:
    """Return a table as CSV, safe to open in a spreadsheet."""
    columns = [column.to_pylist() for column in table.columns]
    return csv_text(table.column_names, zip(*columns, strict=True)).encode()
