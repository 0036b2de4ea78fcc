"""Networks of everything that is registered, and random ones, small enough to export by dozens."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from hypothesis import HealthCheck, Phase, given, settings
from published_cases import NARROW
from strategies import architectures
from torch import nn

from nas.cli.named_architectures import build_named
from nas.model.network import Network
from nas.topology.edge_scales import EDGE_SCALES
from nas.topology.graph import Architecture, Edge, Node
from nas.topology.layers import Shape
from nas.topology.merges import MERGES
from nas.topology.operations import OPERATIONS
from nas.topology.patterns import PATTERNS
from nas.topology.published import PUBLISHED, build_published_text


class Case(NamedTuple):
    """A network and the images it is built for."""

    architecture: Architecture
    input_shape: Shape
    classes: int = 5


SMALL: Shape = (3, 8, 8)
MIDDLE: Shape = (3, 16, 16)

NARROW_FAMILIES = {
    "densenet": "densenet:depth=121,growth=2",
    "densenet-cifar": "densenet-cifar:depth=22,growth=4",
    "fractalnet": "fractalnet:width=8",
    "mobilenetv2": "mobilenetv2:width=0.1",
    "plain-cifar": "plain-cifar",
    "preresnet-cifar": "preresnet-cifar:depth=20",
    "pyramidnet-cifar": "pyramidnet-cifar:depth=20",
    "resnet": "resnet:depth=18,width=8",
    "resnet-cifar": "resnet-cifar:depth=20",
    "resnext": "resnext:groups=4,width=4,base=8",
    "wrn": "wrn:base=8",
    "wrn-cifar": "wrn-cifar:depth=16,width=1",
}
"""Members of the families that `published_cases.NARROW` lacks."""

Make = Callable[[], Case]


def _named(text: str, shape: Shape) -> Make:
    return lambda: Case(build_named(text), shape)


def _published(text: str) -> Make:
    if text in NARROW:
        return lambda: Case(build_published_text(text), NARROW[text][1], 7)
    side = max(32, PUBLISHED.get(text.partition(":")[0]).smallest)
    return lambda: Case(build_published_text(text), (3, side, side), 7)


def registered_cases() -> dict[str, Make]:
    """Return how to make a network of every entry: merges, patterns, operations, scales, families.

    A merge meets 2, 3 and 4 inputs; a published family has one narrow member at least.
    """
    dense = "dense:size=4,width=8,stem=conv3x3,merge="
    block = "residual:size=2,width=8,stem=conv3x3,operation="
    chain = "residual:size=4,width=8,stem=conv3x3,edge_scale="
    published = [*NARROW, *NARROW_FAMILIES.values()]
    return {
        **{f"merge-{name}": _named(f"{dense}{name}", SMALL) for name in MERGES},
        **{f"pattern-{name}": _named(f"pattern.{name}:width=8", MIDDLE) for name in PATTERNS},
        **{f"operation-{name}": _named(f"{block}{name}", SMALL) for name in OPERATIONS},
        **{f"scale-{name}": _named(f"{chain}{name}", SMALL) for name in EDGE_SCALES},
        **{f"published-{text}": _published(text) for text in published},
        **{name: partial(_unnamed, name) for name in UNNAMED},
    }


UNNAMED = ("cells-tied", "cell-of-zeros", "names-odd", "exits", "head-none", "image", "ties")
"""What no name builds."""


def _unnamed(kind: str) -> Case:
    cell = Architecture(
        (Node(), Node("conv3x3", name="op1"), Node("conv1x1_bn", merge="weighted", name="op2")),
        (Edge(0, 1), Edge(0, 2), Edge(1, 2)),
    )
    empty = Architecture((Node(), Node("relu"), Node("conv3x3")), (Edge(0, 2),), zero_allowed=True)
    stem = Node("conv3x3", width=8, name="stem")
    texts = ('say "hi"', "x\\n", "for", "forward.train", "émile")
    nodes = {
        "cells-tied": (stem, *(Node(cell=cell, tie="one", name=f"cell{n}") for n in range(3))),
        "cell-of-zeros": (stem, Node(cell=empty)),
        "names-odd": tuple(Node("conv3x3", name=text) for text in texts),
        "exits": (stem, Node("conv3x3", name="s.a", exit=True), Node("conv3x3", name="s.b")),
        "head-none": (stem,),
        "image": (Node(),),
        "ties": (
            stem,
            *(Node("conv3x3", tie="t", own_norms=n == 2, name=f"loop{n}") for n in range(4)),
        ),
    }[kind]
    edges = tuple(Edge(index, index + 1) for index in range(len(nodes)))
    head = "none" if kind == "head-none" else "classifier"
    return Case(Architecture((Node(), *nodes), edges, head=head), SMALL)


def random_cases(count: int) -> dict[str, Case]:
    """Return random networks: all merges, cells in cells, ties, exits, gains, parts, ports."""
    found: dict[str, Case] = {}

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(architectures(input_shape=(4, 8, 8), exits=True, cells=2, merges=tuple(MERGES)))
    def draw(architecture: Architecture) -> None:
        found[f"random-{len(found)}"] = Case(architecture, (4, 8, 8))

    draw()
    return found


def lively(case: Case) -> Network:
    """Return the network of a case in float64 with every number off its start, in eval mode."""
    network = Network(case.architecture, case.input_shape, case.classes, initialisation="default")
    return shaken(network.double()).eval()


def shaken(network: Network) -> Network:
    """Return the network with every number moved, running statistics included."""
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
            if tensor.is_floating_point():
                spread = 0.3 if isinstance(module, nn.BatchNorm2d) else 0.05
                noise = torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype)
                tensor.data.add_(noise, alpha=spread)
    return network
