"""Initial weights: aligned ones are near the identity, all come from the seed alone."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nas.errors import ConfigError
from nas.model.initialise import DEFAULT_NOISE, aligned_, default_, initialise, initialise_head
from nas.model.network import Network
from nas.topology.published import build_published


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(st.integers(1, 12), st.sampled_from([1, 3, 5]))
def test_an_aligned_square_convolution_is_the_identity(channels: int, kernel: int) -> None:
    weight = aligned_(torch.empty(channels, channels, kernel, kernel), generator(), noise=0.0)
    x = torch.randn(2, channels, 5, 6)
    assert torch.equal(F.conv2d(x, weight, padding=kernel // 2), x)


@given(st.integers(1, 12), st.sampled_from([3, 5]))
def test_an_aligned_depthwise_convolution_is_the_identity(channels: int, kernel: int) -> None:
    weight = aligned_(torch.empty(channels, 1, kernel, kernel), generator(), noise=0.0)
    x = torch.randn(2, channels, 5, 6)
    assert torch.equal(F.conv2d(x, weight, padding=kernel // 2, groups=channels), x)


@given(st.integers(1, 12), st.integers(1, 4))
def test_widening_and_narrowing_again_is_the_identity(channels: int, factor: int) -> None:
    widen = aligned_(torch.empty(channels * factor, channels), generator(), noise=0.0)
    narrow = aligned_(torch.empty(channels, channels * factor), generator(), noise=0.0)
    assert torch.allclose(narrow @ widen, torch.eye(channels))


@given(st.integers(1, 12), st.integers(1, 12))
def test_every_aligned_output_is_an_average_of_inputs(outputs: int, inputs: int) -> None:
    weight = aligned_(torch.empty(outputs, inputs), generator(), noise=0.0)
    assert torch.allclose(weight.sum(1), torch.ones(outputs))
    assert bool((weight.sum(0) > 0).all()) or outputs < inputs


def test_the_noise_has_the_asked_share_of_the_default_deviation() -> None:
    weight = aligned_(torch.empty(64, 64, 3, 3), generator(), noise=0.5)
    noise = weight - aligned_(torch.empty(64, 64, 3, 3), generator(), noise=0.0)
    assert noise.std().item() == pytest.approx(0.5 * (2 / (64 * 9)) ** 0.5, rel=0.02)
    assert 0 < DEFAULT_NOISE < 1


def test_default_weights_have_the_published_variance() -> None:
    weight = default_(torch.empty(128, 64, 3, 3), generator())
    assert weight.var().item() == pytest.approx(2 / (128 * 9), rel=0.02)


def test_a_fresh_head_is_bounded_and_has_no_bias() -> None:
    head = nn.Linear(16, 10)
    initialise_head(head, generator())
    assert head.weight.abs().max().item() <= 0.25
    assert not head.bias.any()


@pytest.mark.parametrize("kind", ["aligned", "default"])
def test_weights_depend_on_the_seed_alone(kind: str) -> None:
    architecture = build_published("resnet-cifar", depth=8, width=4)
    torch.manual_seed(11)
    before = torch.random.get_rng_state()
    first = Network(architecture, (1, 8, 8), 10, initialisation=kind, seed=4)  # type: ignore[arg-type]
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(12)
    second = Network(architecture, (1, 8, 8), 10, initialisation=kind, seed=4)  # type: ignore[arg-type]
    other = Network(architecture, (1, 8, 8), 10, initialisation=kind, seed=5)  # type: ignore[arg-type]
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    assert all(torch.equal(one, two) for one, two in pairs)
    assert not torch.equal(first.head.weight, other.head.weight)


def test_initialising_again_gives_the_same_weights() -> None:
    network = Network(build_published("resnet-cifar", depth=8, width=4), (1, 8, 8), 10, seed=4)
    kept = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.train()(torch.randn(8, 1, 8, 8))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(7.0)
    initialise(network, generator(4))
    assert all(torch.equal(kept[name], now) for name, now in network.state_dict().items())


def test_an_unknown_initialisation_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'alinged'(?s:.*)aligned, default"):
        Network(build_published("plain-cifar"), (3, 8, 8), 10, initialisation="alinged")  # type: ignore[arg-type]
