"""The ledger of a run as a table: what each part spent, beside what nobody knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.cli.output import print_table, print_text

COLUMNS = ("spent on", "jobs", "seconds", "device-seconds", "wall seconds", "unknown")


def print_ledger(document: Mapping[str, Any]) -> None:
    """Print the ledger that a run's description or `front.json` carries; nothing if it is empty.

    Args:
        document: From `nas.search.ledger.ledger_document`.
    """
    rows = [
        (
            row["part"],
            row["jobs"],
            _tenths(row["seconds"]),
            _tenths(row["device_s"]),
            "-" if row["wall_s"] is None else _tenths(row["wall_s"]),
            row["unknown"],
        )
        for row in document["rows"]
    ]
    if not rows:
        return
    print_table(COLUMNS, rows, title="Ledger")
    print_text(
        f"the search spent {document['search_device_s']:.1f} device-seconds, "
        f"the run {document['total_device_s']:.1f}{_unknown(int(document['unknown']))}"
    )


def _tenths(seconds: float) -> str:
    return f"{seconds:.1f}"


def _unknown(count: int) -> str:
    if not count:
        return ""
    pieces = "1 piece of work was cut" if count == 1 else f"{count} pieces of work were cut"
    return f"; {pieces} off, and what they spent after their last record is not known"
