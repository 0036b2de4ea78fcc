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


@pytest.fixture(autouse=True)
def _no_views() -> Iterator[None]:
    """Begin without views, whatever tests of searches in this process have registered."""
    # Not `monkeypatch`: what a test breaks with it is to be whole before its folder is removed.
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("nas.run_store.views._views", {})
        yield
