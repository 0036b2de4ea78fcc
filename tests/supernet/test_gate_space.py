"""Gates by sharing policy: the same members, under names that their gates are kept by."""

from __future__ import annotations

import numpy as np
import pytest
from supernet_cases import SHAPE, one_stage, space

from nas.space import AbstractSpace, Decisions
from nas.space.choices import all_names
from nas.supernet.gate_space import GateSpace
from nas.supernet.relaxation import Relaxation
from nas.supernet.sharing_config import SharingConfig
from nas.supernet.sharing_rule import SharingRule
from nas.supernet.supernet import Supernet


def gated(declared: AbstractSpace, policy: str) -> GateSpace:
    return GateSpace(declared, SharingRule.of(SharingConfig(gates=policy)))


@pytest.mark.parametrize("policy", ["position", "role", "family"])
@pytest.mark.parametrize("name", ["wired_cnn", "tiny_exhaustive", "nasbench201"])
def test_members_are_the_same_under_every_policy_of_gates(name: str, policy: str) -> None:
    declared = space(name)
    named = gated(declared, policy)
    assert named.count() == declared.count()
    rng = np.random.default_rng(0)
    for _ in range(5):
        decisions = declared.sample(rng)
        other = named.renamed(decisions)
        assert named.original(other) == decisions
        assert named.build(other) == declared.build(decisions)
        assert named.wiring(other) == declared.wiring(decisions)
        drawn = named.sample(rng)
        assert named.renamed(named.original(drawn)) == drawn
    known = {family: named.original(member) for family, member in named.known().items()}
    assert known == declared.known()


def positions(relaxation: Relaxation, family: str, question: str) -> set[int]:
    named = relaxation.space
    decisions: Decisions = next(
        member
        for member in (named.sample(np.random.default_rng(seed)) for seed in range(100))
        if member["stage1.pattern"] == family
    )
    (choice,) = (choice for choice in named.asked(decisions) if choice.name.endswith(f"{question}"))
    return set(relaxation.positions(choice))


def test_families_have_gates_of_their_own_where_the_policy_says_so() -> None:
    stage = one_stage(patterns=("chain", "residual", "dense"))
    question = "stage1.op2.operation"
    for policy, shared in (("position", True), ("family", False)):
        relaxation = Relaxation(gated(stage, policy))
        chain, dense = (positions(relaxation, name, question) for name in ("chain", "dense"))
        assert (chain == dense) == shared
        assert shared or not chain & dense
    by_family, by_position = (gated(stage, policy) for policy in ("family", "position"))
    assert "dense:stage1.op2.operation" in all_names(by_family.choices)
    assert all_names(by_position.choices) == all_names(stage.choices)
    assert "stage1.pattern" in all_names(by_family.choices)
    assert by_family.fingerprint != stage.fingerprint


def test_weights_are_shared_as_ever_when_gates_are_not() -> None:
    stage = one_stage()
    plain, apart = Supernet(stage, SHAPE, 5), Supernet(gated(stage, "family"), SHAPE, 5)
    assert set(plain.weights.arrays()) == set(apart.weights.arrays())
