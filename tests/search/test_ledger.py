"""The ledger says what the log's records say, whoever was killed meanwhile."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_store.forked import KILLED
from search_runs import count_records, fake_search, killed_when

from nas.run_store import Run
from nas.search.driver import resume
from nas.search.ledger import Prices, _Book, ledger, ledger_document, search_cost
from nas.search.time_spent import TimeSpent
from nas.training.device_lock import DeviceLock

CONFIG = {
    "supernet": {"threads": 2},
    "search": {"threads_per_evaluation": 3},
    "latency": {"threads": 5},
}
SECONDS = st.floats(0, 1000).map(lambda value: round(value, 3))


def rows_of(records: Iterable[dict[str, Any]], device: str = "cpu") -> dict[str, Any]:
    book = _Book(Prices(CONFIG, device))
    for record in records:
        book.read(record)
    return {row.part: row for row in book.rows()}


def trial(number: int, seconds: float, measuring: float = 0.0) -> list[dict[str, Any]]:
    return [
        {"kind": "trial_asked", "trial": number},
        {
            "kind": "trial_finished",
            "trial": number,
            "seconds": seconds,
            "measuring_seconds": measuring,
        },
    ]


def test_the_ledger_of_a_run_is_the_sum_of_its_records(tmp_path: Path) -> None:
    run = fake_search(tmp_path, "objectives=[fake_error, fake_latency]", "search.trials=8")
    found = {row.part: row for row in ledger(run)}
    closed = [r for r in run.records() if r["kind"] in ("trial_finished", "trial_failed")]
    assert found["explore"].jobs == found["measuring"].jobs == len(closed)
    assert found["explore"].seconds == pytest.approx(sum(r["seconds"] for r in closed), abs=1e-3)
    measured = sum(r["measuring_seconds"] for r in closed)
    assert found["measuring"].seconds == pytest.approx(measured, abs=1e-3)
    (stage,) = (
        r for r in run.records() if r["kind"] == "stage_finished" and r["stage"] == "explore"
    )
    walls = found["explore"].wall_s + found["measuring"].wall_s
    assert walls == pytest.approx(stage["wall_seconds"], abs=2e-3)
    assert sum(row.unknown for row in found.values()) == 0
    document = ledger_document(run)
    assert document["search_device_s"] == pytest.approx(search_cost(ledger(run)), abs=1e-3)
    assert [row["part"] for row in document["rows"]] == ["explore", "measuring"]


def test_threads_multiply_on_a_processor_and_not_on_an_accelerator() -> None:
    records = [
        {"kind": "stage_started", "stage": "supernet"},
        {"kind": "stage_finished", "stage": "supernet", "wall_seconds": 10.0},
        *trial(0, 7.0, 1.0),
        {"kind": "trial_measured", "trial": 0, "measuring_seconds": 0.5},
        {"kind": "trial_unmeasured", "trial": 0, "measuring_seconds": 0.5},
    ]
    found = rows_of(records)
    devices = {part: row.device_s for part, row in found.items()}
    assert devices == {"supernet": 20.0, "explore": 21.0, "measuring": 10.0}
    assert search_cost(found.values()) == 51.0
    devices = {part: row.device_s for part, row in rows_of(records, "cuda:0").items()}
    assert devices == {"supernet": 10.0, "explore": 7.0, "measuring": 2.0}


@given(st.lists(st.tuples(SECONDS, SECONDS, st.sampled_from(["left", "killed"])), max_size=6))
def test_a_training_costs_what_every_owner_spent_on_it(
    owners: list[tuple[float, float, str]],
) -> None:
    records: list[dict[str, Any]] = []
    known = 0.0
    for first, more, end in owners:
        records += [
            {"kind": "stage_started", "stage": "relax"},
            {"kind": "checkpoint_saved", "stage": "relax", "seconds": first},
        ]
        if end == "left":
            times = {"seconds": first + more, "wall_seconds": 2 * (first + more)}
            records.append({"kind": "stage_left", "stage": "relax", **times})
        known += first + (more if end == "left" else 0)
        records.append({"kind": "run_resumed"})
    records += [
        {"kind": "stage_started", "stage": "relax"},
        {"kind": "stage_finished", "stage": "relax", "wall_seconds": 1.0},
    ]
    row = rows_of(records)["relax"]
    assert math.isclose(row.seconds, known + 1, abs_tol=1e-2)
    assert row.device_s == pytest.approx(2 * row.seconds, abs=2e-3)
    assert row.unknown == sum(end == "killed" for _, _, end in owners)


def test_what_a_living_owner_has_kept_counts_already() -> None:
    row = rows_of(
        [
            {"kind": "stage_started", "stage": "relax"},
            {"kind": "checkpoint_saved", "stage": "relax", "seconds": 4.0},
        ]
    )["relax"]
    assert (row.seconds, row.unknown) == (4.0, 0)


def test_an_attempt_that_was_given_up_is_said_to_be_unknown() -> None:
    asked = {"kind": "trial_asked", "trial": 0}
    failed = {"kind": "trial_failed", "trial": 0, "seconds": 1.0}
    row = rows_of([asked, {"kind": "run_resumed"}, asked, failed, *trial(0, 2.0)])["explore"]
    assert (row.jobs, row.seconds, row.unknown) == (2, 3.0, 1)


def test_waiting_while_somebody_measures_is_no_work(tmp_path: Path) -> None:
    mine, theirs = DeviceLock("some", tmp_path), DeviceLock("some", tmp_path)
    entered, done = threading.Event(), threading.Event()

    def measure() -> None:
        with theirs.measuring():
            entered.set()
            done.wait(10)

    other = threading.Thread(target=measure)
    other.start()
    entered.wait(10)
    threading.Timer(0.2, done.set).start()
    spent = TimeSpent()
    with mine.working():
        assert spent.wall_s >= 0.2
        assert spent.busy_s < 0.1
    other.join()
    mine.close()
    theirs.close()


def test_what_another_run_paid_for_is_not_charged() -> None:
    record = {"kind": "rank_truth", "seconds": 4.0}
    found = rows_of([record, {**record, "taken_from": "other"}])
    assert found["rank"].seconds == 4.0


def test_a_killed_search_has_all_its_records_in_the_ledger(tmp_path: Path) -> None:
    def search() -> None:
        fake_search(tmp_path, name="killed")

    assert killed_when(lambda: count_records(tmp_path / "killed") >= 30, search) == KILLED
    before = search_cost(ledger(Run.open(tmp_path / "killed")))
    run = resume(tmp_path / "killed")
    (explore,) = ledger(run)
    closed = [r for r in run.records() if r["kind"] == "trial_finished"]
    assert explore.seconds == pytest.approx(sum(r["seconds"] for r in closed), abs=1e-3)
    assert explore.device_s >= before
    asked = sum(r["kind"] == "trial_asked" for r in run.records())
    assert explore.unknown == asked - len(closed)
