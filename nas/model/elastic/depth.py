"""Elastic depth: a network without some of its blocks, with the weights of all others.

What can be left out is found in `nas.cost.skippable`. The result is a plain `Network` of the
shorter architecture; merges follow the rules of their in-degree, so a mean of three becomes a mean
of two. A sum without a branch is what it is when the branch yields zeros.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from nas.cost.skippable import Shortened, without_blocks
from nas.model.elastic.slices import taken
from nas.model.elastic.state import built_like
from nas.model.network import Network


@torch.no_grad()
def skip_blocks(network: Network, names: Iterable[str]) -> Network:
    """Return a shorter network with the weights and statistics of the nodes that are left.

    Args:
        network: The whole network; it stays as it is.
        names: Of blocks, as `nas.cost.skippable.skippable_blocks` gives them.

    Returns:
        A network in the mode, type and memory of the whole one, with parameters of its own.

    Raises:
        NotFoundError: If there is no such block.
        ArchitectureError: If a block cannot go once the ones before it are gone.
    """
    left = without_blocks(network.architecture, network.input_shape, names)
    shorter = built_like(network, left.architecture)
    state = network.state_dict()
    for name, target in shorter.state_dict().items():
        target.copy_(_value(name, state, left))
    return shorter


def _value(name: str, state: dict[str, Tensor], left: Shortened) -> Tensor:
    """Return what the whole network has under a name of the shorter one."""
    kind, _, rest = name.partition(".")
    if kind == "head":
        return state[name]
    number, _, inner = rest.partition(".")
    old = f"{kind}.{left.nodes[int(number)]}"
    places = left.positions[int(number)]
    part, _, tail = inner.partition(".")
    if part == "adapters" or tail.startswith("slices."):
        return state[f"{old}.{_moved(inner, places)}"]
    value = state[f"{old}.{inner}"]
    by_input = part == "merge" and tail == "weights" and value.dim() == 1
    if by_input and len(value) >= len(places) > 1:
        return taken(value, (torch.tensor(places),))
    return value


def _moved(inner: str, places: tuple[int, ...]) -> str:
    """Put the old place of an input into `adapters.PLACE...` or `merge.slices.PLACE`."""
    parts = inner.split(".")
    index = 1 if parts[0] == "adapters" else 2
    parts[index] = str(places[int(parts[index])])
    return ".".join(parts)
