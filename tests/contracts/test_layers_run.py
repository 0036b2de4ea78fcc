"""Every layer in networks, supernets, folded networks and files: the same numbers everywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from operation_rows import ROWS, divisor, keeps_positions
from scale import is_full_scale
from supernet_cases import images, one_stage, shaken
from torch import Tensor, nn

from nas.cost.count import cost
from nas.errors import ArchitectureError
from nas.export.onnx import check_onnx, export_onnx
from nas.model.fuse import fuse
from nas.model.initialise import initialise
from nas.model.layers import build_layer, build_operation
from nas.model.network import Network
from nas.supernet.supernet import Supernet
from nas.topology.graph import Architecture, Edge, Node
from nas.topology.layers import AbstractNorm
from nas.topology.operations import OPERATIONS

SHAPE = (4, 9, 12)
CHANNELS = 8


def network_of(*names: str, tie: bool = False) -> Network:
    """A chain: a convolution to 8 channels, then the operations, twice where they are tied."""
    nodes = [Node(), Node("plain_conv3x3", width=CHANNELS, name="stem")]
    for number, name in enumerate(names):
        tied = "same" if tie else None
        nodes.append(Node(name, width=_width(name), tie=tied, own_norms=tie, name=f"op{number}"))
    edges = tuple(Edge(index, index + 1) for index in range(len(nodes) - 1))
    network = Network(Architecture(tuple(nodes), edges), SHAPE, 5, seed=3).double()
    shake(network)
    return network


def _width(name: str) -> int | None:
    return None if OPERATIONS.get(name).keeps_channels else CHANNELS


def shake(module: nn.Module) -> None:
    """Move every number off its start, statistics included."""
    generator = torch.Generator().manual_seed(0)
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.is_floating_point():
            noise = torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype)
            tensor.data.add_(noise, alpha=0.3)


def relative_gap(got: Tensor, wanted: Tensor) -> float:
    return float(((got - wanted).abs().max() / wanted.abs().max()).detach())


@pytest.mark.parametrize("name", ROWS)
def test_what_ships_computes_what_was_trained(name: str) -> None:
    network = network_of(name, "relu").eval()
    x = images(3, seed=2).repeat(1, 2, 2, 2)[:, : SHAPE[0], : SHAPE[1], : SHAPE[2]]
    with torch.no_grad():
        wanted, shipped = network(x), fuse(network)
        assert relative_gap(shipped(x), wanted) <= 1e-10
        assert relative_gap(shipped(x), wanted) <= 1e-10  # nothing was written over
    assert not any(isinstance(part, nn.Dropout) for part in shipped.modules())
    row = OPERATIONS.get(name).layers
    folds = any(
        isinstance(norm, AbstractNorm) and isinstance(module, nn.BatchNorm2d)
        for norm, module in zip(
            row, build_operation(OPERATIONS.get(name), (8, 9, 9), 8, 1), strict=True
        )
    ) and not isinstance(row[0], AbstractNorm)
    assert not folds or not any(isinstance(part, nn.BatchNorm2d) for part in shipped.modules())


RARE = (
    "conv7x1.g2.bias+bn+silu",
    "conv1x1.x4+bn+hardswish+dwconv5x5.bias.s+bn+hardswish+se.r4.hard+conv1x1+bn",
    "dwconv7x7.bias+ln+conv1x1.x4.bias+gelu+conv1x1.bias",
    "conv1x1.g2+bn+shuffle2+dwconv3x3.s+bn+conv1x1.g2+bn",
    "affine+tokenlinear+affine",
    "conv1x1+ese",
    "maxpool3x3.ceil",
    "up3.nearest",
    "globalpool+conv1x1.bias+silu",
)
"""What is most unlike the operations that are registered; an export takes seconds."""


def test_layers_are_written_as_onnx() -> None:
    names = sorted(ROWS if is_full_scale() else RARE, key=lambda name: "globalpool" in name)
    network = fuse(network_of(*names).float().eval())
    x = torch.randn(4, *SHAPE, generator=torch.Generator().manual_seed(1)).numpy()
    assert check_onnx(export_onnx(network, SHAPE, 4), network, x.astype(np.float32)) < 1e-4


SUPERNET_ROWS = [name for name in ROWS if keeps_positions(name)]


@pytest.mark.parametrize("start", range(0, len(SUPERNET_ROWS), 6))
def test_a_member_of_any_width_equals_its_extracted_network(start: int) -> None:
    rows = tuple(SUPERNET_ROWS[start : start + 6])
    assert all(4 % divisor(name) == 0 for name in rows)
    space = one_stage(patterns=("chain", "residual"), operations=rows)
    supernet = shaken(Supernet(space, (3, 8, 8), 5, seed=1).double())
    rng = np.random.default_rng(start)
    x = images()
    for _ in range(12):
        architecture = space.build(space.sample(rng))
        statistics = supernet.eval().recalibrate(architecture, images(8, seed=1))
        network = supernet.extract(architecture, statistics)
        assert relative_gap(network(x), supernet(x, architecture, statistics)) <= 1e-10
        if not any("dropout" in node.operation for node in architecture.nodes):
            training = supernet.train()(x, architecture)
            assert relative_gap(network.train()(x), training) <= 1e-10


@pytest.mark.parametrize("name", SUPERNET_ROWS)
def test_widened_slots_start_as_finite_numbers_and_learn(name: str) -> None:
    space = one_stage(patterns=("chain",), depth=2, operations=(name,))
    supernet = Supernet(space, (3, 8, 8), 5, seed=1).double()
    narrow, wide = ({**space.reference((3, 8, 8)), "stage1.width": width} for width in (4, 8))
    for decisions in (narrow, wide):
        architecture = space.build(decisions)
        output = supernet(images(), architecture)
        assert output.isfinite().all()
        supernet.zero_grad()
        output.square().sum().backward()
        for key in supernet.active(architecture):
            gradient = supernet.weights.slot(key).grad
            assert gradient is not None and gradient.isfinite().all(), key


@pytest.mark.parametrize("name", [name for name in ROWS if keeps_positions(name)])
def test_tied_nodes_share_all_but_their_norms(name: str) -> None:
    network = network_of(name, name, tie=True)
    first, second = (dict(network.nodes[number].operation.named_parameters()) for number in "23")
    layers = OPERATIONS.get(name).layers
    for key, value in first.items():
        norm = isinstance(layers[int(key.partition(".")[0])], AbstractNorm)
        assert (value is not second[key]) is norm


Reference = Callable[[nn.Module, Tensor], Tensor]


def by_hand_gate(module: nn.Module, x: Tensor) -> Tensor:
    weights = list(module.parameters())
    hidden = F.linear(x.mean((2, 3)), weights[0].flatten(1), weights[1])
    out = F.linear(hidden.relu(), weights[2].flatten(1), weights[3])
    return x * out.sigmoid()[:, :, None, None]


def by_hand_effective(module: nn.Module, x: Tensor) -> Tensor:
    weight, bias = module.parameters()
    out = torch.einsum("oi,ni->no", weight.flatten(1), x.mean((2, 3))) + bias
    return x * ((out + 3).clamp(0, 6) / 6)[:, :, None, None]


def by_hand_norm(module: nn.Module, x: Tensor) -> Tensor:
    weight, bias = module.parameters()
    spread = x.var(1, keepdim=True, correction=0) + 1e-6
    normed = (x - x.mean(1, keepdim=True)) / spread.sqrt()
    return normed * weight.reshape(1, -1, 1, 1) + bias.reshape(1, -1, 1, 1)


def by_hand_affine(module: nn.Module, x: Tensor) -> Tensor:
    weight, bias = module.parameters()
    return torch.stack([x[:, c] * weight[c] + bias[c] for c in range(x.shape[1])], 1)


def by_hand_tokens(module: nn.Module, x: Tensor) -> Tensor:
    weight, bias = module.parameters()
    return (torch.einsum("pq,ncq->ncp", weight, x.flatten(2)) + bias).reshape(x.shape)


def by_hand_shuffle(module: nn.Module, x: Tensor) -> Tensor:
    order = [0, 4, 1, 5, 2, 6, 3, 7]  # two groups of four, dealt out in turn
    return x[:, order]


def by_hand_mish(module: nn.Module, x: Tensor) -> Tensor:
    return x * torch.tanh(torch.log1p(x.exp()))


BY_HAND: dict[str, Reference] = {
    "se.r4": by_hand_gate,
    "se.w3": by_hand_gate,
    "ese": by_hand_effective,
    "ln": by_hand_norm,
    "affine": by_hand_affine,
    "tokenlinear": by_hand_tokens,
    "shuffle2": by_hand_shuffle,
    "mish": by_hand_mish,
    "silu": lambda module, x: x / (1 + (-x).exp()),
    "gelu": lambda module, x: x * (1 + torch.erf(x / 2**0.5)) / 2,
    "hardswish": lambda module, x: x * (x + 3).clamp(0, 6) / 6,
    "hardsigmoid": lambda module, x: (x + 3).clamp(0, 6) / 6,
    "relu6": lambda module, x: x.clamp(0, 6),
    "leakyrelu20": lambda module, x: torch.where(x > 0, x, 0.2 * x),
    "up3.nearest": lambda module, x: x.repeat_interleave(3, 2).repeat_interleave(3, 3),
    "globalpool": lambda module, x: x.sum((2, 3), keepdim=True) / (x.shape[2] * x.shape[3]),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_a_layer_computes_its_formula(name: str) -> None:
    layer = OPERATIONS.get(name).layers[0]
    x = torch.randn(2, 8, 5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    module = build_layer(layer.at((8, 5, 7)), 8, 8).double()
    initialise(module, torch.Generator().manual_seed(5))
    shake(module)
    with torch.no_grad():
        assert relative_gap(module(3 * x), BY_HAND[name](module, 3 * x)) <= 1e-12


def test_bilinear_upsampling_of_a_line_is_linear_between_the_centres() -> None:
    (module,) = build_operation(OPERATIONS.get("up2"), (1, 4, 4), 1, 1)
    ramp = torch.arange(4.0, dtype=torch.float64).expand(1, 1, 4, 4)
    wanted = torch.tensor([0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3], dtype=torch.float64)
    torch.testing.assert_close(module(ramp), wanted.expand(1, 1, 8, 8))


def test_a_grouped_convolution_is_its_groups_side_by_side() -> None:
    layer = OPERATIONS.get("conv3x3.g2.d2.bias").layers[0]
    module = build_layer(layer, 8, 6).double()
    initialise(module, torch.Generator().manual_seed(5), "default")
    x = torch.randn(2, 8, 9, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    weight, bias = module.parameters()
    halves = [
        F.conv2d(part, half, padding=2, dilation=2)
        for part, half in zip(x.chunk(2, 1), weight.chunk(2), strict=True)
    ]
    with torch.no_grad():
        wanted = torch.cat(halves, 1) + bias.reshape(1, -1, 1, 1)
        assert relative_gap(module(x), wanted) <= 1e-12


@pytest.mark.parametrize(
    "row", ["conv3x3.g2.bias", "conv1x7.g4.bias", "affine", "tokenlinear", "dwconv5x5.bias"]
)
def test_an_aligned_layer_without_noise_is_the_identity(row: str) -> None:
    (layer,) = OPERATIONS.get(row).layers
    module = build_layer(layer.at((8, 5, 7)), 8, 8)
    initialise(module, torch.Generator().manual_seed(0), "aligned", noise=0.0)
    x = torch.randn(2, 8, 5, 7, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(module(x), x)


@pytest.mark.parametrize("row", ["se", "ese"])
def test_an_aligned_gate_lets_every_channel_through_alike(row: str) -> None:
    (layer,) = OPERATIONS.get(row).layers
    module = build_layer(layer, 32, 32)
    initialise(module, torch.Generator().manual_seed(0), "aligned")
    x = torch.randn(4, 32, 6, 6, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        ratio = module(x) / x
    assert float(ratio.mean()) == pytest.approx(0.5, abs=0.02)
    assert float(ratio.std()) < 0.02


@pytest.mark.parametrize("row", [*ROWS])
def test_default_weights_are_drawn_and_biases_start_at_zero(row: str) -> None:
    operation = OPERATIONS.get(row)
    modules = build_operation(operation, (16, 12, 12), 16, 1)
    initialise(modules, torch.Generator().manual_seed(0), "default")
    for name, value in modules.named_parameters():
        if name.endswith("bias"):
            assert not value.any(), name
        elif value.dim() > 1:
            assert 0 < float(value.detach().std()) < 2, name
        else:
            assert bool((value == 1).all()), name


def test_weights_per_position_are_not_shared_between_resolutions() -> None:
    nodes = (
        Node(),
        *(
            Node(name, tie="t" if name == "tokenlinear" else None, name=f"n{number}")
            for number, name in enumerate(("tokenlinear", "max_pool2x2", "tokenlinear"))
        ),
    )
    nodes = (*nodes[:2], replace(nodes[2], stride=2), nodes[3])
    architecture = Architecture(nodes, tuple(Edge(index, index + 1) for index in range(3)))
    with pytest.raises(ArchitectureError, match=r"Node 3 \('n2'\) is tied to 'n0' but runs at 4x4"):
        cost(architecture, (3, 8, 8), 5)
    with pytest.raises(ArchitectureError, match=r"number of weights(?s:.*)the same resolution"):
        Network(architecture, (3, 8, 8), 5)
