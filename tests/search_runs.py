"""Small searches for the tests: made-up objectives on digits, here or in another process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from process_watch import is_alive
from run_store.forked import start_child, wait_for

from nas.run_store import Run
from nas.search.driver import search
from nas.search.front_view import front_document
from nas.search.settings.config import SearchConfig
from nas.search.settings.resolve import resolve_config

TRIALS = 24

FAKE = {
    "space": "tiny_exhaustive",
    "objectives": ["fake_error", "macs"],
    "plugins": ["search_fakes"],
    "confirm": {"enabled": False},
    "executor": {"kind": "inline"},
    "search": {"trials": TRIALS, "batch": 8},
}


SCRIPT = """
import sys
from search_runs import fake_config
from nas.search.driver import resume, search
if sys.argv[2] == "search":
    search(fake_config(*sys.argv[4:]), runs=sys.argv[1], name=sys.argv[3])
else:
    resume(sys.argv[1] + "/" + sys.argv[3])
"""
"""Searches or resumes in a process of its own: folder of runs, verb, name, overrides."""


def fake_config(*overrides: str) -> SearchConfig:
    """Return the config of a search without training."""
    return resolve_config(FAKE, overrides=overrides)


def points(run: Run) -> list[dict[str, Any]]:
    """Return the points of the front."""
    found: list[dict[str, Any]] = front_document(run)["points"]
    return found


def fake_search(runs: Path, *overrides: str, name: str = "run", **options: Any) -> Run:
    """Search with made-up objectives in this process."""
    return search(fake_config(*overrides), runs=runs, name=name, **options)


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Start Python code in a process that imports what this one does."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )


def count_records(run: Path) -> int:
    """Return how many records the log of a run has, 0 before there is one."""
    try:
        return (run / "trials.log").read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0


def killed_when(reached: Callable[[], bool], function: Callable[[], None]) -> int:
    """Run a function in a forked child, which imports nothing again, and kill it at a moment.

    Returns how the child ended: `forked.KILLED`, or 0 where it was done before.
    """
    child = start_child(function)
    while not reached() and is_alive(child):
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    return wait_for(child)


def asked_and_closed(run: Run) -> tuple[list[int], list[int]]:
    """Return the trials by number: those ever asked, and those closed, once per closing record."""
    asked: set[int] = set()
    closed: list[int] = []
    for record in run.records():
        if record["kind"] == "trial_asked":
            asked.add(record["trial"])
        elif record["kind"] in ("trial_finished", "trial_failed"):
            closed.append(record["trial"])
    return sorted(asked), sorted(closed)


def canonical(value: object) -> str:
    """Return a value as text that is equal for equal values."""
    return json.dumps(value, sort_keys=True)
