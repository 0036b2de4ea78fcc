"""For every norm and operation behind a concatenation: slices equal it, or weights are separate.

Slices equal the concatenation where the output in front of which they are added up is a sum of one
function per input (its mixed second difference vanishes), and where each of these functions reaches
the same output channels whatever is stacked beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from nas.model.initialise import initialise
from nas.model.layers import build_layer
from nas.topology.concat_slices import NORMS, concat_case, concat_table
from nas.topology.layers import (
    AbstractLayer,
    BatchNorm,
    ChannelShuffle,
    Conv,
    EffectiveSqueezeExcite,
    LayerNorm,
    ReLU,
    SqueezeExcite,
    TokenLinear,
)
from nas.topology.merges import MERGES
from nas.topology.operations import OPERATIONS

TABLE = concat_table()
WRITTEN = {
    "groups": (Conv(3, groups=2),),
    "squeeze": (SqueezeExcite(), Conv(1)),
    "effective squeeze": (EffectiveSqueezeExcite(), Conv(1)),
    "shuffle": (ChannelShuffle(2), Conv(1)),
    "tokens": (TokenLinear(), Conv(1)),
    "biased": (BatchNorm(), ReLU(), Conv(3, bias=True)),
    "late layer norm": (Conv(3), LayerNorm()),
}
CHANNELS, SIDE, WIDTH = (4, 4), 6, 12


def module_of(layers: Sequence[AbstractLayer], channels: int) -> nn.Sequential:
    """Build layers with random weights and statistics, as trained ones are."""
    shape, modules = (channels, SIDE, SIDE), []
    for layer in layers:
        modules.append(build_layer(layer.at(shape), shape[0], WIDTH))
        shape = layer.output(shape, WIDTH, 1)
    built = nn.Sequential(*modules).double().eval()
    generator = torch.Generator().manual_seed(0)
    initialise(built, generator, "default")
    with torch.no_grad():
        for value in (*built.parameters(), *built.buffers()):
            if value.is_floating_point():
                value.add_(torch.rand(value.shape, generator=generator))
    return built


def drawn(seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    shape = (2, CHANNELS[seed % 2], SIDE, SIDE)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


@torch.no_grad()
def mixed_difference(module: nn.Module) -> float:
    """Return how far a function of two stacked inputs is from a sum of functions of each."""
    one, other, first, second = drawn(0), drawn(2), drawn(1), drawn(3)

    def run(x: Tensor, y: Tensor) -> Tensor:
        stacked: Tensor = module(torch.cat([x, y], 1))
        return stacked

    whole = run(one, first)
    slices = run(one, second) + run(other, first) - run(other, second)
    return float((whole - slices).abs().max() / whole.abs().max())


@torch.no_grad()
def reached(module: nn.Module) -> set[int]:
    """Return the output channels that the older of two stacked inputs has an effect on."""
    change = [module(torch.cat([drawn(seed), drawn(1)], 1)) for seed in (0, 2)]
    moved = (change[0] - change[1]).abs().amax((0, 2, 3)) > 1e-12
    return {channel for channel, moves in enumerate(moved.tolist()) if moves}


def slices_equal_the_concat(layers: Sequence[AbstractLayer], sums: int) -> bool:
    """Measure it on the layers up to where slices are added up."""
    if not layers:
        return True
    module = module_of(layers[:sums], sum(CHANNELS))
    if mixed_difference(module) > 1e-9:
        return False
    mixes = layers[sums - 1].channel_use == "sum"
    outputs = module(torch.cat([drawn(0), drawn(1)], 1)).shape[1]
    return reached(module) == set(range(outputs if mixes else CHANNELS[0]))


@pytest.mark.parametrize(("norm", "name"), sorted(TABLE))
def test_the_table_is_what_the_modules_do(norm: str, name: str) -> None:
    if name == "none":
        return  # zeros have no weights
    case = TABLE[norm, name]
    layers = (*NORMS[norm], *OPERATIONS.get(name).layers)
    assert slices_equal_the_concat(layers, case.sums) == case.exact


@pytest.mark.parametrize("name", sorted(WRITTEN))
@pytest.mark.parametrize("norm", sorted(NORMS))
def test_rows_with_gates_groups_and_shuffles_are_what_their_modules_do(
    norm: str, name: str
) -> None:
    layers = (*NORMS[norm], *WRITTEN[name])
    case = concat_case(layers)
    assert slices_equal_the_concat(layers, case.sums) == case.exact
    expected = norm != "layer" and name in ("tokens", "biased", "late layer norm")
    assert case.exact == expected


def test_the_table_says_which_layer_is_in_the_way() -> None:
    assert TABLE["layer", "conv3x3"].obstacle == "LayerNorm"
    assert TABLE["batch", "conv3x3"].obstacle is None
    assert concat_case(WRITTEN["squeeze"]).obstacle == "SqueezeExcite"
    assert concat_case(WRITTEN["groups"]).obstacle == "Conv"
    assert {case.exact for (norm, _), case in TABLE.items() if norm == "layer"} == {False}
    assert TABLE["none", "mbconv3x3"].exact and TABLE["batch", "separable3x3"].exact


def test_slices_of_a_dense_convolution_are_its_weights_by_channels() -> None:
    x, y = drawn(0), drawn(1)
    conv = module_of([Conv(3)], sum(CHANNELS))[0]
    weight = conv.get_parameter("weight")
    whole = conv(torch.cat([x, y], 1))
    parts = [weight[:, : CHANNELS[0]], weight[:, CHANNELS[0] :]]
    slices = [
        nn.functional.conv2d(each, part, padding=1)
        for each, part in zip((x, y), parts, strict=True)
    ]
    assert torch.allclose(whole, slices[0] + slices[1], atol=1e-12)


def test_a_maximum_in_front_of_a_convolution_is_no_sum_of_slices() -> None:
    """So only linear merges are mixed."""
    conv = module_of([Conv(1)], CHANNELS[0])

    class Largest(nn.Module):
        def forward(self, stacked: Tensor) -> Tensor:
            maximum: Tensor = conv(torch.maximum(*stacked.chunk(2, 1)))
            return maximum

    assert mixed_difference(Largest()) > 1e-3
    assert not MERGES.get("softmax_b").linear
