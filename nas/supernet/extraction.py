"""Copy a member's slices of the shared weights into its stand-alone network."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from nas.model.network import Network
from nas.supernet.execution import Statistics, WeightSource
from nas.supernet.slots import SlotUse


@torch.no_grad()
def copy_member(
    network: Network,
    weights: WeightSource,
    uses: Iterable[SlotUse],
    statistics: Statistics | None,
) -> None:
    """Fill a network with the weights its member reads.

    Args:
        network: The stand-alone network of the member, of their type and on their device.
        weights: Where they come from.
        uses: Everything the member reads.
        statistics: Of its batch norms; None leaves them fresh.
    """
    parameters = dict(network.named_parameters(remove_duplicate=False))
    for use in uses:
        value = weights.read(use)
        name, _, element = use.parameter.partition("[")
        if element:
            row = parameters[name][int(element.rstrip("]"))]
            row.copy_(value.reshape(row.shape))
        else:
            parameters[name].copy_(value)
    if statistics is None:
        return
    buffers = dict(network.named_buffers(remove_duplicate=False))
    for site, (mean, variance) in statistics.values.items():
        buffers[f"{site}.running_mean"].copy_(mean)
        buffers[f"{site}.running_var"].copy_(variance)
