"""Where the time of a network goes: the latency of every node of what ships, in runtime eager.

The fused network is a flat list of calls, each of which belongs to a node of the architecture.
Every call is timed by itself, and the median over passes counts. What a pass spends between the
calls belongs to nobody, so nodes add up to a little less than the whole. The numbers say where time
goes; which of two networks is faster `nas.objectives.latency` says.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

import numpy as np
import torch
from torch import Tensor

from nas.model.fuse import FusedNetwork, fuse
from nas.model.network import Network
from nas.topology.graph import Architecture
from nas.topology.layers import Shape
from nas.training.device import use_threads
from nas.training.device_lock import measuring_on

HEAD: Final = "head"
"""Name under which the classifier is timed."""
WARM_UP: Final = 5
FEWEST_PASSES: Final = 15


@final
@dataclass(frozen=True)
class NodeLatencies:
    """What a network's nodes take.

    Args:
        nodes: Milliseconds per batch by name of the node, `head` for the classifier; nodes that run
            nothing are not in it.
        whole_ms: Milliseconds per batch of the whole pass, timings included.
        passes: Timed passes.
    """

    nodes: dict[str, float]
    whole_ms: float
    passes: int


@torch.inference_mode()
def node_latencies(
    architecture: Architecture,
    input_shape: Shape,
    num_classes: int,
    *,
    batch: int = 1,
    threads: int = 1,
    device: str = "cpu",
    seconds: float = 0.05,
) -> NodeLatencies:
    """Time every node of the network that ships.

    Args:
        architecture: The network; its nodes are named.
        input_shape: `(channels, height, width)` of one image.
        num_classes: Outputs of the classifier.
        batch: Images of one pass.
        threads: Threads of torch meanwhile.
        device: Torch device.
        seconds: How long to go on, at least for 15 passes.

    Raises:
        ArchitectureError: If it cannot be built.
    """
    network = fuse(Network(architecture, input_shape, num_classes, seed=0)).to(device)
    images = torch.zeros(batch, *input_shape, device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    finish = torch.cuda.synchronize if images.is_cuda else _nothing
    passes: list[list[int]] = []
    with use_threads(threads), measuring_on(device):
        for _ in range(WARM_UP):
            network(images)
        end = time.perf_counter() + seconds
        while len(passes) < FEWEST_PASSES or time.perf_counter() < end:
            passes.append(_pass(network, images, finish))
    times = np.median(np.array(passes), axis=0) / 1e6
    nodes: dict[str, float] = {}
    for place, duration in zip([*network.places, HEAD], times[:-1], strict=True):
        nodes[place] = nodes.get(place, 0.0) + float(duration)
    if network.head is None:
        del nodes[HEAD]
    return NodeLatencies(nodes, float(times[-1]), len(passes))


def _nothing() -> None:
    """Wait for a device on which calls return when they are done."""


def _pass(network: FusedNetwork, images: Tensor, finish: Callable[[], None]) -> list[int]:
    """Return the nanoseconds of every call of one pass, the head's, and those of the whole."""
    times: list[int] = []

    def clocked(_: str, run: Callable[[], Tensor]) -> Tensor:
        start = time.perf_counter_ns()
        found = run()
        finish()
        times.append(time.perf_counter_ns() - start)
        return found

    finish()
    began = time.perf_counter_ns()
    network.forward_by(images, clocked)
    return [*times, time.perf_counter_ns() - began]
