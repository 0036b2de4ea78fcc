"""Moving weights into fused branches: the wide branch computes what the parallel ones did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from nas.model.network import Network
from nas.topology.fusion import Fusion


def fill_fused(parent: Network, child: Network, fusion: Fusion) -> None:
    """Give a fused network the weights and statistics of the network it was made from.

    Args:
        parent: The network of the architecture that was fused.
        child: A network of `fusion.architecture`.
        fusion: What `nas.topology.fusion.fuse_branches` returned.
    """
    members = {branch: group for group in fusion.groups for branch in group[:1]}
    wide = {node for group in fusion.groups for node in group[0]}
    with torch.no_grad():
        for old, new in fusion.number.items():
            if old and old not in wide:
                _copy(parent.nodes[str(old)], child.nodes[str(new)])
        for (first, second), group in members.items():
            ends = (fusion.number[first], fusion.number[second])
            _stack(parent, child, [branch[0] for branch in group], ends[0], dense=(0, 0))
            _stack(parent, child, [branch[1] for branch in group], ends[1], dense=(-1, 1))
        if parent.head is not None and child.head is not None:
            _copy(parent.head, child.head)


def _copy(source: nn.Module, target: nn.Module) -> None:
    state = source.state_dict()
    for name, tensor in target.state_dict().items():
        if name in state and state[name].shape == tensor.shape:
            tensor.copy_(state[name])


def _stack(
    parent: Network, child: Network, olds: Sequence[int], new: int, dense: tuple[int, int]
) -> None:
    """Concatenate the layers of nodes: `dense` is the place of the convolution, and its axis."""
    rows = [cast(nn.ModuleList, parent.nodes[str(old)].operation) for old in olds]
    target = cast(nn.ModuleList, child.nodes[str(new)].operation)
    place = dense[0] % len(target)
    for index, layer in enumerate(target):
        for name, tensor in layer.state_dict().items():
            parts = [row[index].state_dict()[name] for row in rows]
            axis = dense[1] if index == place and name == "weight" else 0
            tensor.copy_(parts[0] if tensor.dim() == 0 else _joined(parts, axis))


def _joined(parts: list[Tensor], axis: int) -> Tensor:
    return torch.cat(parts, dim=axis)
