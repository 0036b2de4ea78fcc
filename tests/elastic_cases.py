"""Networks with numbers far from trivial, random choices of channels, and permuted channels."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from nas.cost.channel_groups import ChannelGroup, channel_groups
from nas.cost.channels import Channels, Units, channels
from nas.cost.shapes import plan
from nas.errors import ArchitectureError
from nas.model.elastic.slices import sliced_axes, taken
from nas.model.elastic.width import masked, slice_network
from nas.model.network import Network
from nas.topology.graph import Architecture
from nas.topology.layers import Shape

CLASSES = 5


def noisy(architecture: Architecture, shape: Shape) -> Network:
    """Return a float64 network in eval mode in which no number is 0 or 1 by its start."""
    network = Network(architecture, shape, CLASSES, initialisation="default").double().eval()
    generator = torch.Generator().manual_seed(5)
    for name, value in network.state_dict().items():
        if value.dim() == 1 or "merge" in name or "gain" in name:
            noise = torch.rand(value.shape, generator=generator, dtype=torch.float64)
            value.copy_(0.5 + noise)
    return network


def images(shape: Shape, batch: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn((batch, *shape), generator=generator, dtype=torch.float64)


def logits(network: Network, shape: Shape) -> Tensor:
    with torch.no_grad():
        return network(images(shape))


def gap(got: Tensor, wanted: Tensor) -> float:
    got, wanted = got.detach(), wanted.detach()
    return float((got - wanted).abs().max() / wanted.abs().max().clamp(min=1e-12))


def drawn(groups: tuple[ChannelGroup, ...], rng: np.random.Generator) -> dict[str, list[int]]:
    """Return random sets of about half of the groups."""
    kept = {}
    for group in groups:
        if rng.random() < 0.6:
            count = int(rng.integers(1, group.size + 1))
            kept[group.name] = rng.permutation(group.size)[:count].tolist()
    return kept


def sliced_gap(architecture: Architecture, shape: Shape, seed: int) -> float | None:
    """Return how far a random slice is from the masked network; None where none was possible."""
    network = noisy(architecture, shape)
    rng = np.random.default_rng(seed)
    groups = channel_groups(architecture, shape)
    for _ in range(5):
        kept = drawn(groups, rng)
        try:
            smaller = slice_network(network, kept)
        except ArchitectureError as error:
            assert "would lose its projection" in str(error)
            continue
        return gap(logits(smaller, shape), logits(masked(network, kept), shape))
    return None


@dataclass(frozen=True)
class Permuted:
    """Stands in for a selection: keeps every channel, in another order."""

    target: dict[int, int]

    def positions(self, row: Units) -> Units:
        places: defaultdict[int, list[int]] = defaultdict(list)
        for place, unit in enumerate(row.tolist()):
            places[unit].append(place)
        met: defaultdict[int, int] = defaultdict(int)
        found = []
        for unit in row.tolist():
            found.append(places[self.target.get(unit, unit)][met[unit]])
            met[unit] += 1
        return np.array(found, dtype=np.int64)


def permutation(found: Channels, groups: tuple[ChannelGroup, ...], seed: int) -> Permuted:
    """Return a random order of the sets of every group."""
    rng = np.random.default_rng(seed)
    starts = {place: unit for unit, place in reversed(list(enumerate(found.origins)))}
    target: dict[int, int] = {}
    for group in groups:
        order = rng.permutation(group.size)
        for member in group.members:
            for number, own in enumerate(member.sets):
                for here, there in zip(own, member.sets[order[number]], strict=True):
                    target[starts[member.place] + here] = starts[member.place] + there
    return Permuted(_with_zeros(found, target))


def _with_zeros(found: Channels, target: dict[int, int]) -> dict[int, int]:
    """Let padding follow the channels it is added to."""
    labels = found.sets()
    padding = {
        (label, place): unit
        for unit, (label, place) in enumerate(zip(labels.tolist(), found.origins, strict=True))
        if place.endswith(".zeros")
    }
    for unit, there in list(target.items()):
        for (label, place), zero in padding.items():
            if label == labels[unit]:
                target[zero] = padding[int(labels[there]), place]
    return target


def permuted_gap(architecture: Architecture, shape: Shape, seed: int) -> float:
    """Return how far a network is from itself with its channels in another order."""
    network, other = noisy(architecture, shape), noisy(architecture, shape)
    found = channels(plan(architecture, shape))
    order = permutation(found, channel_groups(architecture, shape), seed)
    modules: dict[str, nn.Module] = dict(network.named_modules(remove_duplicate=False))
    state, targets = network.state_dict(), other.state_dict()
    for place, use in found.uses.items():
        if place in modules:
            axes = sliced_axes(modules[place], use, order)  # type: ignore[arg-type]
            for name in modules[place].state_dict():
                targets[f"{place}.{name}"].copy_(
                    taken(state[f"{place}.{name}"], axes.get(name, ()))
                )
    return gap(logits(other, shape), logits(network, shape))
