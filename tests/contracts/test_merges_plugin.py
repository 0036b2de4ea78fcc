"""A merge of one's own: one entry of data and one module, and every compiler knows it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import final

import pytest
import torch
from supernet_cases import SHAPE, images, one_stage, shaken
from torch import Tensor

from nas.cost.count import cost
from nas.model.fuse import fuse
from nas.model.merges import MERGE_MODULES, AbstractDeclaredMerge, merge_module
from nas.model.merges.base import Weights
from nas.model.network import Network
from nas.supernet.supernet import Supernet
from nas.topology.graph import Architecture, Edge, Node
from nas.topology.identity import structural_id
from nas.topology.merges import MERGES, Merge, MergeParameter, merge

NAME = "newest_minus_gated"


@pytest.fixture
def registered() -> Iterator[str]:
    """Register the merge as a plugin's module would, and take it back."""
    gate = MergeParameter("gate", ("channels",), "input", "ones", newest_without=1)
    mix = MergeParameter("mix", ("channels", "channels"), "node", "matrix", "position")
    merge(Merge(NAME, "module", parameters=(gate, mix), roles="newest"))

    @final
    @merge_module(NAME)
    class NewestMinusGated(AbstractDeclaredMerge):
        """`x - W (sum_j g_j x_j)` over all older inputs `x_j`."""

        def combine(self, inputs: Sequence[Tensor], weights: Weights) -> Tensor:
            older = torch.stack(list(inputs[:-1])) * weights["gate"][:, None, :, None, None]
            mixed = torch.einsum("oc,bchw->bohw", weights["mix"], older.sum(0))
            return (inputs[-1] - mixed) * self.setup.factor

    yield NAME
    for registry in (MERGES, MERGE_MODULES):
        registry._entries.pop(NAME)
        registry._papers.pop(NAME)


def join(name: str) -> Architecture:
    nodes = (Node(), *[Node("conv3x3", width=6)] * 3, Node("relu", merge=name))
    edges = [Edge(0, n) for n in (1, 2, 3)] + [Edge(n, 4) for n in (1, 2, 3)]
    return Architecture(nodes, tuple(edges))


def test_a_merge_of_a_plugin_is_counted_built_fused_and_shared(registered: str) -> None:
    network = Network(join(registered), SHAPE, 5).double().eval()
    extra = cost(join(registered), SHAPE, 5).parameters - cost(join("sum"), SHAPE, 5).parameters
    assert extra == 2 * 6 + 6 * 6
    assert cost(join(registered), SHAPE, 5).parameters == sum(
        p.numel() for p in network.parameters()
    )
    assert structural_id(join(registered)) != structural_id(join("sum"))
    with torch.no_grad():
        assert torch.allclose(fuse(network)(images()), network(images()), atol=1e-12)
    space = one_stage(registered, "sum", patterns=("free", "dense"))
    supernet = shaken(Supernet(space, SHAPE, 5).double())
    member = space.build(space.reference(SHAPE))
    assert registered in {node.merge for node in member.nodes}
    with torch.no_grad():
        alone = supernet.extract(member).train()(images())
        assert (supernet.run(images(), member) - alone).abs().max() < 1e-10 * alone.abs().max()
