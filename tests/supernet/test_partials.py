"""Partial channels: one in one is the whole, memory falls, edges have strengths, misfits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from supernet_cases import SHAPE, images, shaken
from torch import Tensor

from nas.errors import ConfigError, SpaceError
from nas.space import AbstractSpace, space_from_dict
from nas.supernet.binding import Binder
from nas.supernet.gate_places import strength_name
from nas.supernet.mixtures.mixing import mix
from nas.supernet.mixtures.mixture import Mixing
from nas.supernet.mixtures.relaxed import RelaxedRun, relaxed_logits, relaxed_slots
from nas.supernet.partials import PARTIALS, WHOLE, Portion, part_of, rejoined
from nas.supernet.partials.channels import ChannelOptions, Channels
from nas.supernet.relaxation import Relaxation
from nas.supernet.relaxation_config import RelaxationSettings
from nas.supernet.relaxation_parts import check_fit
from nas.supernet.supernet import Supernet


def wired(width: int = 8, operations: tuple[str, ...] = ("conv3x3", "conv5x5")) -> AbstractSpace:
    stage = {
        "pattern": "free",
        "depth": 3,
        "width": width,
        "operation": {"choices": list(operations), "per": "node"},
        "merge": {"choices": ["sum", "concat"], "per": "node"},
    }
    return space_from_dict(
        {"schema": "nas.space/1", "kind": "stages", "name": "wired", "stages": [stage]}
    )


def cells(width: int = 8) -> AbstractSpace:
    operations = ["none", "identity", "relu_conv3x3_bn", "avg_pool3x3"]
    return space_from_dict(
        {
            "schema": "nas.space/1",
            "kind": "cells",
            "name": "small-cells",
            "cell": {"nodes": 3, "operations": operations},
            "stages": [{"cells": 1, "width": width}, {"cells": 1, "width": 2 * width}],
        }
    )


def relaxed(
    space: AbstractSpace, portion: Portion, seed: int = 0
) -> tuple[Supernet, Relaxation, Mixing, dict[str, Tensor]]:
    supernet = shaken(Supernet(space, SHAPE, 5).double())
    relaxation = Relaxation(
        space, operations="mixed", edge_strengths=portion.edge_strengths
    ).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        shape = relaxation.logits.shape
        relaxation.logits.copy_(torch.randn(shape, generator=generator, dtype=torch.float64))
    context = relaxation.sample(np.random.default_rng(0))
    mixing = mix(supernet, Binder(space), context, portion)
    return supernet, relaxation, mixing, relaxation.values(context)


@pytest.mark.parametrize("space", [wired(), cells()], ids=["nodes", "edges"])
def test_one_part_in_one_is_exactly_the_whole(space: AbstractSpace) -> None:
    one = Channels(ChannelOptions(divisor=1, edge_normalisation=False)).portion()
    assert one == WHOLE == PARTIALS.get("none")().portion()
    outputs = []
    for portion in (WHOLE, Portion(1, True)):
        supernet, _, mixing, values = relaxed(space, portion)
        outputs.append(relaxed_logits(supernet, mixing, values, images()))
    assert torch.equal(*outputs)


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("space", [wired(), cells()], ids=["nodes", "edges"])
def test_the_part_reads_leading_slices_and_trains_them_alone(
    space: AbstractSpace, shuffled: bool
) -> None:
    supernet, _, mixing, values = relaxed(space, Portion(4, shuffled))
    loss = relaxed_logits(supernet, mixing, values, images()).square().sum()
    loss.backward()  # type: ignore[no-untyped-call]
    shapes = relaxed_slots(supernet, mixing)
    assert mixing.narrowed
    kernels = [key for key in mixing.narrowed if supernet.weights.slot(key).dim() == 4]
    for key in kernels:
        slot = supernet.weights.slot(key)
        assert slot.grad is not None
        part = tuple(slice(size) for size in shapes[key])
        assert shapes[key][0] == slot.shape[0] // 4
        assert slot.grad[part].abs().sum() > 0
        outside = slot.grad.clone()
        outside[part] = 0
        assert not outside.any()


def saved_bytes(portion: Portion) -> int:
    """Bytes that one node's mixed operations keep for the backward pass, its input aside."""
    space = wired(width=32, operations=("conv3x3", "conv5x5", "conv1x1", "separable3x3"))
    supernet, _, mixing, values = relaxed(space, portion)
    call = next(call for call in mixing.program.calls if call.name == "stage1.op1")
    x = torch.randn(16, *call.step.merged, dtype=torch.float64, requires_grad=True)
    ignored = {value.data_ptr() for _, value in supernet.weights.slots()} | {x.data_ptr()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in ignored:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    run = RelaxedRun(supernet, mixing, values)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = run.operate(call, mixing.nodes[("stage1.op1",)], x)
    assert output.shape == x.shape
    return sum(kept.values())


def test_memory_of_mixed_operations_falls_as_the_part_does() -> None:
    whole = saved_bytes(Portion(1))
    for divisor in (2, 4, 8):
        assert saved_bytes(Portion(divisor)) == pytest.approx(whole / divisor, rel=0.2)


def test_strengths_multiply_gates_and_equal_ones_change_nothing() -> None:
    space = wired()
    _, relaxation, mixing, values = relaxed(space, Portion(edge_strengths=True))
    weights = Supernet(space, SHAPE, 5).double().weights
    weights.hold((*mixing.uses, *mixing.program.uses))
    name = "stage1.op3.inputs"
    strengths = strength_name(next(c for c in relaxation.every_choice() if c.name == name))
    row = mixing.nodes[("stage1.op3",)].row
    equal = {**values, strengths: torch.full_like(values[strengths], 0.7)}
    without = {**values, strengths: torch.zeros_like(values[strengths])}
    tilted = {**equal, strengths: torch.tensor([3.0, 0.0, 0.0], dtype=torch.float64)}
    numbers = [
        mixing.coefficients(mixing.vector(given), weights)[0][row].detach()
        for given in (without, equal, tilted)
    ]
    torch.testing.assert_close(numbers[0], numbers[1])
    shares = [given / given.sum() for given in (numbers[0][:3], numbers[2][:3])]
    gates = values[name]
    expected = gates * torch.tensor([3.0, 0.0, 0.0], dtype=torch.float64).softmax(0)
    if mixing.nodes[("stage1.op3",)].projections is None:
        torch.testing.assert_close(shares[1], expected / expected.sum())
    assert shares[1][0] > shares[0][0]


@pytest.mark.parametrize("space", [wired(), cells()], ids=["nodes", "edges"])
def test_every_vertex_is_the_discrete_network_with_strengths(space: AbstractSpace) -> None:
    portion = Portion(edge_strengths=True)
    supernet, relaxation, _, _ = relaxed(space, portion)
    rng, binder, x = np.random.default_rng(3), Binder(space), images()
    for _ in range(5):
        member = space.sample(rng)
        context, values = relaxation.context(member)
        with torch.no_grad():
            ours = relaxed_logits(supernet, mix(supernet, binder, context, portion), values, x)
            theirs = supernet(x, space.build(member))
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def test_strengths_have_the_gradient_of_finite_differences() -> None:
    space = cells()
    supernet, relaxation, mixing, _ = relaxed(space, Portion(2, True, True))
    context = relaxation.sample(np.random.default_rng(0))

    def loss() -> Tensor:
        return relaxed_logits(supernet, mixing, relaxation.values(context), images()).square().sum()

    (gradient,) = torch.autograd.grad(loss(), [relaxation.logits])
    places = [p for choice in context.relaxed for p in relaxation.strength_positions(choice)]
    assert gradient[places].abs().max() > 1e-6
    for place in torch.nonzero(gradient).flatten().tolist():
        values = []
        for change in (1e-5, -2e-5):
            relaxation.logits.data[place] += change
            values.append(float(loss().detach()))
        relaxation.logits.data[place] += 1e-5
        estimate = (values[0] - values[1]) / 2e-5
        assert float(gradient[place]) == pytest.approx(estimate, rel=1e-4, abs=1e-6)


def test_an_edge_of_little_strength_does_not_survive_its_gate() -> None:
    space = wired()
    relaxation = Relaxation(space, edge_strengths=True)
    choice = next(c for c in relaxation.every_choice() if c.name == "stage1.op3.inputs")
    sampler = relaxation.sampler(choice)
    assert sampler.settle(relaxation.gate(choice)) == ["in", "op1", "op2"]
    with torch.no_grad():
        relaxation.logits[relaxation.strength_positions(choice)[1]] = -5.0
    assert sampler.settle(relaxation.gate(choice)) == ["in", "op2"]


def test_parts_are_put_together_again_with_and_without_a_shuffle() -> None:
    state = torch.arange(6.0).view(1, 6, 1, 1)
    plain = rejoined(state[:, :2], state[:, 2:], 3, shuffled=False)
    assert plain.flatten().tolist() == [0, 1, 2, 3, 4, 5]
    mixed = rejoined(state[:, :2], state[:, 2:], 3, shuffled=True)
    assert mixed.flatten().tolist() == [0, 2, 4, 1, 3, 5]
    assert part_of(8, 8, 1, 4) == 2
    assert part_of(8, 16, 1, 4) is part_of(8, 8, 2, 4) is part_of(8, 8, 1, 1) is None


def test_channels_that_cannot_be_divided_are_refused() -> None:
    settings = RelaxationSettings(preset="pc-darts")
    with pytest.raises(ConfigError, match=r"6 channels cannot be divided into 4 equal parts"):
        check_fit(settings, wired(width=6))
    with pytest.raises(SpaceError, match=r"cannot be mixed in part: 6 channels"):
        relaxed(wired(width=6), Portion(4))


def test_a_space_without_mixed_operations_is_refused() -> None:
    settings = RelaxationSettings(operations="sampled", partial="channels")
    with pytest.raises(
        ConfigError, match=r"partial 'channels' does not fit the space 'wired'[\s\S]*is mixed"
    ):
        check_fit(settings, wired())
    with pytest.raises(ConfigError, match=r"preset 'pc-darts' \(partial 'channels'\)"):
        check_fit(RelaxationSettings(preset="pc-darts"), wired(operations=("conv3x3",)))
