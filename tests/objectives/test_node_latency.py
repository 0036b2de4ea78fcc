"""Latency by node: every node that runs something has a time, and passes stay what they were."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from nas.cli.named_architectures import build_named
from nas.model.fuse import fuse
from nas.model.network import Network
from nas.objectives.node_latency import HEAD, node_latencies


@pytest.mark.parametrize("name", ["fractal:size=3,width=8,stem=conv3x3", "dense:size=4,width=8"])
def test_every_computing_node_has_a_time_and_they_fit_into_the_whole(name: str) -> None:
    architecture = build_named(name)
    found = node_latencies(architecture, (3, 8, 8), 10, seconds=0)
    computing = {
        node.name for node in architecture.nodes[1:] if node.operation not in ("identity", "input")
    }
    assert computing | {HEAD} <= set(found.nodes) <= {n.name for n in architecture.nodes} | {HEAD}
    assert all(duration > 0 for duration in found.nodes.values())
    # Medians of parts need not add up to the median of the whole, but they are parts of it.
    assert sum(found.nodes.values()) < 1.5 * found.whole_ms
    assert found.passes >= 15


def test_a_network_without_a_head_has_no_time_for_one() -> None:
    architecture = build_named("u2netp")
    found = node_latencies(architecture, (3, 32, 32), 1, seconds=0)
    assert (HEAD in found.nodes) == (architecture.head != "none")


def test_running_by_a_caller_gives_the_logits_of_a_plain_pass() -> None:
    network = fuse(Network(build_named("dense:size=4,width=8"), (3, 8, 8), 10, seed=3))
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    told: list[str] = []

    def call(place: str, run: Callable[[], torch.Tensor]) -> torch.Tensor:
        told.append(place)
        return run()

    assert torch.equal(network.forward_by(images.clone(), call), network(images.clone()))
    assert told == [*network.places, ""]
