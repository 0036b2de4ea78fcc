"""Which part of every weight belongs to the channels that are kept, by class of module."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from nas.cost.channel_groups import Selection
from nas.cost.channels import Units, Use
from nas.model.adapters import Scaling
from nas.model.layer_modules import ChannelAffine, ChannelGate, ChannelNorm
from nas.model.merges import AbstractDeclaredMerge, Projected
from nas.topology.layers import SqueezeExcite

Axes = tuple[Tensor | None, ...]
"""Per dimension of a tensor the places that are kept, None for all."""


@final
@dataclass(frozen=True)
class Kept:
    """What is kept of the rows around a module.

    Args:
        reads: Places among its input channels.
        writes: Places among its output channels.
        block: Places among the input channels of its first group.
        hidden: Units of a gate between its two layers.
    """

    reads: Tensor
    writes: Tensor
    block: Tensor
    hidden: Tensor


def kept_around(use: Use, selection: Selection, groups: int = 1) -> Kept:
    """Return what is kept of the rows that a module reads and writes."""

    def places(row: Units) -> Tensor:
        return torch.from_numpy(selection.positions(row))

    reads, writes = places(use.reads), places(use.writes)
    hidden = 0
    if isinstance(use.layer, SqueezeExcite):
        hidden = use.layer.hidden(len(reads))
    block = places(use.reads[: len(use.reads) // groups])
    return Kept(reads, writes, block, torch.arange(hidden))


def sliced_axes(module: nn.Module, use: Use, selection: Selection) -> Mapping[str, Axes]:
    """Return, per entry of the module's state that shrinks, what is kept of it."""
    if isinstance(module, nn.Conv2d):
        alone = module.weight.shape[1] == 1  # a filter per channel goes with its channel
        kept = kept_around(use, selection, 1 if alone else module.groups)
        return {"weight": (kept.writes, None if alone else kept.block), "bias": (kept.writes,)}
    kept = kept_around(use, selection)
    if isinstance(module, nn.BatchNorm2d | ChannelNorm | ChannelAffine):
        names = ("weight", "bias", "running_mean", "running_var")
        return dict.fromkeys(names, (kept.writes,))
    if isinstance(module, nn.Linear):
        return {"weight": (None, kept.reads)}
    if isinstance(module, Scaling):
        by_channel = module.gain is not None and len(module.gain) == len(use.writes)
        return {"gain": (kept.writes,)} if by_channel else {}
    if isinstance(module, ChannelGate):
        return _gate_axes(kept)
    return _merge_axes(module, kept.writes)


def _gate_axes(kept: Kept) -> Mapping[str, Axes]:
    if not len(kept.hidden):
        return {"layers.0.weight": (kept.writes, kept.reads), "layers.0.bias": (kept.writes,)}
    return {
        "layers.0.weight": (kept.hidden, kept.reads),
        "layers.0.bias": (kept.hidden,),
        "layers.2.weight": (kept.writes, kept.hidden),
        "layers.2.bias": (kept.writes,),
    }


def _merge_axes(module: nn.Module, channels: Tensor) -> Mapping[str, Axes]:
    if isinstance(module, Projected):
        return {f"slices.{place}": (channels, channels) for place in range(len(module.slices))}
    if not isinstance(module, AbstractDeclaredMerge):
        return {}
    axes: dict[str, Axes] = {}
    for declared in module.setup.rule.parameters:
        own = tuple(channels if size == "channels" else None for size in declared.shape)
        axes[declared.name] = (None, *own) if declared.per == "input" else own
    return axes


def taken(value: Tensor, axes: Axes) -> Tensor:
    """Return what is kept of a tensor."""
    for dimension, places in enumerate(axes):
        if places is not None:
            value = value.index_select(dimension, places.to(value.device))
    return value
