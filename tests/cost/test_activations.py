"""Peak activation memory: against the storages a real forward holds, one operator at a time."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from strategies import INPUT_SHAPE, OPERATION_NAMES, architectures
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nas.cost.activations import activations
from nas.model.network import Network
from nas.topology.graph import Architecture, Edge, Node
from nas.topology.layers import Shape
from nas.topology.patterns import PATTERNS
from nas.topology.published import build_published


class Held(TorchDispatchMode):
    """Counts the bytes of the storages that are alive after every operator."""

    def __init__(self, network: Network, image: torch.Tensor) -> None:
        super().__init__()
        own = (*network.parameters(), *network.buffers())
        self.weights = {tensor.untyped_storage()._cdata for tensor in own}
        self.live: dict[int, tuple[StorageWeakRef, int]] = {}
        self.peak = 0
        self.add(image)

    def add(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage._cdata not in self.weights:
            self.live[storage._cdata] = (
                StorageWeakRef(storage),  # type: ignore[no-untyped-call]
                storage.nbytes(),
            )

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                self.add(leaf)
        gone = [key for key, (seen, _) in self.live.items() if _expired(seen)]
        for key in gone:
            del self.live[key]
        self.peak = max(self.peak, sum(size for _, size in self.live.values()))
        return result


def _expired(storage: StorageWeakRef) -> bool:
    return bool(storage.expired())  # type: ignore[no-untyped-call]


def held_in_a_forward(architecture: Architecture, shape: Shape) -> int:
    network = Network(architecture, shape, 2).eval()
    image = torch.zeros(1, *shape)
    held = Held(network, image)
    with torch.no_grad(), held:
        network(image)
    return held.peak


PATTERN_SIZES = {"chain": 4, "residual": 5, "dense": 5, "harmonic": 8, "fractal": 7}


@pytest.mark.parametrize("merge", ["sum", "mean", "stack"])
@pytest.mark.parametrize("name", sorted(PATTERN_SIZES))
def test_the_peak_is_what_a_real_forward_holds(name: str, merge: str) -> None:
    topology = PATTERNS.get(name).wire(PATTERN_SIZES[name])
    nodes = [Node()]
    for index in range(1, topology.num_nodes):
        joins = index in topology.joins
        nodes.append(Node("identity" if joins else "conv3x3", merge, width=None if joins else 8))
    network = Architecture(tuple(nodes), tuple(Edge(*pair) for pair in topology.edges))
    assert activations(network, (8, 8, 8)).peak_bytes == held_in_a_forward(network, (8, 8, 8))


def test_the_peak_of_a_published_network_is_what_a_real_forward_holds() -> None:
    network = build_published("fractalnet")
    shape = (3, 32, 32)
    assert activations(network, shape).peak_bytes == held_in_a_forward(network, shape)


# Torch's maximum also writes where it lies, which no other layer reads: a kernel's own affair.
OTHERS = tuple(name for name in OPERATION_NAMES if not name.startswith("max_pool"))


@settings(max_examples=25)
@given(network=architectures(merges=("sum", "mean", "stack"), transforms=False, operations=OTHERS))
def test_no_random_network_holds_more(network: Architecture) -> None:
    small = 4 * (network_channels(network) + 2)  # pooled features and logits
    found = activations(network, INPUT_SHAPE)
    assert held_in_a_forward(network, INPUT_SHAPE) <= found.peak_bytes + small
    assert found.state_bytes <= found.peak_bytes


def network_channels(network: Architecture) -> int:
    from nas.cost.shapes import plan

    return plan(network, INPUT_SHAPE).output[0]


def test_the_peak_names_the_node_that_runs() -> None:
    wide = Node("conv1x1_bn", width=64)
    nodes = (Node(), Node("conv1x1_bn", width=4), wide, Node("conv1x1_bn", width=4))
    network = Architecture(nodes, tuple(Edge(n, n + 1) for n in range(3)))
    found = activations(network, (4, 2, 2))
    assert found.peak_node == 2
    assert found.peak_bytes == 4 * 4 * (4 + 64 + 64)  # image, convolution, its norm
    assert (found.states, found.state_bytes) == (2, 4 * 4 * (4 + 64))


def test_a_node_that_hands_its_input_on_holds_nothing() -> None:
    nodes = (Node(), *[Node()] * 5)
    network = Architecture(nodes, tuple(Edge(n, n + 1) for n in range(5)))
    assert activations(network, (4, 2, 2)).peak_bytes == 4 * 16
    cell = Architecture((Node(), Node()), (Edge(0, 1),))
    nested = Architecture((Node(), Node(cell=cell)), (Edge(0, 1),))
    assert activations(nested, (4, 2, 2)).peak_bytes == 4 * 16
