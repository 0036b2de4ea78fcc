"""Many trials and many viewers: no error, small answers, memory that does not grow.

Sizes are those of a quick run; `make soak` runs them in full. Nothing here is timed: how fast it is
and what a search feels of it is measured by `benchmarks/dashboard_load.py`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from dash_servers import VIEWS, Dash, Viewer, Wire, serving
from made_runs import ENVIRONMENT, made_config, made_run
from process_watch import wait_until
from scale import is_full_scale, scaled

from nas.run_store import Run

TRIALS = scaled(10_000)
VIEWERS = 10 if is_full_scale() else 3
FOLLOWERS = scaled(100)
FOLLOW_S = 600.0 if is_full_scale() else 5.0
FIRST_LOAD = 300_000
"""Bytes of everything that the first view of a run of 1,000 trials sends, compressed."""

INCREMENT = 20_000
LARGEST_MEMORY = 500 << 20
GZIP = ("Accept-Encoding", "gzip")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        # What is tested is reading; a thousand flushes would only take time.
        patch.setattr(os, "fsync", lambda descriptor: None)
        made_run(folder, "large", trials=TRIALS)
    return folder


@pytest.fixture(scope="module")
def dash(runs: Path) -> Iterator[Dash]:
    with serving(runs) as served:
        yield served


@pytest.mark.fault("G-L1")
def test_all_views_of_many_trials_open_for_all_viewers_at_once(dash: Dash) -> None:
    paths = ["/api/runs", "/api/runs/large", *(f"/api/runs/large/{view}" for view in VIEWS)]
    paths.append(f"/api/runs/large/trials/{TRIALS - 1}")
    wrong: list[str] = []
    sizes: list[int] = []

    def look() -> None:
        wire = Wire(dash.port)
        for path in paths * 3:
            found = wire.ask(path, dash.bearer, GZIP)
            if found.status != 200 or not found.body.startswith(b"{"):
                wrong.append(f"{path}: {found.status}")
            sizes.append(len(found.raw))
        wire.close()

    viewers = [threading.Thread(target=look) for _ in range(VIEWERS)]
    for viewer in viewers:
        viewer.start()
    for viewer in viewers:
        viewer.join()
    assert wrong == [] and len(sizes) == len(paths) * 3 * VIEWERS
    assert dash.get("/api/runs/large/trials").json()["total"] == TRIALS


@pytest.mark.skipif(is_full_scale(), reason="the promise is one of 1,000 trials")
def test_the_first_view_of_a_thousand_trials_is_small(dash: Dash) -> None:
    first = ("/api/runs", "/api/runs/large", "/api/runs/large/front", "/api/runs/large/trials")
    page = ("/", "/app.css")
    sizes = {path: len(dash.get(path, GZIP).raw) for path in (*first, *page)}
    assert sum(sizes.values()) <= FIRST_LOAD, sizes
    last = dash.get("/api/runs/large").json()["seq"]
    few = dash.get(f"/api/runs/large/trials?after={last - 20}", GZIP)
    assert 0 < len(few.json()["trial"]) <= 20 and len(few.raw) <= INCREMENT


@contextmanager
def own_process(runs: Path, state: Path) -> Iterator[tuple[int, int, tuple[str, str]]]:
    """Serve in a process of its own; yield its id, its port and the header that lets in."""
    process = subprocess.Popen(
        [sys.executable, "-m", "nas", "dash", str(runs), "--port", "0"],
        env={**os.environ, "XDG_STATE_HOME": str(state), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline().partition("/?")[0].rpartition(":")[2])
        token = (state / "nas" / f"dash-{port}.token").read_text().strip()
        yield process.pid, port, ("Authorization", f"Bearer {token}")
    finally:
        process.terminate()
        process.communicate()


def resident(pid: int) -> int:
    """Return the bytes of memory that a process holds."""
    told = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert told is not None
    return int(told[1]) << 10


@pytest.mark.fault("F12", "G-L2")
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc here")
def test_viewers_of_a_growing_run_miss_nothing_and_fill_no_memory(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    with (
        Run.create(runs, "live", made_config(), ENVIRONMENT) as run,
        own_process(runs, tmp_path / "state") as (pid, port, bearer),
    ):
        run.append({"kind": "stage_started", "stage": "explore"})
        viewers = [Viewer(port, "live", 0, bearer) for _ in range(FOLLOWERS)]
        wait_until(lambda: all(viewer.events for viewer in viewers))
        memory = []
        end = time.monotonic() + FOLLOW_S
        seq = number = 0
        while time.monotonic() < end:
            seq = run.append(
                {"kind": "trial_asked", "trial": number, "attempt": 1, "decisions": {}}
            )
            number += 1
            memory.append(resident(pid))
            time.sleep(FOLLOW_S / 100)
        wait_until(lambda: all(viewer.last == seq for viewer in viewers), 60.0)
        for viewer in viewers:
            told = [trial for _, data in viewer.events for trial in data["trials"]["trial"]]
            assert viewer.status == 200 and told == list(range(number))
            viewer.close()
    assert max(memory) < LARGEST_MEMORY
    middle, last = memory[len(memory) // 2], memory[-1]
    assert last <= 1.05 * middle + (8 << 20), memory
