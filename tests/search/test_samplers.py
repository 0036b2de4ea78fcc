"""One contract for every sampler in the registry."""

from __future__ import annotations

import logging
from typing import Any
from weakref import WeakKeyDictionary

import pytest
from search_fakes import fake_error

from nas.cost.count import cost
from nas.errors import NotFoundError
from nas.search.samplers import SAMPLERS, Observation, Proposal, encoding
from nas.search.samplers.encoding import distributions, encode
from nas.search.samplers.recent import bounded
from nas.space import AbstractSpace, load_space
from nas.training.device import use_threads

NAMES = list(SAMPLERS)
SPACES = ("tiny_exhaustive", "wired_cnn", "nasbench201")


def observed(space: AbstractSpace, proposal: Proposal, *, failed: bool = False) -> Observation:
    network = space.build(proposal.decisions)
    macs = cost(network, (1, 8, 8), 10).macs
    values = None if failed else (fake_error(network), float(macs))
    return Observation(proposal.decisions, values, {"macs": macs / 4e5 - 1}, proposal.state)


def history(space: AbstractSpace, name: str, batches: int = 3) -> list[Observation]:
    """Results of a few batches of `name` itself, every fifth of them failed."""
    found: list[Observation] = []
    for batch in range(batches):
        proposals = SAMPLERS.get(name)().propose(space, found, 8, batch)
        found += [
            observed(space, proposal, failed=index % 5 == 4)
            for index, proposal in enumerate(proposals)
        ]
    return found


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("space_name", SPACES)
def test_every_sampler_proposes_members_without_and_with_results(
    name: str, space_name: str
) -> None:
    space = load_space(space_name)
    before = history(space, name, 1 if name == "gp" else 3)
    for known in ([], before):
        proposals = SAMPLERS.get(name)().propose(space, known, 3, 7)
        assert len(proposals) == 3
        for proposal in proposals:
            assert space.normalise(proposal.decisions) == proposal.decisions


@pytest.mark.fault("E16", "E17")
@pytest.mark.parametrize("name", NAMES)
def test_a_sampler_is_a_function_of_its_arguments(name: str) -> None:
    space = load_space("tiny_exhaustive")
    before = history(space, "random")
    count = 1 if name == "gp" else 4
    first = SAMPLERS.get(name)().propose(space, before, count, 11)
    assert SAMPLERS.get(name)().propose(space, before, count, 11) == first
    if name in ("random", "nsga2"):
        assert SAMPLERS.get(name)().propose(space, before, count, 12) != first


@pytest.mark.parametrize("name", NAMES)
def test_a_history_of_failures_only_is_no_obstacle(name: str) -> None:
    space = load_space("tiny_exhaustive")
    failed = [
        observed(space, proposal, failed=True)
        for proposal in SAMPLERS.get("random")().propose(space, [], 20, 0)
    ]
    assert len(SAMPLERS.get(name)().propose(space, failed, 4, 0)) == 4


@pytest.mark.parametrize("name", ["nsga2", "tpe"])
def test_a_constraint_draws_proposals_towards_it(name: str) -> None:
    space = load_space("wired_cnn")
    seen: list[Observation] = []
    shares = []
    for batch in range(4):
        proposals = SAMPLERS.get(name)().propose(space, seen, 16, batch)
        results = [observed(space, proposal) for proposal in proposals]
        shares.append(sum(result.violations["macs"] <= 0 for result in results))
        seen += results
    assert sum(shares[2:]) > sum(shares[:2])


@pytest.mark.parametrize("name", NAMES)
def test_samplers_leave_the_logging_of_optuna_as_it_was(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    import optuna

    before = optuna.logging.get_verbosity()
    with caplog.at_level(logging.DEBUG):
        history(load_space("tiny_exhaustive"), name, 1)
    assert optuna.logging.get_verbosity() == before
    assert not caplog.records


def test_nsga2_keeps_the_generation_with_each_proposal() -> None:
    space = load_space("tiny_exhaustive")
    seen: list[Observation] = []
    generations = []
    for batch in range(4):
        proposals = SAMPLERS.get("nsga2")().propose(space, seen, 16, batch)
        generations.append({proposal.state["generation"] for proposal in proposals})
        seen += [observed(space, proposal) for proposal in proposals]
    assert generations == [{0}, {0}, {1}, {1}]  # a generation closes with a whole batch


def test_nsga2_names_the_parents_of_its_children() -> None:
    space = load_space("tiny_exhaustive")
    seen: list[Observation] = []
    for batch in range(3):
        proposals = SAMPLERS.get("nsga2")().propose(space, seen, 24, batch)
        for proposal in proposals:
            assert len(proposal.parents) in ((1, 2) if batch else (0,))
            parents = [seen[place].decisions for place in proposal.parents]
            asked = {name for parent in parents for name in parent}
            inherited = [
                proposal.decisions[name] in [parent.get(name) for parent in parents]
                for name in asked & proposal.decisions.keys()
            ]
            # A mutation changes one answer, and opens questions that nobody answered before.
            assert not parents or sum(inherited) >= len(inherited) / 2
        seen += [observed(space, proposal) for proposal in proposals]


@pytest.mark.parametrize("space_name", SPACES)
def test_every_parameter_of_a_member_has_one_distribution(space_name: str) -> None:
    space = load_space(space_name)
    known = distributions(space.choices)
    for proposal in SAMPLERS.get("random")().propose(space, [], 20, 3):
        for name, value in encode(space, proposal.decisions).items():
            assert known[name]._contains(known[name].to_internal_repr(value))


def test_a_bounded_history_keeps_the_best_and_the_newest() -> None:
    space = load_space("tiny_exhaustive")
    decisions = SAMPLERS.get("random")().propose(space, [], 1, 0)[0].decisions
    all_seen = [Observation(decisions, (float(100 - n if n else -1),)) for n in range(100)]
    kept = bounded(all_seen, 10)
    assert len(kept) == 10
    assert kept[0].values == (-1.0,)
    assert kept[-1] == all_seen[-1]
    assert bounded(all_seen[:5], 10) == all_seen[:5]


@pytest.mark.parametrize("name", ["nsga2", "tpe", "gp"])
def test_encoded_results_that_are_kept_change_no_proposal(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = load_space("tiny_exhaustive")
    seen = history(space, "random")

    def propose(known: list[Observation]) -> list[Proposal]:
        return SAMPLERS.get(name)().propose(space, known, 2, 11)

    with monkeypatch.context() as patch:
        patch.setattr(encoding, "_remembered", encoding._frozen)  # what there was without keeping
        fresh = [propose(seen[:18]), propose(seen)]
    monkeypatch.setattr(encoding, "_kept", WeakKeyDictionary())
    assert [propose(seen[:18]), propose(seen)] == fresh
    assert [propose(seen[:18]), propose(seen)] == fresh
    failed = [Observation(each.decisions, None) for each in seen]
    propose(failed)  # the same members with other results are other trials
    assert [propose(seen[:18]), propose(seen)] == fresh


def test_a_result_is_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    space = load_space("tiny_exhaustive")
    seen = history(space, "random")
    encoded: list[Observation] = []
    real = encoding._frozen

    def counting(space: AbstractSpace, one: Observation, *more: Any) -> Any:
        encoded.append(one)
        return real(space, one, *more)

    monkeypatch.setattr(encoding, "_kept", WeakKeyDictionary())
    monkeypatch.setattr(encoding, "_frozen", counting)
    for end in (8, 16, 24):
        SAMPLERS.get("tpe")().propose(space, seen[:end], 1, 0)
    assert len(encoded) == len({str(each) for each in seen})
    monkeypatch.setattr(encoding, "MOST_KEPT", 4)
    SAMPLERS.get("tpe")().propose(space, history(space, "random", 5), 1, 0)
    assert len(encoding._kept[space]) <= 4


def test_the_gaussian_process_is_fitted_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from nas.search.samplers import gp

    found: list[int] = []
    monkeypatch.setattr(gp, "ask_study", lambda *given: found.append(torch.get_num_threads()) or [])
    with use_threads(2):
        SAMPLERS.get("gp")().propose(load_space("tiny_exhaustive"), [], 1, 0)
        assert torch.get_num_threads() == 2
    assert found == [1]


def test_an_unknown_sampler_is_answered_with_what_there_is() -> None:
    with pytest.raises(NotFoundError, match=r"Unknown sampler 'nsga3'[\s\S]*nsga2"):
        SAMPLERS.get("nsga3")
