"""What is proposed next: hand-made first, nothing twice, everything in the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from search_fakes import fake_error
from search_runs import fake_search

from nas.cost.count import cost
from nas.run_store import TrialTable
from nas.search.exploring.history import BatchPlan
from nas.search.exploring.past import Past
from nas.search.exploring.propose import Planner, lightest, smallest
from nas.search.settings.config import SearchConfig
from nas.search.settings.goals import Goals
from nas.search.settings.resolve import resolve_config, resolve_space
from nas.space import load_space

SHAPE = (1, 8, 8)


def config_for(space: str = "tiny_exhaustive", **options: Any) -> SearchConfig:
    return resolve_config(
        {"space": space, "objectives": ["fake_error", "macs"], "plugins": ["search_fakes"]},
        options={name.replace("__", "."): value for name, value in options.items()},
    )


class Simulation:
    """Plans and answers without processes or files."""

    def __init__(self, config: SearchConfig, total: int) -> None:
        self.config = config
        self.space = resolve_space(config)
        self.goals = Goals.of(config)
        self.table = TrialTable()
        self.plans: list[BatchPlan] = []
        self.total = total

    def run(self) -> list[BatchPlan]:
        planner = Planner(self.space, self.config, self.goals)
        while (plan := planner.plan(self.plans, self.table, self.total)) is not None:
            self.plans.append(plan)
            for entry in plan.trials:
                self.answer(entry.trial, dict(entry.decisions))
        return self.plans

    def answer(self, trial: int, decisions: dict[str, Any]) -> None:
        network = self.space.build(decisions)
        values = {
            "fake_error": {"value": fake_error(network)},
            "macs": {"value": float(cost(network, SHAPE, 10).macs)},
        }
        head = {"trial": trial, "attempt": 1}
        self.table.apply({"kind": "trial_asked", **head, "decisions": decisions})
        if trial % 7 == 6:
            self.table.apply({"kind": "trial_failed", **head, "reason": "crash"})
        else:
            self.table.apply({"kind": "trial_finished", **head, "values": values})

    def members(self) -> list[str]:
        return [
            self.space.member_id(entry.decisions) for plan in self.plans for entry in plan.trials
        ]


@pytest.mark.parametrize("sampler", ["nsga2", "random"])
def test_every_member_is_proposed_once_and_then_the_search_ends(sampler: str) -> None:
    simulation = Simulation(config_for(search__sampler=sampler, search__batch=32), 10_000)
    plans = simulation.run()
    members = simulation.members()
    assert len(members) == len(set(members)) == load_space("tiny_exhaustive").distinct()
    assert plans[-1].exhausted
    assert [entry.trial for plan in plans for entry in plan.trials] == list(range(len(members)))


@pytest.mark.fault("D9")
def test_isomorphic_members_are_one_trial() -> None:
    simulation = Simulation(config_for("nasbench201", search__sampler="random"), 60)
    simulation.run()
    members = simulation.members()
    assert len(members) == len(set(members)) == 60
    duplicates = [e for plan in simulation.plans for e in plan.entries if e.duplicate]
    first = {member: trial for trial, member in reversed(list(enumerate(members)))}
    for entry in duplicates:
        assert first[simulation.space.member_id(entry.decisions)] == entry.trial


@pytest.mark.fault("E17")
def test_a_batch_sees_only_the_results_of_batches_before_it() -> None:
    config = config_for(search__trials=48)
    whole = Simulation(config, 48)
    whole.run()
    again = Planner(whole.space, config, whole.goals)
    for plan in whole.plans:
        assert again.plan(whole.plans[: plan.batch], whole.table, 48) == plan


def test_hand_made_wirings_and_preferred_members_come_first() -> None:
    config = config_for(search__trials=64)
    space = resolve_space(config)
    rng = np.random.default_rng(5)
    wishes = [(training, space.sample(rng)) for training in ("relaxation", "path_training")]
    planner = Planner(space, config, Goals.of(config), wishes)
    plan = planner.plan([], TrialTable(), 64)
    assert plan is not None
    by = [entry.proposed_by for entry in plan.entries]
    assert {f"known:{name}" for name in space.known()} <= set(by)
    for training, wish in wishes:
        assert (training, wish) in [(entry.proposed_by, entry.decisions) for entry in plan.entries]
    assert len(plan.trials) == 16
    without = config_for(search__trials=64, search__seed_known_wirings=False)
    plan = Planner(space, without, Goals.of(config)).plan([], TrialTable(), 64)
    assert plan is not None
    assert not any(entry.proposed_by.startswith("known") for entry in plan.entries)


def test_seeds_change_the_proposals() -> None:
    def first(seed: int) -> BatchPlan:
        options = {"seed": seed, "search__seed_known_wirings": False}
        return Simulation(config_for(**options), 16).run()[0]

    assert first(1) == first(1) != first(2)


def test_results_and_duplicates_reach_the_sampler() -> None:
    simulation = Simulation(config_for(), 120)
    simulation.run()
    past = Past(simulation.goals, lambda entry: entry.member or ("", ""))
    past.follow(simulation.plans, simulation.table)
    seen = past.observations()
    assert len(seen) == sum(len(plan.entries) for plan in simulation.plans) > 120
    assert {len(result.values) for result in seen if result.values} == {2}
    assert any(result.values is None for result in seen)


def test_plans_survive_the_log() -> None:
    for plan in Simulation(config_for(), 40).run():
        assert BatchPlan.from_record(plan.to_record()) == plan


@pytest.mark.parametrize("space_name", ["tiny_exhaustive", "wired_cnn", "nasbench201"])
def test_the_lightest_member_costs_no_more_than_where_it_started(space_name: str) -> None:
    space = load_space(space_name)
    for decisions in space.known().values():
        small = smallest(space, decisions)
        light = lightest(space, small)
        assert space.normalise(light) == light
        found = [cost(space.build(d), (3, 32, 32), 10).macs for d in (light, small, decisions)]
        assert found == sorted(found)


def test_the_parents_of_a_trial_are_recorded_by_their_numbers(tmp_path: Path) -> None:
    run = fake_search(tmp_path, "search.sampler=nsga2", "search.trials=48", "search.batch=16")
    trials = run.table().trials
    children = {
        number: trial.extra["parents"]
        for number, trial in trials.items()
        if trial.extra.get("parents")
    }
    assert len(children) > 8
    for number, parents in children.items():
        assert trials[number].extra["proposed_by"] == "nsga2"
        assert all(parent < number for parent in parents)
