"""Run folders of tests lie in memory where possible: they flush thousands of times."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_MEMORY = Path("/dev/shm")


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Yield an empty folder of this test, removed afterwards."""
    folder = tempfile.mkdtemp(prefix="nas-test-", dir=_MEMORY if _MEMORY.is_dir() else None)
    yield Path(folder)
    shutil.rmtree(folder)
