"""Any order of appending, failing, crashing, reopening and a second owner keeps the promises."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from run_store.forked import KILLED, in_child
from scale import scaled

from nas.errors import EnvironmentFault, RunError
from nas.run_store import Run, examine, faults

_MEMORY = Path("/dev/shm")


class RunMachine(RuleBasedStateMachine):
    """A run on disk beside a model of it: the list of acknowledged records."""

    def __init__(self) -> None:
        super().__init__()
        folder = tempfile.mkdtemp(prefix="nas-test-", dir=_MEMORY if _MEMORY.is_dir() else None)
        self.root = Path(folder)
        self.path = self.root / "run"
        self.run: Run | None = Run.create(self.root, "run", {"a": 1}, {})
        self.acknowledged: list[dict[str, Any]] = self.run.records()
        self.weights: dict[str, int] = {}
        self.reader = Run.open(self.path)

    def teardown(self) -> None:
        if self.run is not None:
            self.run.close()
        shutil.rmtree(self.root)

    def append(self, record: dict[str, Any]) -> None:
        assert self.run is not None
        seq = self.run.append(record)
        if seq == len(self.acknowledged):
            self.acknowledged.append(record)
        else:
            assert self.acknowledged[seq]["trial"] == record["trial"]

    @precondition(lambda self: self.run is not None)
    @rule()
    def ask(self) -> None:
        assert self.run is not None
        number = len(self.run.table().trials)
        self.append({"kind": "trial_asked", "trial": number, "attempt": 1, "decisions": [number]})

    @precondition(lambda self: self.run is not None and self.run.table().stale())
    @rule(data=st.data(), fails=st.booleans())
    def close_one(self, data: st.DataObject, fails: bool) -> None:
        assert self.run is not None
        trial = data.draw(st.sampled_from(self.run.table().stale()))
        record: dict[str, Any] = {"trial": trial.number, "attempt": trial.attempt}
        if fails:
            self.append({"kind": "trial_failed", **record, "reason": "oom"})
        else:
            values = {"error": {"value": trial.number / 7}}
            self.append({"kind": "trial_finished", **record, "values": values})

    @precondition(lambda self: self.run is not None and self.run.table().finished())
    @rule(data=st.data())
    def tell_twice(self, data: st.DataObject) -> None:
        assert self.run is not None
        trial = data.draw(st.sampled_from(self.run.table().finished()))
        record = {"kind": "trial_finished", "trial": trial.number, "attempt": trial.attempt}
        self.append({**record, "values": dict(trial.values)})
        with pytest.raises(RunError, match="contradicts"):
            self.run.append({**record, "values": {"error": {"value": -1.0}}})

    @precondition(lambda self: self.run is not None)
    @rule(value=st.integers(0, 5))
    def checkpoint(self, value: int) -> None:
        assert self.run is not None
        self.weights[self.run.weights.put({"a": np.full(3, value)})] = value

    @precondition(lambda self: self.run is not None)
    @rule(data=st.binary(max_size=20))
    def export(self, data: bytes) -> None:
        assert self.run is not None
        self.run.write_view("front.json", data)
        assert self.run.read_view("front.json") == data

    @precondition(lambda self: self.run is not None)
    @rule(site=st.sampled_from(["before_append", "after_append", "mid_append"]))
    def disk_full(self, site: str) -> None:
        assert self.run is not None
        faults.forget_passes()
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv(faults.VARIABLE, f"{site}:1:full")
            with pytest.raises(EnvironmentFault, match="disk full"):
                self.run.append({"kind": "verdict"})

    @precondition(lambda self: self.run is not None)
    @rule(site=st.sampled_from(["atomic_before_write", "atomic_mid_write"]))
    def disk_full_in_a_checkpoint(self, site: str) -> None:
        assert self.run is not None
        faults.forget_passes()
        new = {"a": np.full(3, 1000 + len(self.acknowledged))}
        before = self.run.weights.names()
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv(faults.VARIABLE, f"{site}:1:full")
            with pytest.raises(EnvironmentFault, match="disk full"):
                self.run.weights.put(new)
        assert self.run.weights.names() == before

    @precondition(lambda self: self.run is not None)
    @rule()
    def close(self) -> None:
        assert self.run is not None
        self.run.close()
        self.run = None
        self.reader = Run.open(self.path)  # else one that follows

    @precondition(lambda self: self.run is None)
    @rule(torn=st.binary(max_size=30).filter(lambda tail: b"\n" not in tail))
    def tear(self, torn: bytes) -> None:
        with (self.path / "trials.log").open("ab") as file:
            file.write(torn)

    @precondition(lambda self: self.run is None)
    @rule(site=st.sampled_from(["before_append", "mid_append", "after_append", "after_fsync"]))
    def crash(self, site: str) -> None:
        record = {"kind": "verdict", "number": len(self.acknowledged)}

        def owner() -> None:
            Run.open(self.path, write=True).append(record)

        assert in_child(owner, fault=f"{site}:1") == KILLED
        # Written whole but never acknowledged: it may be there, and then it stays.
        if site in ("after_append", "after_fsync"):
            self.acknowledged.append(record)

    @precondition(lambda self: self.run is None)
    @rule()
    def reopen(self) -> None:
        self.run = Run.open(self.path, write=True)
        for trial in self.run.stale_trials():
            record = {"kind": "trial_asked", "trial": trial.number, "attempt": trial.attempt + 1}
            self.append(record)

    @precondition(lambda self: self.run is not None)
    @rule()
    def second_owner(self) -> None:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("nas.run_store.lock._PATIENCE_S", 0.0)
            with pytest.raises(RunError, match="is in use by"):
                Run.open(self.path, write=True)

    @invariant()
    def every_acknowledged_record_is_there_and_no_other(self) -> None:
        assert self.reader.records() == self.acknowledged
        for trial in self.reader.table().finished():
            assert trial.value("error") == trial.number / 7
        for sha, value in self.weights.items():
            assert self.reader.weights.get(sha)["a"].tolist() == [value] * 3

    @rule()
    def the_doctor_finds_no_error(self) -> None:
        assert [finding for finding in examine(self.path) if finding.level == "error"] == []


@pytest.mark.fault("G-R15")
class TestRunMachine(RunMachine.TestCase):
    """Two hundred sequences of fifty steps at full scale."""

    settings = settings(max_examples=scaled(200), stateful_step_count=50, derandomize=True)
