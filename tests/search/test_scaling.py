"""What grows with the number of trials, and what must not; and clusters that are simulated."""

from __future__ import annotations

import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scale import CHECKOUT, scaled
from search_runs import fake_config

from nas.run_store import Run
from nas.search.driver import resume
from nas.search.exploring.explore import _Explorer
from nas.search.exploring.history import BatchPlan, Entry
from nas.search.exploring.propose import Planner
from nas.search.exploring.view_refresh import SHARE, ViewRefresh
from nas.search.samplers import SAMPLERS, Observation, nsga2
from nas.search.settings.goals import Goals
from nas.search.settings.resolve import searched_space
from nas.space import AbstractSpace, load_space

LONG = 10_000
NEW = 16


class Reached(Exception):
    """The first new trial is asked."""


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return what writes long runs, and what simulates clusters."""
    monkeypatch.syspath_prepend(str(CHECKOUT / "benchmarks"))
    import scaling_parts.long_run
    import scaling_parts.simulation

    return scaling_parts


def case(parts: Any, **changed: Any) -> Any:
    """Return a simulated search with a driver that takes 10 ms per trial."""
    simulation = parts.simulation
    driver = simulation.Driver(plan=0, propose=0.004, ask=0.004, close=0.002, views=0)
    given = {
        "workers": 4,
        "trials": 400,
        "batch": 16,
        "order": "asynchronous",
        "evaluations": [1.0],
        "driver": driver,
    }
    return simulation.simulate(simulation.Case(**{**given, **changed}))


@pytest.mark.fault("A20")
def test_a_long_run_is_resumed_in_seconds_and_looks_at_no_member_again(
    tmp_path: Path, parts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = scaled(LONG) // 8 * 8
    config = fake_config(f"search.trials={trials + NEW}", "space=wired_cnn")
    path = parts.long_run.write_long_run(tmp_path, "long", config, trials)
    identified: list[Any] = []
    first: list[Entry] = []
    real = AbstractSpace.member_id

    def counting(space: AbstractSpace, decisions: Any) -> str:
        identified.append(decisions)
        return real(space, decisions)

    def reached(explorer: _Explorer, batch: int, entry: Entry) -> Any:
        first.append(entry)
        raise Reached

    monkeypatch.setattr(AbstractSpace, "member_id", counting)
    monkeypatch.setattr(_Explorer, "_ask", reached)
    began = time.process_time()
    with pytest.raises(Reached):
        resume(path)
    spent = time.process_time() - began
    assert first[0].trial == trials
    assert len(identified) < 20 * NEW
    assert spent < 5
    with Run.open(path) as run:
        assert len(run.table().finished()) == trials


def test_a_planner_that_followed_plans_as_one_that_reads_everything(
    tmp_path: Path, parts: Any
) -> None:
    config = fake_config("search.trials=200", "search.batch=8", "space=nasbench201")
    path = parts.long_run.write_long_run(tmp_path, "long", config, 48)
    goals, space = Goals.of(config), searched_space(config)
    with Run.open(path) as run:
        table = run.table()
        plans = [
            BatchPlan.from_record(each)
            for each in run.records()
            if each["kind"] == "batch_proposed"
        ]
    follower = Planner(space, config, goals)
    for count in range(len(plans) + 1):
        followed = follower.plan(plans[:count], table, 200)
        assert followed == Planner(space, config, goals).plan(plans[:count], table, 200)
        nsga2._lineages.clear()
    assert follower.plan(plans[:2], table, 200) == Planner(space, config, goals).plan(
        plans[:2], table, 200
    )


def test_ids_of_another_scheme_are_made_again(tmp_path: Path) -> None:
    config = fake_config("space=nasbench201", "search.seed_known_wirings=false")
    space, goals = searched_space(config), Goals.of(config)
    planner = Planner(space, config, goals)
    decisions = space.sample(np.random.default_rng(0))
    old = Entry(0, decisions, member=("s0-000000000000000000000000", ""))
    assert planner._member_of(old) == (space.member_id(decisions), "")
    kept = Entry(0, decisions, member=("s1-000000000000000000000000", ""))
    assert planner._member_of(kept) == kept.member


def test_parents_that_were_selected_before_are_the_same() -> None:
    space = load_space("tiny_exhaustive")
    rng = np.random.default_rng(3)
    history = [
        Observation(space.sample(rng), tuple(rng.random(2)), {"macs": rng.random() - 0.5}, state)
        for state in ({"generation": place // 30} for place in range(150))
    ]

    def propose(known: list[Observation]) -> Any:
        return SAMPLERS.get("nsga2")().propose(space, known, 4, 11)

    alone = []
    for end in (150, 90, 120):
        nsga2._lineages.clear()
        alone.append(propose(history[:end]))
    nsga2._lineages.clear()
    assert [propose(history[:end]) for end in (150, 90, 120)] == alone
    changed = [Observation(history[0].decisions, (0.0, 0.0), {}, {}), *history[1:]]
    after = propose(changed)
    nsga2._lineages.clear()
    assert propose(changed) == after


def test_views_take_a_small_share_of_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    made: list[float] = []

    def rebuild(run: Run) -> None:
        now[0] += 2.0
        made.append(now[0])

    monkeypatch.setattr("nas.search.exploring.view_refresh.rebuild_views", rebuild)
    refresh = ViewRefresh(None, clock=lambda: now[0])  # type: ignore[arg-type]
    while now[0] < 1000:
        refresh.refresh()
        now[0] += 1.0
    assert made[0] == 2.0
    assert 0.9 * SHARE * 1000 <= 2.0 * len(made) <= SHARE * 1000 + 2.0


def test_few_workers_are_busy_and_many_wait_for_the_driver(parts: Any) -> None:
    few = case(parts, workers=4)
    assert few.trials_per_s == pytest.approx(4, rel=0.1)
    assert few.idle < 0.05
    many = case(parts, workers=1024, trials=4000)
    assert many.trials_per_s == pytest.approx(100, rel=0.1)  # 10 ms per trial
    assert many.driver_busy > 0.95
    assert many.idle > 0.85


def test_a_barrier_costs_what_the_slowest_of_a_batch_takes(parts: Any) -> None:
    barrier = case(parts, order="deterministic", workers=16, evaluations=[1.0, 1.0, 1.0, 3.0])
    assert barrier.trials_per_s == pytest.approx(16 / 3.1, rel=0.1)
    free = case(parts, workers=16, evaluations=[1.0, 1.0, 1.0, 3.0])
    assert free.trials_per_s > 1.6 * barrier.trials_per_s


def test_what_the_driver_measures_alone_bounds_the_search(parts: Any) -> None:
    found = case(parts, workers=64, batch=64, measurements=[0.5])
    assert 1.5 < found.trials_per_s < 2
    assert found.idle > 0.9


def test_outcomes_queue_up_where_many_come_at_once(parts: Any) -> None:
    calm = case(parts, workers=2)
    assert calm.longest_queue <= 2
    lengths = list(np.linspace(4.5, 5.0, 50))
    rush = case(parts, order="deterministic", workers=64, batch=64, evaluations=lengths)
    assert rush.longest_queue > calm.longest_queue
    assert rush.mean_queue >= 1
