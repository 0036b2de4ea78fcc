"""Trainings on a cluster that loses a node, and then its head."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from scale import is_full_scale

pytest.importorskip("ray")

from ray_clusters import ray_cluster
from tune_fakes import TASK

from nas.errors import ClusterError
from nas.search.executors import ray_link
from nas.search.executors.base import Job, Outcome, Setup
from nas.search.executors.inline import InlineExecutor
from nas.search.executors.ray_executor import RayExecutor
from nas.search.executors.tune.trainings import TuneTrainings

EPOCHS = 40


def jobs(pause_s: float = 0.0) -> list[Job]:
    return [
        Job(name, {"name": name, "seed": seed, "epochs": EPOCHS, "pause_s": pause_s})
        for seed, name in enumerate(("first", "second"))
    ]


def setup(journal: Path) -> Setup:
    return Setup(TASK, {"journal": str(journal)})


def once_both_train(journal: Path, strike: Callable[[], None]) -> Callable[[], bool]:
    """Return a question whether to stop that is answered by no, and by a blow."""
    struck: list[bool] = []

    def should_stop() -> bool:
        lines = journal.read_text().splitlines() if journal.exists() else []
        if not struck and all(f"{each.key} epoch 5" in lines for each in jobs()):
            struck.append(True)
            strike()
        return False

    return should_stop


@pytest.mark.fault("A8", "A9")
@pytest.mark.skipif(not is_full_scale(), reason="skipped: starts a cluster of its own; make soak")
def test_a_lost_node_costs_no_epoch_that_was_kept_and_a_lost_head_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected: dict[str, Outcome] = {}
    with InlineExecutor() as inline:
        inline.prepare(setup(tmp_path / "here.txt"))
        inline.run(jobs(), lambda each: expected.update({each.key: each}))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(ray_link, "HEAD_PATIENCE_S", 5.0)
    with ray_cluster() as nodes:
        monkeypatch.setenv("RAY_ADDRESS", nodes.address)
        removed = nodes.add()
        with RayExecutor(2) as executor:
            tune = TuneTrainings(executor, scratch, checkpoint_every_s=0)
            journal = tmp_path / "there.txt"
            tune.prepare(setup(journal))
            found: dict[str, Outcome] = {}
            blow = once_both_train(journal, lambda: nodes.remove(removed))
            assert tune.run(jobs(0.2), lambda each: found.update({each.key: each}), blow)
            assert found == expected
            lines = journal.read_text().splitlines()
            assert len(lines) < 2 * EPOCHS + 5, "it went on from where it was"
            assert all(lines.count(f"{each.key} epoch 1") == 1 for each in jobs())

            last = tmp_path / "last.txt"
            tune.prepare(setup(last))
            nodes.add()
            blow = once_both_train(last, nodes.kill_head)
            began = time.monotonic()
            with pytest.raises(ClusterError, match="head of the Ray cluster has not answered"):
                tune.run(jobs(0.2), lambda _: None, blow)
            assert time.monotonic() - began < 90
    assert list(scratch.iterdir()) == []
