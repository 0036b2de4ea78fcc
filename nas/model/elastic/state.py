"""A fresh network beside another one: of its type, mode, device and memory format."""

from __future__ import annotations

import torch

from nas.model.network import Network
from nas.topology.graph import Architecture


def built_like(network: Network, architecture: Architecture) -> Network:
    """Return a network of another architecture that stands where this one stands.

    Args:
        network: Whose input shape, classes, type, mode, device and memory format it takes over.
        architecture: What it computes.
    """
    other = Network(architecture, network.input_shape, network.num_classes)
    other.to(next(network.parameters(), torch.zeros(())))
    other.to(memory_format=_memory_format(network))  # type: ignore[call-overload]
    return other.train(network.training)


def _memory_format(network: Network) -> torch.memory_format:
    for parameter in network.parameters():
        if parameter.dim() == 4 and not parameter.is_contiguous():
            return torch.channels_last
    return torch.contiguous_format
