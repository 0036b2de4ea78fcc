"""Every place that writes into a run folder is a named site, is reached, and may be the last one.

One tour goes through all that is ever done to runs. Killed at every pass of every site, and done
again, it must end as if nothing had happened.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from run_store.forked import KILLED, in_child
from scale import CHECKOUT, is_full_scale

from nas.run_store import (
    Run,
    examine,
    faults,
    lease,
    lock,
    rebuild_views,
    register_view,
    remove_run,
    repair,
)

ASKED = {
    "kind": "trial_asked",
    "trial": 0,
    "attempt": 1,
    "architecture": {"nodes": []},
    "architecture_id": "s1-0",
}
FINISHED = {"kind": "trial_finished", "trial": 0, "attempt": 1, "values": {"error": {"value": 0.5}}}


@pytest.fixture(autouse=True)
def _small_world(_no_views: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """One view, and a file system that is shared, with no time to wait."""
    register_view("front.json", lambda run: repr(sorted(run.table().trials)).encode())
    monkeypatch.setattr(lease, "SETTLE_S", 0.0)
    monkeypatch.setattr(lock, "_warned", {("tour", "nfs4"), ("old", "nfs4"), ("gone", "nfs4")})
    monkeypatch.setattr(lock, "network_kind", lambda path: "nfs4" if "tour" in str(path) else None)


def tour(root: Path) -> None:
    """Do all that can be done to runs: done twice, or after a kill, it comes to the same."""
    path = root / "tour"
    if path.exists():
        repair(path)
    with Run.open(path, write=True) if path.exists() else Run.create(root, "tour", {}, {}) as run:
        if 0 not in run.table().trials:
            run.append(ASKED)
        run.append(FINISHED)
        run.weights.put({"old": np.zeros(3)})
        kept = run.weights.put({"new": np.ones(3)})
        if run.table().stages.get("supernet") is None:
            run.append({"kind": "stage_finished", "stage": "supernet", "checkpoint": kept})
        run.weights.collect_garbage([kept])
        run.note("talk")
        rebuild_views(run)
    mend(path)
    with Run.open(root / "old", write=True) as run:
        rebuild_views(run)
    if (root / "gone").exists():
        remove_run(root / "gone")


def mend(path: Path) -> None:
    """Damage what is not damaged already, and repair it."""
    log = path / "trials.log"
    if not any("repaired" in str(record) for record in Run.open(path).records()):
        spare = path / "weights" / f"{'0' * 64}.safetensors"
        if not any((path / "quarantine").glob("0000*")):
            spare.write_bytes(b"rotten")
        if not any((path / "quarantine").glob("torn*")):
            log.write_bytes(log.read_bytes() + b"torn")
        Run.open(path, write=True).close()
        log.write_bytes(log.read_bytes() + b"no record\n")
    repair(path)


def prepared(root: Path) -> Path:
    """A folder of runs with one of an older format, and one to be removed."""
    root.mkdir()
    for name in ("old", "gone"):
        Run.create(root, name, {}, {}).close()
    file = root / "old" / "environment.json"
    file.write_text(file.read_text().replace("nas.run/2", "nas.run/1"))
    return root


def sweep(root: Path) -> None:
    """Make a run a minute later: that removes what killed processes left beside the runs."""
    for entry in root.glob(".tmp-*"):
        os.utime(entry, (time.time() - 100, time.time() - 100))
    Run.create(root, "later", {}, {}).close()
    shutil.rmtree(root / "later")


def outcome(root: Path) -> dict[str, Any]:
    run = Run.open(root / "tour")
    return {
        "runs": sorted(entry.name for entry in root.iterdir() if entry.name != "quarantine"),
        "trials": {number: dict(trial.values) for number, trial in run.table().trials.items()},
        "weights": run.weights.names(),
        "view": run.read_view("front.json"),
        "architecture": (run.path / "architectures" / "s1-0.json").read_text(),
        "old": [record["kind"] for record in Run.open(root / "old").records()],
        "errors": [each for name in ("tour", "old") for each in examine(root / name)],
    }


def passes_of(root: Path, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Return how often the tour passes each site; half of every write is a pass of its own."""
    passes: Counter[str] = Counter()
    with monkeypatch.context() as patched:
        patched.setattr(faults, "is_armed", lambda site: True)
        patched.setattr(faults, "reach", lambda site: passes.update([site]))
        tour(root)
    return passes


@pytest.mark.fault("A2", "A3", "G-R8", "G-R9")
def test_killed_at_every_pass_of_every_site_and_done_again_all_ends_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = passes_of(prepared(tmp_path / "counted"), monkeypatch)
    assert set(passes) == set(faults.SITES)
    expected = outcome(tmp_path / "counted")
    assert expected["errors"] == [] and expected["runs"] == ["old", "tour"]
    for site, count in passes.items():
        # In CI a site that is passed often is tried at its first, middle and last pass.
        tried = range(1, count + 1) if is_full_scale() else sorted({1, (count + 1) // 2, count})
        for number in tried:
            root = prepared(tmp_path / f"{site}-{number}")
            assert in_child(lambda: tour(root), fault=f"{site}:{number}") == KILLED, site  # noqa: B023
            tour(root)
            sweep(root)
            assert outcome(root) == expected, (site, number)
            shutil.rmtree(root)


def test_every_site_is_named_once_and_no_other_is_reached() -> None:
    named = []
    for file in (CHECKOUT / "nas").rglob("*.py"):
        named += re.findall(r"faults\.reach\(\"([a-z_]+)\"\)", file.read_text(encoding="utf-8"))
    assert sorted(named) == sorted(faults.SITES)


@pytest.mark.parametrize("effect", sorted(faults.EFFECTS))
def test_an_effect_is_the_error_of_its_name(monkeypatch: pytest.MonkeyPatch, effect: str) -> None:
    faults.forget_passes()
    monkeypatch.setenv(faults.VARIABLE, f"before_append:2:{effect}")
    faults.reach("before_append")
    faults.reach("after_append")
    with pytest.raises(OSError, match=re.escape(os.strerror(faults.EFFECTS[effect]))) as info:
        faults.reach("before_append")
    assert info.value.errno == faults.EFFECTS[effect]
    faults.reach("before_append")


PATH_WRITERS = {"write_text", "write_bytes", "touch"}
MODULE_WRITERS = {
    *("torch.save", "np.save", "np.savez", "numpy.save", "safetensors.save_file", "os.open"),
    *("shutil.copy", "shutil.copy2", "shutil.copyfile", "shutil.copytree", "shutil.move"),
}
NAMES = {"open", *PATH_WRITERS, *(name.rpartition(".")[2] for name in MODULE_WRITERS)}
OWN_HELPERS = {"nas/run_store/atomic.py", "nas/run_store/log.py", "nas/run_store/lock.py"}
"""What makes writing safe writes itself."""
PACKAGES = ("run_store", "search", "study", "supernet", "training", "model", "objectives")
ELSEWHERE = {
    "nas/run_store/copies.py": "unpacks aside; the folder has its name once it is whole",
    "nas/run_store/notes.py": "log.jsonl, which is appended to and may be lost",
    "nas/search/executors/ray_worker.py": "copies of weights for a node, outside of runs, by hash",
    "nas/search/executors/scratch.py": "what Ray and Tune store, outside of runs",
    "nas/study/outputs.py": "the user's own document, outside of runs",
    "nas/training/convert.py": "a data set of the user's, outside of runs",
    "nas/training/data/decoded_cache.py": "the cache of decoded images, outside of runs",
    "nas/training/device_lock.py": "the locks of devices, outside of runs",
    "nas/objectives/stopwatch.py": "reads only",
}
"""Files that write by themselves, and why what they write is no file of a run, or not yet."""


def writes_in(file: Path) -> list[str]:
    """Return the calls in a file that write to a path without the helpers of `atomic`."""
    calls = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
    return [f"{written}:{call.lineno}" for call in calls if (written := _written(call))]


def _written(call: ast.Call) -> str | None:
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    if name not in NAMES:
        return None
    text = ast.unparse(call.func)
    if text in MODULE_WRITERS or ("." in text and name in PATH_WRITERS):
        return text
    given = (*call.args, *(key.value for key in call.keywords))
    modes = {each.value for each in given if isinstance(each, ast.Constant)}
    writes = any(
        isinstance(mode, str) and re.fullmatch(r"[rwaxbt+]*[wax+][bt+]*", mode) for mode in modes
    )
    return text if name == "open" and writes else None


def test_no_code_writes_into_run_folders_but_through_the_atomic_helpers() -> None:
    found = {}
    for package in PACKAGES:
        for file in sorted((CHECKOUT / "nas" / package).rglob("*.py")):
            name = file.relative_to(CHECKOUT).as_posix()
            if name not in {*OWN_HELPERS, *ELSEWHERE} and (calls := writes_in(file)):
                found[name] = calls
    assert found == {}
