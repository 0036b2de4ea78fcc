"""What a search says at its end, here and as a job of a cluster."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from search_runs import FAKE

from nas.config_files import dump_yaml

Nas = Callable[..., Any]


def test_a_job_names_no_path_that_whoever_sent_it_does_not_have(
    nas: Nas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    small = {"search": {"trials": 4, "batch": 4}}
    Path("search.yaml").write_text(dump_yaml({"schema": "nas.search/1", **FAKE, **small}))
    here = nas("search", "search.yaml", "--name", "near")
    assert "next: nas front near; nas resume near" in here.err and "report: " in here.out
    runs = tmp_path / "state" / "nas" / "submitted-runs"
    there = nas("search", "search.yaml", "--name", "far", "--runs", runs)
    assert there.code == 0, there.err
    assert "next:" not in there.err and "report: " not in there.out
    assert "take the best home" not in there.err
    again = nas("resume", runs / "far")
    assert "give it more with: nas submit far --trials +100" in again.err
