"""The scores against independent computations of what their papers define."""

from __future__ import annotations

import csv
import gzip
import math

import numpy as np
import pytest
import torch
from scale import require_nas_data
from scipy.stats import spearmanr

from nas.model.network import Network
from nas.seeds import derive_seed
from nas.space import load_space
from nas.topology.graph import Architecture, Edge, Node
from nas.zero_cost.base import ZERO_COST
from nas.zero_cost.scores.zen import REPEATS

SHAPE = (3, 6, 6)
CHAIN = Architecture(
    (Node(), Node("conv3x3", width=5), Node("conv1x1", width=4)), (Edge(0, 1), Edge(1, 2))
)


def chain(seed: int = 0) -> Network:
    return Network(CHAIN, SHAPE, 3, initialisation="default", seed=seed).double()


def batch(count: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, *SHAPE, generator=generator).double(), torch.arange(count) % 3


def score(name: str, network: Network) -> float:
    return ZERO_COST.get(name).score(network, *batch())


def backward(network: Network) -> list[tuple[torch.Tensor, torch.Tensor]]:
    images, labels = batch()
    torch.nn.functional.cross_entropy(network.train()(images), labels).backward()
    return [
        (value.detach(), value.grad)
        for name, value in network.named_parameters()
        if value.dim() > 1 and value.grad is not None and name.endswith("weight")
    ]


def test_grad_norm_and_snip_are_sums_over_what_backward_leaves() -> None:
    network = chain()
    expected = backward(chain())
    assert len(expected) == 3
    norms = sum(math.sqrt(float((gradient**2).sum())) for _, gradient in expected)
    products = sum(float((value * gradient).abs().sum()) for value, gradient in expected)
    assert score("grad_norm", network) == pytest.approx(norms, rel=1e-12)
    assert score("snip", network) == pytest.approx(products, rel=1e-12)


def test_synflow_is_conserved_from_layer_to_layer() -> None:
    """Without biases every layer's sum of theta dR/dtheta is R (Tanaka et al., theorem 1)."""
    network = chain()
    layers = [network.nodes[key].operation for key in ("1", "2")]
    signal = torch.ones(1, *SHAPE, dtype=torch.float64)
    for layer in layers:
        convolution = layer[0]
        signal = torch.nn.functional.conv2d(
            signal, convolution.weight.detach().abs(), padding=convolution.padding
        )
        signal = signal / math.sqrt(1 + 1e-5)  # an untouched batch norm
    flow = float((signal.mean((2, 3)) @ network.head.weight.detach().abs().T).sum())
    assert score("synflow", network) == pytest.approx(math.log(3 * flow), rel=1e-12)


def test_naswot_is_the_log_determinant_of_the_hamming_kernel() -> None:
    network = chain().train()
    images, _ = batch()
    codes: list[np.ndarray] = [np.empty((len(images), 0), dtype=bool)]
    for module in network.modules():
        if isinstance(module, torch.nn.ReLU):
            module.register_forward_hook(
                lambda _m, _i, out: codes.append((out > 0).flatten(1).numpy())
            )
    with torch.no_grad():
        network(images)
    bits = np.concatenate(codes, axis=1)
    kernel = (bits[:, None, :] == bits[None, :, :]).sum(axis=2).astype(float)
    assert score("naswot", chain()) == pytest.approx(np.linalg.slogdet(kernel)[1], rel=1e-9)


@pytest.mark.parametrize("smooth", ["relu6", "leakyrelu10", "silu", "gelu", "mish", "hardswish"])
def test_naswot_reads_every_rectifier_as_on_where_its_input_is_positive(smooth: str) -> None:
    def one_layer(operation: str) -> Network:
        architecture = Architecture((Node(), Node(operation, width=5)), (Edge(0, 1),))
        return Network(architecture, SHAPE, 3, initialisation="default", seed=0).double()

    plain = score("naswot", one_layer("conv3x3"))
    assert score("naswot", one_layer(f"conv3x3+bn+{smooth}")) == pytest.approx(plain, rel=1e-9)


def test_jacob_cov_scores_the_correlations_of_the_jacobians() -> None:
    network = chain().train()
    images, _ = batch()
    rows = torch.autograd.functional.jacobian(lambda x: network(x).sum(), images)
    values = np.linalg.eigvalsh(np.corrcoef(rows.flatten(1).numpy()))
    k = 1e-5
    expected = -np.sum(np.log(np.clip(values, 0, None) + k) + 1 / (np.clip(values, 0, None) + k))
    assert score("jacob_cov", chain()) == pytest.approx(float(expected), rel=1e-6)


def test_zen_does_not_depend_on_the_weights_it_replaces_and_grows_with_depth() -> None:
    assert score("zen", chain(0)) == score("zen", chain(1))
    nodes = (Node(), *(Node("conv3x3", width=5) for _ in range(6)))
    deep = Architecture(nodes, tuple(Edge(n, n + 1) for n in range(6)))
    deeper = Network(deep, SHAPE, 3, initialisation="default", seed=0).double()
    assert score("zen", deeper) > score("zen", chain())


def test_zen_puts_back_what_batch_norm_divides_by() -> None:
    generator = torch.Generator().manual_seed(derive_seed(0, "zero-cost zen", 0))
    found = []
    for _ in range(REPEATS):
        weights = [
            torch.randn(shape, generator=generator).double()
            for shape in ((5, 3, 3, 3), (4, 5, 1, 1), (3, 4))
        ]
        start, step = (torch.randn(6, *SHAPE, generator=generator).double() for _ in range(2))
        states, logs = [start, start + 0.01 * step], []
        for weight in weights[:2]:
            padding = weight.shape[-1] // 2
            sums = [torch.nn.functional.conv2d(x, weight, padding=padding) for x in states]
            logs.append(math.log(math.sqrt(sums[0].var((0, 2, 3), correction=0).mean())))
            states = [
                ((x - x.mean((0, 2, 3), keepdim=True))
                / (x.var((0, 2, 3), correction=0, keepdim=True) + 1e-5).sqrt()).relu()
                for x in sums
            ]  # fmt: skip
        difference = (states[0] - states[1]).abs().sum((1, 2, 3)).mean()
        found.append(math.log(difference) + sum(logs))
    assert score("zen", chain()) == pytest.approx(sum(found) / REPEATS, rel=1e-9)


OPERATIONS = {
    "none": "none",
    "skip_connect": "identity",
    "avg_pool_3x3": "avg_pool3x3",
    "nor_conv_1x1": "relu_conv1x1_bn",
    "nor_conv_3x3": "relu_conv3x3_bn",
}
PUBLISHED = {"naswot": "nwot", "synflow": "synflow", "snip": "snip", "grad_norm": "grad_norm"}


@pytest.mark.soak
def test_on_nas_bench_201_the_scores_rank_like_the_published_ones() -> None:
    """Spearman with accuracy of own and published values over the same cells, CIFAR-10 images."""
    accuracy, peers, cells = published_cells(40)
    file = require_nas_data("cifar10", "cifar10_lossless_4000.npz")
    with np.load(file, allow_pickle=False) as arrays:
        images = torch.from_numpy(arrays["image"][:32]).permute(0, 3, 1, 2).float()
        labels = torch.from_numpy(arrays["label"][:32]).long()
    images = (images - images.mean((0, 2, 3), keepdim=True)) / images.std((0, 2, 3), keepdim=True)
    networks = [Network(cell, (3, 32, 32), 10, initialisation="default") for cell in cells]
    for name, published in peers.items():
        own = [ZERO_COST.get(name).score(network, images, labels) for network in networks]
        ours, theirs = (spearmanr(values, accuracy).statistic for values in (own, published))
        print(f"{name}: Spearman {ours:+.3f}, published scores {theirs:+.3f}")
        assert ours > theirs - 0.15


def published_cells(count: int) -> tuple[list[float], dict[str, list[float]], list[Architecture]]:
    """Accuracies, published scores and networks of some cells of NAS-Bench-201."""
    strings = {row["idx"]: row for row in rows("nasbench201", "nasbench201_cifar10.csv.gz")}
    space = load_space("nasbench201")
    scored = [
        row
        for row in rows("zero_cost_proxies", "nasbench201_cifar10.csv.gz")
        if all(row[column] for column in PUBLISHED.values())
    ][:count]
    cells = [
        space.build(
            {
                f"cell.edge{key[3]}-{key[-1]}": OPERATIONS[value]
                for key, value in strings[row["idx"]].items()
                if key.startswith("op_")
            }
        )
        for row in scored
    ]
    peers = {name: [float(row[column]) for row in scored] for name, column in PUBLISHED.items()}
    return [float(row["val_accuracy"]) for row in scored], peers, cells


def rows(*parts: str) -> list[dict[str, str]]:
    with gzip.open(require_nas_data(*parts), "rt") as lines:
        return list(csv.DictReader(lines))
