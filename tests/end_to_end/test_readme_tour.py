"""Every command in the README does what it says.

They are typed in this process, which has loaded torch already; that `nas` works as a command of its
own `.ci/run`, the wheel and the walk through the dashboard show.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from documents import follow, typed_here


@pytest.mark.usefixtures("_logging_as_before", "_brief_searches")
def test_every_command_of_the_readme_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
    follow("README.md", tmp_path, typed_here)
