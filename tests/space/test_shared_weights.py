"""Sharing of weights as a choice: all partitions, exact counts, and one slot per group."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from nas.cost.count import cost
from nas.space import AbstractSpace, space_from_dict
from nas.supernet.supernet import Supernet
from nas.topology.identity import sharing_id, structural_id, trained_id

SHAPE = (3, 8, 8)


def shared(**stage: Any) -> AbstractSpace:
    fields = {"pattern": "chain", "depth": 4, "width": 4, "weights": "shared", **stage}
    return space_from_dict(
        {"schema": "nas.space/1", "kind": "stages", "name": "shared", "stages": [fields]}
    )


def test_the_members_are_all_partitions_into_groups() -> None:
    space = shared()
    assert space.count() == 1 * 2 * 3 * 4
    assert space.distinct() == 15  # Bell's number of 4
    networks = [space.build(decisions) for decisions in space.enumerate()]
    assert len(set(map(structural_id, networks))) == 1
    assert {trained_id(network)[0] for network in networks} == {"s", "w"}


@pytest.mark.parametrize(("answers", "kernels"), [((), 4), (("op1",), 3), (("op1",) * 3, 1)])
def test_a_group_has_one_kernel_and_every_operation_its_norm(
    answers: tuple[str, ...], kernels: int
) -> None:
    space = shared()
    chosen = {f"stage1.op{n}.weights": answer for n, answer in enumerate(answers, start=2)}
    own = dict.fromkeys(("stage1.op2.weights", "stage1.op3.weights"), "own")
    decisions = space.normalise({**space.walk(lambda choice: choice.default()), **own, **chosen})
    counted = cost(space.build(decisions), SHAPE, 2).parameters
    stem, head, norms = 3 * 4 * 9 + 8, 4 * 2 + 2, 4 * 8
    assert counted == stem + head + norms + kernels * 4 * 4 * 9


def test_operations_that_compute_different_things_share_nothing() -> None:
    space = shared(operation={"choices": ["conv3x3", "conv1x1"], "per": "node"})
    base = space.walk(lambda choice: choice.default())
    unlike = {**base, "stage1.op2.operation": "conv1x1", "stage1.op2.weights": "op1"}
    assert all(node.tie is None for node in space.build(unlike).nodes)
    alike = {**base, "stage1.op2.weights": "op1"}
    assert [node.tie for node in space.build(alike).nodes][2:4] == ["stage1.op1"] * 2


@pytest.mark.parametrize("pattern", ["chain", "residual", "fractal", "free", "dense"])
def test_a_member_inside_the_supernet_is_the_network_it_is_cut_out_as(pattern: str) -> None:
    space = shared(pattern=pattern, depth=3)
    net = Supernet(space, SHAPE, 3, seed=0).double().eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in net.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_(noise, alpha=0.2)
    x = torch.randn((4, *SHAPE), generator=generator, dtype=torch.float64)
    rng = np.random.default_rng(0)
    for _ in range(4):
        member = space.build(space.sample(rng))
        statistics = net.recalibrate(member, x)
        with torch.no_grad():
            alone = net.extract(member, statistics).eval()(x)
            gap = (net(x, member, statistics) - alone).abs().max()
        assert gap <= 1e-10 * alone.abs().max()


def test_results_of_training_are_replayed_by_what_is_shared() -> None:
    space = shared()
    base = space.walk(lambda choice: choice.default())
    tied = {**base, "stage1.op3.weights": "op1"}
    assert space.member_id(base) != space.member_id(tied)
    assert space.member_id(tied) == sharing_id(space.build(tied))
    assert space.member_id(base) == structural_id(space.build(base))
