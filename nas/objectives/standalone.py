"""The network whose latency counts, and the fixed network it is compared with.

What ships is the stand-alone network in eval mode with batch norm folded, never the subnet inside
the supernet. The reference is small, plain and the same for ever: its own time is what ratios are
turned into milliseconds with.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import torch
from torch import nn

from nas.topology.graph import Architecture
from nas.topology.layers import Shape

REFERENCE_WIDTH = 16
REFERENCE_SIDE = 64
"""Larger images are subsampled by the first convolution, so that the reference stays quick."""


def build_standalone(architecture: Architecture, input_shape: Shape, num_classes: int) -> nn.Module:
    """Return the network in eval mode with batch norm folded; its weights do not matter here.

    Raises:
        ArchitectureError: If it cannot be built.
    """
    from nas.model.fuse import fuse
    from nas.model.network import Network

    return fuse(Network(architecture, input_shape, num_classes, seed=0))


@lru_cache(maxsize=64)
def reference_network(input_shape: Shape) -> nn.Module:
    """Return the fixed reference: five convolutions, average pooling and a classifier.

    Its weights come from a generator of its own, so that building it changes no random state.
    It is one module per shape, which nobody may change: runtimes make their own copies of it, and
    number formats of one runtime share its export.

    Args:
        input_shape: `(channels, height, width)` of one image.
    """
    stride = max(1, -(-max(input_shape[1:]) // REFERENCE_SIDE))
    channels = (input_shape[0], *(REFERENCE_WIDTH,) * 5)
    layers: list[nn.Module] = []
    with torch.random.fork_rng(devices=[]):  # constructors draw weights, which are replaced below
        for index, (before, after) in enumerate(pairwise(channels)):
            layers += [
                nn.Conv2d(before, after, 3, stride if index == 0 else 1, padding=1),
                nn.ReLU(),
            ]
        head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(REFERENCE_WIDTH, 10))
        network = nn.Sequential(*layers, *head)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return network.eval().requires_grad_(False)
