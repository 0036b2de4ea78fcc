"""What a search notes for those who watch it: gates over epochs, memory, times of nodes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nas.run_store import Run
from nas.search.executors import EXECUTORS
from nas.search.exploring.memory_use import memory_use
from nas.search.training.gate_history import MOST_STEPS, GateHistory
from nas.space import load_space
from nas.supernet.relaxation import Relaxation


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.create(tmp_path, "noted", {"schema": "nas.search/1"}, {})


@pytest.mark.parametrize("epochs", [1, 7, 1000])
def test_gates_are_noted_from_the_first_epoch_to_the_last_and_not_too_often(
    run: Run, epochs: int
) -> None:
    relaxation = Relaxation(load_space("tiny_exhaustive"))
    history = GateHistory(run, relaxation)
    for epoch in range(1, epochs + 1):
        history.note("relax", epoch, epochs)
    notes = run.notes()
    (options,) = [note for note in notes if note["kind"] == "gate_options"]
    gates = [note for note in notes if note["kind"] == "gates"]
    assert gates[0]["epoch"] == 1 and gates[-1]["epoch"] == epochs
    assert len(gates) <= MOST_STEPS + 2 and len(gates) >= min(epochs, MOST_STEPS // 2)
    for choice in relaxation.every_choice():
        told = options["choices"][choice.name]
        values = gates[0]["gates"][choice.name]
        assert len(told["options"]) == len(values)
        if told["kind"] == "one_of":
            assert sum(values) == pytest.approx(1, abs=1e-3)


def test_memory_is_that_of_the_driver_and_of_its_workers(tmp_path: Path) -> None:
    with EXECUTORS.get("inline")(1) as executor:
        found = memory_use(executor)
        assert found["workers"] == 1 and found["worker_memory_mb"] is None
        if Path("/proc/self/statm").exists():
            assert found["memory_mb"] > 10
        (tmp_path / str(os.getpid())).mkdir()
        (tmp_path / str(os.getpid()) / "statm").write_text("not a number")
        assert memory_use(executor, tmp_path)["memory_mb"] is None
