"""Modules written by hand become architectures that compute the same, with their weights."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import Phase, given, settings
from scale import scaled
from strategies import INPUT_SHAPE, architectures
from torch import Tensor, nn

import nas
from nas.cost.count import cost
from nas.errors import ArchitectureError
from nas.model.from_module import ImportedModule, from_module
from nas.model.network import Network
from nas.space import load_space
from nas.topology.graph import Architecture
from nas.topology.identity import structural_id
from nas.topology.published import build_published_text
from nas.topology.serial import dump_architecture, load_architecture

IMAGE = (3, 16, 16)


def settled(module: nn.Module, seed: int = 0) -> nn.Module:
    """Give every weight and statistic a number of its own, in float64 and eval mode."""
    generator = torch.Generator().manual_seed(seed)
    module = module.double().eval()
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if value.is_floating_point():
                noise = torch.rand(value.shape, generator=generator, dtype=torch.float64)
                low = 0.5 if name.endswith("running_var") else -0.5
                value.copy_(noise + low)
    return module


def checked(
    module: nn.Module, shape: tuple[int, int, int] = IMAGE, *, unused: tuple[str, ...] | None = ()
) -> ImportedModule:
    """Import a module and hold outputs and parameters against it; `unused` None: whatever is."""
    module = settled(module)
    found = from_module(module, input_shape=shape)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(3, *shape, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        expected, given = module(x.clone()), found.network(x.clone())
    assert given.shape == expected.shape
    assert torch.allclose(given, expected, rtol=1e-10, atol=1e-10 * float(expected.abs().max()))
    assert unused is None or found.unused == unused
    left_out = sum(module.get_parameter(name).numel() for name in found.unused)
    numbers = sum(value.numel() for value in module.parameters()) - left_out
    assert sum(value.numel() for value in found.network.parameters()) == numbers
    assert cost(found.architecture, shape, found.network.num_classes).parameters == numbers
    assert load_architecture(dump_architecture(found.architecture)) == found.architecture
    return found


def conv_bn(inputs: int, outputs: int, kernel: int = 3, **more: Any) -> nn.Sequential:
    padding = more.pop("padding", kernel // 2)
    conv = nn.Conv2d(inputs, outputs, kernel, padding=padding, bias=False, **more)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class Head(nn.Module):
    """Pooling, flattening, dropout and the classifier, in one of the usual spellings."""

    def __init__(self, channels: int, spelling: str = "module") -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d((1, 1))
        self.drop = nn.Dropout(0.5)
        self.linear = nn.Linear(channels, 5)
        self.spelling = spelling

    def forward(self, x: Tensor) -> Tensor:
        if self.spelling == "mean":
            x = x.mean([-2, -1])
        elif self.spelling == "view":
            x = F.adaptive_avg_pool2d(x, 1).view(x.size(0), -1)
        elif self.spelling == "window":
            x = F.avg_pool2d(x, x.shape[-1]).squeeze(-1).squeeze(-1)
        else:
            x = torch.flatten(self.pool(x), 1)
        return self.linear(self.drop(x))


class Residual(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = conv_bn(inputs, outputs, stride=stride)
        self.second = conv_bn(outputs, outputs)
        self.relu = nn.ReLU(inplace=True)
        self.skip = conv_bn(inputs, outputs, 1, stride=stride) if stride > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(self.relu(self.first(x)))
        y += x if self.skip is None else self.skip(x)
        return self.relu(y)


class ResNet(nn.Sequential):
    def __init__(self, spelling: str = "module") -> None:
        stem = nn.Sequential(*conv_bn(3, 8, 7, stride=2), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        super().__init__(stem, Residual(8, 8, 1), Residual(8, 12, 2), Head(12, spelling))


class PreActivation(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.BatchNorm2d(inputs), nn.BatchNorm2d(outputs)])
        self.convs = nn.ModuleList(
            [
                nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
                nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            ]
        )
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norms[0](x))
        y = self.convs[1](F.relu(self.norms[1](self.convs[0](y))))
        return y + self.shortcut(x)


class DenseLayer(nn.Module):
    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(inputs), nn.BatchNorm2d(4 * growth)
        self.conv1 = nn.Conv2d(inputs, 4 * growth, 1, bias=False)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, features: list[Tensor]) -> Tensor:
        x = self.conv1(F.relu(self.norm1(torch.cat(features, 1))))
        return F.dropout(self.conv2(F.relu(self.norm2(x))), 0.2, training=self.training)


class DenseNet(nn.Module):
    def __init__(self, newest_first: bool = False) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.layers = nn.ModuleList(DenseLayer(8 + 4 * n, 4) for n in range(3))
        self.transition = nn.Sequential(
            nn.BatchNorm2d(20), nn.ReLU(True), nn.Conv2d(20, 10, 1, bias=False), nn.AvgPool2d(2)
        )
        self.last = nn.ModuleList(DenseLayer(10 + 4 * n, 4) for n in range(2))
        self.norm = nn.BatchNorm2d(18)
        self.head = Head(18)
        self.newest_first = newest_first

    def forward(self, x: Tensor) -> Tensor:
        for layers, after in ((self.layers, self.transition), (self.last, self.norm)):
            features = [self.stem(x) if layers is self.layers else x]
            for layer in layers:
                new = layer(features)
                features = [new, *features] if self.newest_first else [*features, new]
            x = after(torch.cat(features, 1))
        return self.head(F.relu(x))


class Inception(nn.Module):
    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.one = nn.Conv2d(inputs, 4, 1)
        self.three = nn.Sequential(
            nn.Conv2d(inputs, 3, 1), nn.ReLU(), nn.Conv2d(3, 6, (1, 7), 1, (0, 3))
        )
        self.dilated = nn.Sequential(*conv_bn(inputs, 4, 3, padding=2, dilation=2), nn.SiLU())
        self.pool = nn.Sequential(nn.AvgPool2d(3, 1, 1), nn.Conv2d(inputs, 2, 1))

    def forward(self, x: Tensor) -> Tensor:
        branches = [self.one(x), self.three(x), self.dilated(x), self.pool(x)]
        return F.relu(torch.cat(branches, dim=-3))


class InvertedResidual(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, gated: bool) -> None:
        super().__init__()
        hidden = 3 * inputs
        self.expand = nn.Sequential(*conv_bn(inputs, hidden, 1), nn.ReLU6(inplace=True))
        self.depthwise = nn.Sequential(
            *conv_bn(hidden, hidden, stride=stride, groups=hidden), nn.Hardswish()
        )
        self.squeeze = nn.Conv2d(hidden, 4, 1) if gated else None
        self.excite = nn.Conv2d(4, hidden, 1)
        self.project = conv_bn(hidden, outputs, 1)
        self.skips = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.depthwise(self.expand(x))
        if self.squeeze is not None:
            gate = self.excite(F.silu(self.squeeze(y.mean((2, 3), keepdim=True))))
            y = torch.sigmoid(gate) * y
        y = self.project(y)
        return x + y if self.skips else y


@pytest.mark.parametrize("spelling", ["module", "mean", "view", "window"])
def test_a_residual_network_is_taken_over(spelling: str) -> None:
    shape = (3, 32, 32)
    found = checked(ResNet(spelling), shape)
    assert found.architecture.head == "classifier"
    operations = [node.operation for node in found.architecture.nodes]
    assert operations[1:5] == ["conv7x7+bn+relu", "max_pool3x3", "conv3x3", "conv3x3_bn"]
    assert operations[-1].startswith("avgpool" if spelling == "window" else "relu")
    assert found.architecture.nodes[3].name == "1.first.0"


def test_pre_activation_rows_end_with_their_convolution() -> None:
    module = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        PreActivation(8, 8, 1),
        PreActivation(8, 12, 2),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        Head(12),
    )
    found = checked(module)
    assert "bn_relu_conv3x3" in {node.operation for node in found.architecture.nodes}


@pytest.mark.parametrize("newest_first", [False, True])
def test_a_dense_network_is_taken_over(newest_first: bool) -> None:
    found = checked(DenseNet(newest_first))
    merges = [node.merge for node in found.architecture.nodes]
    assert merges.count("stack") == 5
    copies = sum(node.operation == "identity" for node in found.architecture.nodes[1:])
    assert (copies > 0) is newest_first


def test_branches_that_are_concatenated_are_taken_over() -> None:
    found = checked(nn.Sequential(Inception(3), nn.MaxPool2d(2), Inception(16), Head(16)))
    degrees = [len(found.architecture.inputs(i)) for i in range(len(found.architecture.nodes))]
    assert degrees.count(4) == 2


def test_depthwise_convolutions_and_gates_are_taken_over() -> None:
    blocks = [InvertedResidual(8, 8, 1, True), InvertedResidual(8, 12, 2, False)]
    module = nn.Sequential(*conv_bn(3, 8, stride=2), nn.ReLU6(), *blocks, Head(12))
    names = ("excite.weight", "excite.bias")  # made, but called in gated blocks only
    found = checked(module, unused=tuple(f"4.{name}" for name in names))
    assert "product" in {node.merge for node in found.architecture.nodes}
    assert any(node.operation.startswith("dwconv") for node in found.architecture.nodes)


class Layered(nn.Module):
    """The rest of the vocabulary, in one module per case."""

    def __init__(self, case: str) -> None:
        super().__init__()
        self.case = case
        self.conv = nn.Conv2d(3, 6, 3, padding=1)
        self.other = nn.Conv2d(6, 6, 3, padding=1, groups=2, bias=False)
        self.norm = nn.BatchNorm2d(6, eps=1e-3)
        self.gamma = nn.Parameter(torch.ones(6, 1, 1))
        self.alpha = nn.Parameter(torch.zeros(1))
        self.register_buffer("share", torch.tensor(0.5))

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x))
        return CASES[self.case](self, x, self.other(x))


def in_place_reads(self: Layered, x: Tensor, y: Tensor) -> Tensor:
    z = F.relu(x, inplace=True)  # x is the rectified tensor from here on
    return x + y * z


def in_place_views(self: Layered, x: Tensor, y: Tensor) -> Tensor:
    left, right = x.chunk(2, 1)
    twice = 2 * x
    x.add_(y)
    return torch.cat([right, left], 1) + twice + x


def rows_in_another_order(self: Layered, x: Tensor, y: Tensor) -> Tensor:
    """A row that begins first is read last."""
    first = F.silu(y)
    second = F.max_pool2d(x, 3, 1, 1)
    return torch.cat([second, F.relu(first)], 1)


def twice_read(x: Tensor, y: Tensor) -> Tensor:
    return x * y + F.relu(x) + x


Case = Callable[[Layered, Tensor, Tensor], Tensor]
CASES: dict[str, Case] = {
    "sums of many": lambda self, x, y: x + y + (x + y) + x,
    "a difference": lambda self, x, y: x - 0.5 * y / 4 + 0,
    "a negative": lambda self, x, y: -x + y,
    "a product": lambda self, x, y: x * y * 0.25,
    "a square": lambda self, x, y: x * x + y,
    "scaled by channel": lambda self, x, y: x + self.gamma * y,
    "scaled by one number": lambda self, x, y: x + y * self.alpha * 2,
    "scaled once, read twice": lambda self, x, y: twice_read(x * self.alpha, y),
    "scaled by a buffer": lambda self, x, y: x * self.share + y,
    "halves": lambda self, x, y: torch.cat([x.chunk(2, 1)[1], y.split(2, dim=1)[0]], 1),
    "slices": lambda self, x, y: x[:, :3] * y[:, 3:] + x.narrow(1, 0, 3),
    "parts of parts": lambda self, x, y: x[:, 3:][:, 1:2] + y[:, :1],
    "subsampled": lambda self, x, y: (x + y)[:, :, ::2, ::2],
    "zero padded": lambda self, x, y: (
        F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, 6))
        + torch.cat([F.max_pool2d(x, 2), F.avg_pool2d(y, 3, 2, 1)], 1)
    ),
    "upsampled": lambda self, x, y: (
        F.interpolate(x, scale_factor=2) + F.interpolate(y, size=(32, 32), mode="bilinear")
    ),
    "adaptive": lambda self, x, y: F.adaptive_avg_pool2d(x, 4) + F.adaptive_max_pool2d(y, (4, 4)),
    "same size": lambda self, x, y: F.relu_(F.adaptive_avg_pool2d(x, 16)) + x * y,
    "ceiling": lambda self, x, y: (
        F.max_pool2d(x, 3, stride=2, ceil_mode=True) + F.avg_pool2d(y, 3, 2, 0, True)
    ),
    "counted": lambda self, x, y: F.avg_pool2d(x, 3, 1, 1, count_include_pad=False) + y,
    "nonlinear": lambda self, x, y: F.gelu(x) + F.mish(y) + F.leaky_relu(x, 0.2) + F.hardsigmoid(y),
    "in place, read again": in_place_reads,
    "in place, views": in_place_views,
    "rows end in another order": rows_in_another_order,
    "copied": lambda self, x, y: F.relu_(x.clone()) + x * y,
    "concatenated with itself": lambda self, x, y: torch.cat([x, y, x], 1),
    "zeros": lambda self, x, y: (
        torch.cat([x + torch.zeros_like(y), y.new_zeros(y.shape)], 1) + torch.cat([y, x], 1)
    ),
    "returned as it came": lambda self, x, y: y.contiguous(),
}


@pytest.mark.parametrize("case", CASES)
def test_every_way_of_combining_tensors_computes_the_same(case: str) -> None:
    unused = {"scaled by channel": ("alpha",)}
    names = ("gamma",) if case.startswith("scaled o") or "one" in case else ("gamma", "alpha")
    names = unused.get(case, names)
    found = checked(Layered(case), (3, 16, 16), unused=names)
    assert found.architecture.head == "none"


@pytest.mark.parametrize("case", ["sums of many", "halves", "a product"])
def test_the_same_cases_end_in_a_classifier(case: str) -> None:
    channels = 5 if case == "halves" else 6
    checked(nn.Sequential(Layered(case), Head(channels)), unused=("0.gamma", "0.alpha"))


def test_flattened_positions_are_read_by_a_convolution() -> None:
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3, 4, 1),
        nn.Flatten(),
        nn.Linear(64, 10),
        nn.BatchNorm1d(10),
        nn.ReLU(),
        nn.Linear(10, 7, bias=False),
        nn.Sigmoid(),
        nn.Linear(7, 3),
    )
    found = checked(module)
    assert "conv4x4.valid.bias" in found.architecture.nodes[2].operation


class SqueezeExcite(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 3), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        b, c, _, _ = x.size()
        y = F.adaptive_avg_pool2d(x, 1).view(b, c)
        return x * self.layers(y).view(b, c, 1, 1).expand_as(x)


def test_a_gate_of_linear_layers_is_taken_over() -> None:
    checked(nn.Sequential(SqueezeExcite(), nn.Conv2d(3, 4, 3, padding=1), Head(4)))


# Modules that are called twice.


class Looped(nn.Module):
    def __init__(self, own_norms: bool) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.body = nn.Conv2d(6, 6, 3, padding=1, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(6) for _ in range(3 if own_norms else 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for step in range(3):
            x = x + F.relu(self.norms[step % len(self.norms)](self.body(x)))
        return x


@pytest.mark.parametrize("own_norms", [False, True])
def test_a_module_that_is_called_again_is_a_tie(own_norms: bool) -> None:
    found = checked(Looped(own_norms))
    ties = [(node.tie, node.own_norms) for node in found.architecture.nodes if node.tie]
    assert len(ties) == 3
    assert len(set(ties)) == 1
    assert ties[0][1] is own_norms
    network = found.network
    tied = [index for index, node in enumerate(found.architecture.nodes) if node.tie]
    weights = {id(network.nodes[str(index)].operation[0].weight) for index in tied}
    assert len(weights) == 1


def test_layers_that_hold_one_parameter_are_a_tie() -> None:
    first, second = (nn.Conv2d(3, 3, 3, padding=1) for _ in range(2))
    second.weight, second.bias = first.weight, first.bias
    found = checked(nn.Sequential(first, nn.ReLU(), second, nn.BatchNorm2d(3)))
    assert len([node for node in found.architecture.nodes if node.tie]) == 2


# Round trips.


@pytest.mark.parametrize("name", ["wired_cnn", "tiny_exhaustive", "nasbench201"])
def test_members_of_spaces_come_back_as_themselves(name: str) -> None:
    space = load_space(name)
    member = space.build(space.sample(np.random.default_rng(0)))
    # A tabulated cell has nodes that nothing reads; those of other spaces have none.
    unused = None if name == "nasbench201" else ()
    found = checked(Network(member, (3, 32, 32), 5), (3, 32, 32), unused=unused)
    twice = from_module(found.network, input_shape=(3, 32, 32))
    assert structural_id(twice.architecture) == structural_id(found.architecture)


@pytest.mark.parametrize(
    "text", ["resnet-cifar:depth=8,skip=zeropad", "densenet-cifar:depth=10,growth=4,bc=true"]
)
def test_published_networks_come_back_with_their_id(text: str) -> None:
    network = build_published_text(text)
    found = checked(Network(network, (3, 32, 32), 10), (3, 32, 32))
    assert structural_id(found.architecture) == structural_id(network)


# Shrinking would take minutes.
@settings(max_examples=scaled(150), phases=[Phase.explicit, Phase.generate])
@given(network=architectures(max_nodes=6, cells=0))
def test_random_networks_compute_the_same_behind_a_round_trip(network: Architecture) -> None:
    try:
        checked(Network(network, INPUT_SHAPE, 3), INPUT_SHAPE, unused=None)
    except ArchitectureError as error:  # adapters between resolutions that no window connects
        assert re.search("pools .* positions|resizes .* positions", str(error))


def test_networks_in_single_precision_and_training_mode_are_left_as_they_were() -> None:
    module = ResNet().train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    found = from_module(module, input_shape=(3, 32, 32))
    assert module.training
    assert module[1].relu.training
    assert not found.network.training
    assert next(found.network.parameters()).dtype == torch.float32
    after = module.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    shared = {value.data_ptr() for value in module.parameters()}
    assert not shared & {value.data_ptr() for value in found.network.parameters()}


def test_parametrised_weights_are_taken_over_as_they_are_computed_with() -> None:
    conv = nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3, padding=1))
    module = settled(nn.Sequential(conv, nn.ReLU()))
    found = from_module(module, input_shape=IMAGE)
    x = torch.ones(1, *IMAGE, dtype=torch.float64)
    assert torch.allclose(found.network(x), module(x), rtol=1e-10)
    assert found.unused == ()


def test_hooks_are_refused_with_their_place() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU())
    module[1].register_forward_hook(lambda owner, given, found: found * 2)
    with pytest.raises(ArchitectureError, match="1: ReLU runs a hook"):
        from_module(module, input_shape=IMAGE)


def test_the_public_name_is_this_function() -> None:
    assert nas.from_module is from_module


def test_numbers_that_scale_two_tensors_are_refused() -> None:
    CASES["shared"] = lambda self, x, y: self.alpha * x + self.alpha * y
    module = Layered("shared")
    with pytest.raises(ArchitectureError, match="a second tensor by the same learned numbers"):
        from_module(module, input_shape=IMAGE)
    del CASES["shared"]
