"""Two owners of a run, processes that sleep, clocks that jump, checkpoints cut off: all is kept."""

from __future__ import annotations

import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from process_watch import wait_until
from run_store.forked import KILLED, start_child, wait_for
from scale import CHECKOUT, scaled

from nas.errors import RunError
from nas.run_store import Run, creation

ASKED = {"kind": "trial_asked", "trial": 0, "attempt": 1}
FINISHED = {"kind": "trial_finished", "trial": 0, "attempt": 1, "values": {"error": {"value": 0.5}}}


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    with Run.create(tmp_path, "mine", {}, {}) as run:
        run.append(ASKED)
    return tmp_path / "mine"


def owner_of_run(path: Path) -> int:
    """Return a process that owns the run and works until it is killed."""
    ready, tell = os.pipe()

    def own() -> None:
        run = Run.open(path, write=True)
        os.write(tell, b"1")
        number = 0
        while True:
            number += 1
            run.append({"kind": "verdict", "number": number})
            time.sleep(0.002)

    pid = start_child(own)
    assert os.read(ready, 1) == b"1"
    os.close(ready)
    os.close(tell)
    return pid


@pytest.mark.fault("A16", "G-R11")
def test_every_second_owner_is_refused_within_a_second_and_none_waits_for_a_dead_one(
    path: Path,
) -> None:
    refusals, takings = [], []
    for _ in range(scaled(100)):
        pid = owner_of_run(path)
        started = time.monotonic()
        with pytest.raises(RunError, match=rf"in use by pid {pid} on host") as info:
            Run.open(path, write=True)
        refusals.append(time.monotonic() - started)
        assert info.value.exit_code == 2
        assert Run.open(path).state() == "running"
        os.kill(pid, signal.SIGKILL)
        assert wait_for(pid) == KILLED
        started = time.monotonic()
        Run.open(path, write=True).close()
        takings.append(time.monotonic() - started)
    # A busy machine may hold up one or the other.
    assert statistics.median(refusals) < 1
    assert statistics.median(takings) < 1


@pytest.mark.fault("A16")
def test_another_program_is_refused_too_and_may_read(path: Path) -> None:
    program = (
        "import sys\n"
        "from nas.errors import RunError\n"
        "from nas.run_store import Run\n"
        "print(Run.open(sys.argv[1]).state())\n"
        "try:\n"
        "    Run.open(sys.argv[1], write=True)\n"
        "except RunError as error:\n"
        "    print(error.what)\n"
    )
    with Run.open(path, write=True):
        command = [sys.executable, "-c", program, str(path)]
        found = subprocess.run(command, capture_output=True, text=True, check=True, cwd=CHECKOUT)
    state, refused = found.stdout.splitlines()
    assert state == "running"
    assert refused.startswith(f"Run 'mine' is in use by pid {os.getpid()} on host ")


@pytest.mark.fault("A16", "G-R11")
def test_typing_resume_for_a_run_in_use_is_refused_before_torch_is_loaded(path: Path) -> None:
    program = (
        "import sys\n"
        "from nas.cli.main import run\n"
        "print(run(['resume', sys.argv[1]]), 'torch' in sys.modules)\n"
    )
    with Run.open(path, write=True):
        command = [sys.executable, "-c", program, str(path)]
        found = subprocess.run(command, capture_output=True, text=True, check=True, cwd=CHECKOUT)
    assert found.stdout == "2 False\n"
    assert f"Run 'mine' is in use by pid {os.getpid()} on host " in found.stderr


@pytest.mark.fault("A6")
def test_an_owner_that_is_stopped_keeps_its_run_and_goes_on_with_it(path: Path) -> None:
    pid = owner_of_run(path)
    try:
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(RunError, match="is in use by"):
            Run.open(path, write=True)
        before = len(Run.open(path).records())
        os.kill(pid, signal.SIGCONT)
        deadline = time.monotonic() + 30
        while len(Run.open(path).records()) <= before and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        os.kill(pid, signal.SIGKILL)
        wait_for(pid)
    numbers = [each["number"] for each in Run.open(path).records() if each["kind"] == "verdict"]
    assert numbers == list(range(1, len(numbers) + 1)) and len(numbers) > before - 2


@pytest.mark.fault("A6")
def test_a_late_result_of_an_attempt_that_was_given_up_is_refused(path: Path) -> None:
    with Run.open(path, write=True) as run:
        run.append({**ASKED, "attempt": 2})
        with pytest.raises(RunError, match=r"attempt 1 of trial 0 comes too late"):
            run.append(FINISHED)
        run.append({**FINISHED, "attempt": 2})
        assert run.table().trials[0].value("error") == 0.5


@pytest.mark.fault("A18", "G-R14")
@pytest.mark.parametrize("jumps_s", [(-86_400,), (86_400,), (-262, 262)])
def test_a_run_written_while_the_clock_jumps_is_the_same_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jumps_s: tuple[float, ...]
) -> None:
    def write(root: Path) -> list[Any]:
        with Run.create(root, "mine", {}, {}) as run:
            run.append(ASKED)
        with Run.open(root / "mine", write=True) as run:
            for number in range(1, 8):
                run.append({**ASKED, "attempt": number + 1})
            run.append({**FINISHED, "attempt": 8})
        return Run.open(root / "mine").records()[1:]

    expected = write(tmp_path / "steady")
    reads = [0]

    class Jumping(datetime):
        """A clock that is somewhere else at every look."""

        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            reads[0] += 1
            return datetime.now(tz) + timedelta(seconds=jumps_s[reads[0] % len(jumps_s)])

    monkeypatch.setattr(creation, "datetime", Jumping)
    monkeypatch.setattr("nas.run_store.lock.datetime", Jumping)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + jumps_s[0])
    assert write(tmp_path / "jumping") == expected
    assert reads[0] > 2
    assert Jumping.now(UTC) != datetime.now(UTC)


LABELS = {
    "nas/run_store/creation.py": "when a run was created; when what is left over was made",
    "nas/run_store/lock.py": "since when a run is owned",
    "nas/run_store/lease.py": "since when a run is owned",
    "nas/search/driver.py": "the name of a run",
    "nas/search/callbacks/mlflow.py": "what another tool draws",
    "nas/predict/building.py": "when a profile was built",
}
"""Files that ask what time of day it is, and what they label with it."""


@pytest.mark.fault("A18")
def test_the_time_of_day_labels_things_and_decides_nothing() -> None:
    clock = re.compile(r"\btime\.time\(|datetime\.(now|utcnow|today)\(|time\.(localtime|gmtime)\(")
    asking = {
        file.relative_to(CHECKOUT).as_posix()
        for package in ("run_store", "search", "study", "supernet", "training", "predict")
        for file in (CHECKOUT / "nas" / package).rglob("*.py")
        if clock.search(file.read_text(encoding="utf-8"))
    }
    assert asking <= LABELS.keys()


@pytest.mark.fault("A2", "B7", "G-R8")
def test_checkpoints_cut_off_at_random_moments_are_whole_or_not_there(path: Path) -> None:
    rng = random.Random(1)

    def train() -> None:
        with Run.open(path, write=True) as run:
            step = len(run.records())
            while True:
                sha = run.weights.put({"step": np.full(50_000, step, dtype=np.float32)})
                saved = {"kind": "checkpoint_saved", "stage": "supernet", "checkpoint": sha}
                run.append({**saved, "step": step})
                run.weights.collect_garbage([sha])
                step += 1

    saved = 0
    for number in range(scaled(100)):
        before = len(Run.open(path).records())
        pid = start_child(train)
        if number % 2 == 0:  # every other one is killed at whatever it does first
            wait_until(lambda before=before: len(Run.open(path).records()) > before)
        time.sleep(rng.uniform(0.005, 0.05))
        os.kill(pid, signal.SIGKILL)
        assert wait_for(pid) == KILLED
        reader = Run.open(path)
        stage = reader.table().stages.get("supernet")
        if stage is not None and stage.checkpoint is not None:
            saved += 1
            arrays = reader.weights.get(stage.checkpoint)
            assert len(set(arrays["step"].tolist())) == 1
        for sha in reader.weights.names():
            reader.weights.get(sha)
    assert saved > 0


@pytest.mark.fault("G-L4")
def test_keeping_a_trial_costs_at_most_a_hundredth_of_a_trial_of_a_second(tmp_path: Path) -> None:
    """On the disk of temporary files, not in memory, where nothing has to be flushed."""
    with tempfile.TemporaryDirectory(prefix="nas-test-") as folder:
        with Run.create(folder, "mine", {}, {}) as run:
            costs = []
            for trial in range(50):
                begin = time.perf_counter()
                named = {"architecture": {"trial": trial}, "architecture_id": f"s1-{trial}"}
                run.append({**ASKED, "trial": trial, "decisions": {"a": list(range(20))}, **named})
                run.append({**FINISHED, "trial": trial})
                run.write_architectures()
                costs.append(time.perf_counter() - begin)
        # The least disturbed one: other programs flush to the same disk.
        assert min(costs) <= 0.01
