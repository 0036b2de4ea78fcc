"""What every sharing policy promises; a new one is tested by being registered."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from scale import scaled
from supernet_cases import SHAPE, images, one_stage, shaken, space

from nas.errors import RunError
from nas.space import AbstractSpace, Decisions
from nas.supernet.sharing import SHARING
from nas.supernet.supernet import Supernet

POLICIES = list(SHARING)


def spaces_of(policy: str) -> list[AbstractSpace]:
    limit = SHARING.get(policy).member_limit
    every = [space(name) for name in ("tiny_exhaustive", "wired_cnn", "nasbench201", "fractal")]
    return [each for each in every if limit is None or each.count() <= limit]


def small_space() -> AbstractSpace:
    """A space of few members for what no size changes: `none` has weights of its own for each."""
    return one_stage("sum", depth=2, patterns=("residual", "chain"))


def drawn(declared: AbstractSpace, count: int, seed: int = 0) -> list[Decisions]:
    rng = np.random.default_rng(seed)
    return [declared.sample(rng) for _ in range(count)]


@pytest.mark.parametrize("policy", POLICIES)
def test_a_member_is_its_stand_alone_network_under_every_policy(policy: str) -> None:
    for declared in spaces_of(policy):
        supernet = shaken(Supernet(declared, SHAPE, 5, sharing=policy).double()).eval()
        for member in drawn(declared, scaled(30)):
            architecture = declared.build(member)
            statistics = supernet.recalibrate(architecture, images(8, seed=1))
            ours = supernet(images(), architecture, statistics)
            theirs = supernet.extract(architecture, statistics)(images())
            assert (ours - theirs).abs().max() < 1e-10 * theirs.abs().max()


@pytest.mark.parametrize("policy", POLICIES)
def test_no_two_places_of_a_member_read_one_slot(policy: str) -> None:
    for declared in spaces_of(policy):
        supernet = Supernet(declared, SHAPE, 5, sharing=policy)
        for member in drawn(declared, scaled(50)):
            program = supernet.program(declared.build(member))
            counts = Counter(use.key for use in (*program.uses, *supernet.head_uses(program)))
            assert set(counts.values()) == {1}, counts.most_common(1)


@pytest.mark.parametrize("policy", POLICIES)
def test_one_seed_gives_one_start_and_arrays_bring_weights_back(policy: str) -> None:
    declared = small_space()
    first, second = (Supernet(declared, SHAPE, 5, sharing=policy, seed=3) for _ in range(2))
    ours, theirs = first.state_arrays(), second.state_arrays()
    assert set(ours) == set(theirs)
    assert all(np.array_equal(ours[key], theirs[key]) for key in ours)
    architecture = declared.build(drawn(declared, 1)[0])
    x = images(dtype=torch.float32)
    shaken(first).train()(x, architecture)  # also moves the running statistics
    second.load_arrays(first.state_arrays())
    for supernet in (first, second):
        supernet.eval()
    left, right = (
        each(x, architecture, each.running_statistics(architecture)) for each in (first, second)
    )
    assert torch.equal(left, right)
    again = second.state_arrays()
    assert all(np.array_equal(again[key], value) for key, value in first.state_arrays().items())


@pytest.mark.parametrize("policy", POLICIES)
def test_weights_of_another_policy_are_refused(policy: str) -> None:
    declared = small_space()
    other = "family" if policy != "family" else "position"
    arrays = Supernet(declared, SHAPE, 5, sharing=other).state_arrays()
    with pytest.raises(
        RunError, match=rf"weights: {other}[\s\S]*weights: {policy}[\s\S]*policy of"
    ):
        Supernet(declared, SHAPE, 5, sharing=policy).load_arrays(arrays)


@pytest.mark.parametrize("policy", POLICIES)
def test_weights_of_another_space_are_refused(policy: str) -> None:
    arrays = Supernet(one_stage(depth=1), SHAPE, 5, sharing=policy).state_arrays()
    with pytest.raises(RunError, match=r"its space is[\s\S]*another space"):
        Supernet(small_space(), SHAPE, 5, sharing=policy).load_arrays(arrays)


@pytest.mark.parametrize("policy", POLICIES)
def test_unsampled_weights_of_every_policy_get_no_gradient(policy: str) -> None:
    declared = small_space()
    supernet = Supernet(declared, SHAPE, 5, sharing=policy)
    architecture = declared.build(drawn(declared, 1)[0])
    supernet(images(dtype=torch.float32), architecture).square().sum().backward()
    active = supernet.active(architecture)
    for key, value in supernet.weights.slots():
        assert (value.grad is not None) == (key in active)
