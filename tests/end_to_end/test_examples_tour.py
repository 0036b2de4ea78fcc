"""Every command in the examples does what it says; typed as in the tour of the README."""

from __future__ import annotations

from pathlib import Path

import pytest
from documents import follow, typed_here


@pytest.mark.usefixtures("_logging_as_before", "_brief_searches")
def test_every_command_of_the_examples_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
    follow("examples/README.md", tmp_path, typed_here)
