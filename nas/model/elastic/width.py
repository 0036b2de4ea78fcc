"""Elastic width: a network of some of another network's channels, with its weights.

Slicing copies what is kept and nothing else: the result is a plain `Network` of the smaller
architecture. It computes what the whole network computes when every other channel is zero
(`masked`), as far as layers treat channels apart: a layer norm then normalises over the channels
that are left, and a squeeze-and-excite gate keeps its leading hidden units, as many as it has at
that width. In published terms it is the subnet of a slimmable network (Yu et al. 2019,
arXiv:1812.08928), on any wiring.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.cost.channel_groups import Kept, Selection, ratio_widths, select_channels
from nas.model.elastic.slices import kept_around, sliced_axes, taken
from nas.model.elastic.state import built_like
from nas.model.layer_modules import ChannelGate, ChannelNorm
from nas.model.network import Network


def slice_network(network: Network, kept: Kept | None = None, *, ratio: float = 1.0) -> Network:
    """Return a smaller network with the weights and statistics of the channels that are kept.

    Args:
        network: The whole network; it stays as it is.
        kept: What to keep of each group of `nas.cost.channel_groups.channel_groups`: a number of
            channels (the leading ones) or the numbers of sets.
        ratio: Share of the groups that `kept` does not name.

    Returns:
        A network in the mode, type and memory of the whole one, with parameters of its own.

    Raises:
        NotFoundError: If there is no such group.
        ConfigError: If a group cannot have this width; the nearest is named.
        ArchitectureError: If two widths become equal where an edge holds a projection.
    """
    return sliced(network, _selection(network, kept, ratio))


@torch.no_grad()
def sliced(network: Network, selection: Selection) -> Network:
    """Return the network of a selection of its channels; see `slice_network`."""
    smaller = built_like(network, selection.smaller)
    modules = dict(network.named_modules(remove_duplicate=False))
    state, targets = network.state_dict(), smaller.state_dict()
    for place, use in selection.channels.uses.items():
        if place not in modules:  # a merge or layer without a module
            continue
        axes = sliced_axes(modules[place], use, selection)
        for name in modules[place].state_dict():
            value = taken(state[f"{place}.{name}"], axes.get(name, ()))
            targets.pop(f"{place}.{name}").copy_(value)
    assert not targets, f"nobody slices {sorted(targets)}"
    return smaller


def masked(network: Network, kept: Kept | None = None, *, ratio: float = 1.0) -> Network:
    """Return a copy of the whole network in which all other channels are zero behind every layer.

    Its output is that of `slice_network`; its gradients train what is kept.

    Args:
        network: The whole network.
        kept: As for `slice_network`.
        ratio: As for `slice_network`.
    """
    selection = _selection(network, kept, ratio)
    whole = copy.deepcopy(network)
    modules = dict(whole.named_modules(remove_duplicate=False))
    for place, use in selection.channels.uses.items():
        module = modules.get(place)
        if module is None or not len(use.writes):
            continue
        around = kept_around(use, selection)
        if isinstance(module, ChannelNorm):
            module.register_forward_hook(_norm_of(around.writes))
        if isinstance(module, ChannelGate) and len(around.hidden):
            size = int(modules[f"{place}.layers.0"].weight.shape[0])
            module.layers[0].register_forward_hook(_only(around.hidden, size))
        module.register_forward_hook(_only(around.writes, len(use.writes)))
    return whole


def _selection(network: Network, kept: Kept | None, ratio: float) -> Selection:
    shape = network.input_shape
    if ratio != 1.0:
        kept = ratio_widths(network.architecture, shape, ratio, kept)
    return select_channels(network.architecture, shape, kept or {})


Hook = Callable[[nn.Module, Any, Tensor], Tensor]


def _only(kept: Tensor, count: int) -> Hook:
    """Return a hook that zeroes all channels of an output but some."""
    mask = torch.zeros(count, 1, 1).index_fill_(0, kept, 1.0)

    def hook(_: nn.Module, __: Any, y: Tensor) -> Tensor:
        return y * mask.to(y)

    return hook


def _norm_of(kept: Tensor) -> Hook:
    """Return a hook that normalises over some channels only."""

    def hook(module: nn.Module, given: Any, y: Tensor) -> Tensor:
        assert isinstance(module, ChannelNorm)
        places = kept.to(y.device)
        last = given[0].index_select(1, places).permute(0, 2, 3, 1)
        weight, bias = module.weight[places], module.bias[places]
        normed = F.layer_norm(last, weight.shape, weight, bias, module.eps)
        return torch.zeros_like(y).index_copy(1, places, normed.permute(0, 3, 1, 2))

    return hook
