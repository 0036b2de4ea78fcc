"""Merges across layers: each is the plain residual network at one setting, on the right inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch

from nas.cost.count import cost
from nas.model.network import Network, NodeModule
from nas.topology.graph import Architecture, Edge, Node

LAYERS, WIDTH = 4, 8
SHAPE, CLASSES = (3, 6, 6), 5
BRANCH, STEM = "relu_conv3x3_bn", "conv3x3"


class Wiring:
    """A network under construction; a node is known by its name."""

    def __init__(self) -> None:
        self.nodes = [Node(name="in")]
        self.edges: list[Edge] = []

    def add(
        self, name: str, sources: Sequence[str], operation: str = "identity", merge: str = "sum"
    ) -> str:
        known = {node.name: number for number, node in enumerate(self.nodes)}
        width = WIDTH if operation != "identity" else None
        self.nodes.append(Node(operation, merge, width=width, name=name))
        self.edges += [
            Edge(known[source], known[name] if name in known else len(known)) for source in sources
        ]
        return name

    def build(self) -> Architecture:
        return Architecture(tuple(self.nodes), tuple(self.edges))


def residual(merge: str = "sum", previous: bool = False) -> Architecture:
    """`x_{i+1} = merge(x_i, f_i(x_i))`, with all older states as well if asked."""
    net = Wiring()
    states = [net.add("stem", ["in"], STEM)]
    for layer in range(LAYERS):
        branch = net.add(f"f{layer}", [states[-1]], BRANCH)
        read = [*states, branch] if previous else [states[-1], branch]
        states.append(net.add(f"x{layer}", read, merge=merge))
    return net.build()


def over_states(merge: str) -> Architecture:
    """Block states `s_i = y_{i-1} + f_i(y_{i-1})`, and `y_i` the merge of all of them so far."""
    net = Wiring()
    states = [net.add("stem", ["in"], STEM)]
    read = states[0]
    for layer in range(LAYERS):
        branch = net.add(f"f{layer}", [read], BRANCH)
        states.append(net.add(f"s{layer}", [read, branch]))
        read = net.add(f"x{layer}", states, merge=merge)
    return net.build()


def over_outputs(merge: str) -> Architecture:
    """Layer outputs `o_i = f_i(g_i)`, and `g_i` the merge of all of them so far."""
    net = Wiring()
    outputs = [net.add("stem", ["in"], STEM)]
    read = outputs[0]
    for layer in range(LAYERS):
        outputs.append(net.add(f"f{layer}", [read], BRANCH))
        read = net.add(f"x{layer}", outputs, merge=merge)
    return net.build()


def network(architecture: Architecture) -> Network:
    return Network(architecture, SHAPE, CLASSES, seed=1, initialisation="default").double().eval()


def with_weights_of(architecture: Architecture, model: Network) -> Network:
    """Give the layers the weights of the equally named ones of `model`."""
    found = network(architecture)
    theirs = {node.name: number for number, node in enumerate(model.architecture.nodes)}
    with torch.no_grad():
        for number, node in enumerate(architecture.nodes[1:], start=1):
            if node.operation == "identity":
                continue
            own, other = found.nodes[str(number)], model.nodes[str(theirs[node.name])]
            assert isinstance(own, NodeModule)
            assert isinstance(other, NodeModule)
            own.operation.load_state_dict(other.operation.state_dict())
        assert found.head is not None and model.head is not None
        found.head.load_state_dict(model.head.state_dict())
    return found


def gap(architecture: Architecture, **weights: float) -> float:
    """Return how far a network is from the plain residual one, with some merge weights set."""
    plain = network(residual())
    x = torch.randn((2, *SHAPE), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = with_weights_of(architecture, plain)
    with torch.no_grad():
        for name, value in found.named_parameters():
            key = name.rpartition(".")[2]
            if ".merge." in name and key in weights:
                value.fill_(weights[key])
        wanted = plain(x)
        return float((found(x) - wanted).abs().max() / wanted.abs().max())


LAUREL = ["laurel_rw", "laurel_lr(rank=3)", "laurel_rw_lr(rank=3)"]
PREVIOUS = ["laurel_pa(rank=3)", "laurel_rw_lr_pa(rank=3)"]


@pytest.mark.parametrize("merge", [*LAUREL, *PREVIOUS])
def test_laurel_is_the_residual_network_at_weights_of_one_and_maps_of_zero(merge: str) -> None:
    wiring = residual(merge, previous=merge in PREVIOUS)
    assert gap(wiring) < 1e-12  # its own start
    assert gap(wiring, alpha=1.0, beta=1.0, up=0.0) < 1e-12
    moved = {"alpha": 0.5, "beta": 0.5} if "rw" in merge else {"up": 0.3}
    assert gap(wiring, **moved) > 1e-3


def test_laurel_with_previous_activations_is_the_residual_network_at_gamma_zero() -> None:
    wiring = residual("laurel_pa(rank=3)", previous=True)
    assert gap(wiring, gamma=0.0, up=0.4) < 1e-12
    assert gap(wiring, gamma=1.0, up=0.4) > 1e-3


@pytest.mark.parametrize("merge", ["dwa", "mudd"])
def test_averages_over_block_states_start_as_the_residual_network(merge: str) -> None:
    assert gap(over_states(merge)) < 1e-12
    assert gap(over_states(merge), weights=0.1, static=0.1) > 1e-3


def test_dynamic_weights_need_a_second_map_to_act() -> None:
    assert gap(over_states("mudd"), values=0.0) < 1e-12
    assert gap(over_states("mudd"), values=0.1) > 1e-3


@pytest.mark.parametrize("merge", ["grn_v1", "grn_v2", "grn_v3"])
def test_generalised_residuals_over_layer_outputs_are_the_residual_network_at_one(
    merge: str,
) -> None:
    assert gap(over_outputs(merge), weights=1.0, query=0.0) < 1e-12
    assert gap(over_outputs(merge), weights=0.9, query=0.0) > 1e-3


@pytest.mark.parametrize(
    "mixed",
    [over_outputs("dwa"), over_outputs("mudd"), over_states("grn_v1"), over_states("grn_v2")],
)
def test_the_two_conventions_are_not_interchangeable(mixed: Architecture) -> None:
    """States hold the residual already: summing them counts it twice; outputs do not hold it."""
    assert gap(mixed) > 1e-2


def extra(architecture: Architecture) -> int:
    plain = cost(residual(), SHAPE, CLASSES).parameters
    return cost(architecture, SHAPE, CLASSES).parameters - plain


DEGREES = range(2, LAYERS + 2)
"""Inputs of the merges over all earlier layers."""


@pytest.mark.parametrize(
    ("build", "merge", "formula"),
    [
        (residual, "laurel_rw", 2 * LAYERS),
        (residual, "laurel_lr(rank=3)", 2 * 3 * WIDTH * LAYERS),
        (residual, "laurel_rw_lr(rank=3)", (2 + 2 * 3 * WIDTH) * LAYERS),
        (over_states, "dwa", sum(DEGREES)),
        (over_outputs, "grn_v1", sum(DEGREES)),
        (over_outputs, "grn_v2", WIDTH * sum(DEGREES)),
        (over_outputs, "grn_v3", WIDTH * sum(degree + 1 for degree in DEGREES)),
        (over_states, "mudd", sum(d * WIDTH + d * d + d for d in DEGREES)),
    ],
)
def test_extra_parameters_are_the_published_count(
    build: Callable[[str], Architecture], merge: str, formula: int
) -> None:
    assert extra(build(merge)) == formula


def test_previous_activations_add_one_number_each_and_one_low_rank_map_per_layer() -> None:
    """The first layer has no previous activation and so no map: it is the plain sum."""
    found = extra(residual("laurel_pa(rank=3)", previous=True))
    assert found == sum(2 * 3 * WIDTH + older for older in range(1, LAYERS))
