"""How much the tests repeat, and where large real data lies: one mechanism for every test.

`NAS_TEST_SCALE=ci` (the default) runs a tenth of the counts that the project promises, at least
three; `full` runs them all and is what `make soak` sets. `NAS_DATA` is a folder of large data
sets, by default `../shared/data` beside the checkout where it exists.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
SKIPPED_WITHOUT_DATA = "skipped: set NAS_DATA"


def is_full_scale() -> bool:
    """Tell whether the promised counts are to be run in full."""
    scale = os.environ.get("NAS_TEST_SCALE", "ci")
    if scale not in ("ci", "full"):
        raise ValueError(f"NAS_TEST_SCALE is '{scale}'; it must be 'ci' or 'full'.")
    return scale == "full"


def scaled(full: int) -> int:
    """Return `full` at full scale, else a tenth of it, at least 3 (never more than `full`)."""
    return full if is_full_scale() else min(full, max(3, full // 10))


def nas_data() -> Path | None:
    """Return the folder of large real data sets, or None where there is none."""
    named = os.environ.get("NAS_DATA")
    folder = Path(named) if named else CHECKOUT.parent / "shared" / "data"
    return folder if folder.is_dir() else None


def require_nas_data(*parts: str) -> Path:
    """Return a path below the data folder, or skip the test where it does not exist."""
    folder = nas_data()
    path = folder.joinpath(*parts) if folder else None
    if path is None or not path.exists():
        pytest.skip(SKIPPED_WITHOUT_DATA)
    return path
