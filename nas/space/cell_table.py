"""Published tables of cells in the form of NAS-Bench-201: what each row says about one member.

A table is a CSV file (also gzipped) with the cell's published string in `arch_str` and numbers in
further columns. The string is the key, not the row's number: copies of the table are sorted
differently, and some lack rows (Dong and Yang 2020, arXiv:2001.00326).
"""

from __future__ import annotations

import csv
import gzip
import math
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, final

from nas.errors import DataError, NotFoundError
from nas.space.choices import Decisions

KEY = "arch_str"
PUBLISHED_OPERATIONS = {
    "none": "none",
    "skip_connect": "identity",
    "nor_conv_1x1": "relu_conv1x1_bn",
    "nor_conv_3x3": "relu_conv3x3_bn",
    "avg_pool_3x3": "avg_pool3x3",
}
"""Our name of each published operation."""

_PART = re.compile(r"(\w+)~(\d+)")


@final
@dataclass(frozen=True)
class TabulatedCell:
    """One row of a table.

    Args:
        text: The published string.
        decisions: The member of a space of cells, such as `nasbench201`.
        numbers: By column; a column that is empty in this row is missing.
    """

    text: str
    decisions: Decisions
    numbers: Mapping[str, float]


def read_cell_table(path: Path, columns: Sequence[str]) -> tuple[TabulatedCell, ...]:
    """Read the rows of a table, in the order of the file.

    Args:
        path: A CSV file; gzipped if its name ends in `.gz`.
        columns: The columns of numbers to read.

    Raises:
        NotFoundError: If there is no such file.
        DataError: If it is damaged, lacks a column, or a row's cell or number cannot be read.
    """
    try:
        with _opened(path) as file:
            reader = csv.DictReader(file)
            _check_columns(reader.fieldnames or (), columns, path)
            return tuple(_cells(reader, columns, path))
    except FileNotFoundError as error:
        raise NotFoundError(
            f"There is no table '{path}'.", fix="Give the path of a CSV file, or of a .csv.gz file."
        ) from error
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"The table cannot be read: {error}.",
            where=str(path),
            fix="Copy the file again; it is CSV in UTF-8, gzipped if its name ends in .gz.",
        ) from error


def cell_decisions(text: str) -> Decisions:
    """Return the member that a published string stands for.

    `|a~0|+|b~0|c~1|` says: node 1 takes `a` of node 0; node 2 takes `b` of node 0 and `c` of
    node 1.

    Raises:
        DataError: If the string has another form or names an unknown operation.
    """
    decisions: Decisions = {}
    for target, group in enumerate(text.split("+"), start=1):
        parts = group.removeprefix("|").removesuffix("|").split("|")
        found = [match for part in parts if (match := _PART.fullmatch(part))]
        if [int(match[2]) for match in found] != list(range(target)) or len(parts) != target:
            raise _bad_cell(text, f"Node {target} needs one input from each node before it.")
        for match in found:
            operation = PUBLISHED_OPERATIONS.get(match[1])
            if operation is None:
                known = ", ".join(PUBLISHED_OPERATIONS)
                raise _bad_cell(text, f"'{match[1]}' is none of the operations {known}.")
            decisions[f"cell.edge{match[2]}-{target}"] = operation
    return decisions


def _opened(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


def _check_columns(found: Sequence[str], wanted: Sequence[str], path: Path) -> None:
    missing = [name for name in (KEY, *wanted) if name not in found]
    if missing:
        raise DataError(
            f"The table has no column {', '.join(missing)}; it has {', '.join(found) or 'none'}.",
            where=str(path),
            fix="Give another column, or another table.",
        )


def _cells(
    reader: csv.DictReader[str], columns: Sequence[str], path: Path
) -> Iterator[TabulatedCell]:
    for row in reader:
        try:
            numbers = {name: _number(row[name], name) for name in columns if row[name]}
            yield TabulatedCell(row[KEY], cell_decisions(row[KEY] or ""), numbers)
        except DataError as error:
            error.where = f"{path}:{reader.line_num}"
            raise


def _number(text: str, column: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(
            f"The column {column} holds '{text}', which is no finite number.",
            fix="Correct the row, or leave the field empty where there is no number.",
        )
    return value


def _bad_cell(text: str, why: str) -> DataError:
    return DataError(
        f"'{text}' is no cell.",
        why=why,
        fix="A cell reads like |nor_conv_3x3~0|+|none~0|skip_connect~1|.",
    )
