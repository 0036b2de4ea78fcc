"""Answers before the end: inference that stops where it is sure, and networks cut out at an exit.

Training with exits is the recipe's `exit_weight`: the loss of the network's own head plus that
weight times the losses of all exits. The columns of a fractal, which are networks of a fixed depth
(Larsson et al. 2016, arXiv:1605.07648), are cut out in the same way: a part of the nodes, with
their weights.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast, final

import torch
from torch import Tensor, nn

from nas.cost.count import exit_nodes
from nas.cost.exit_costs import exit_macs, exit_order
from nas.cost.merging_nodes import MergingNode, merging_nodes
from nas.errors import ArchitectureError, ConfigError
from nas.model.network import Network, NodeModule, apply_head, check_input
from nas.topology.graph import Architecture, Edge

Sureness = Literal["confidence", "entropy"]


@final
@dataclass(frozen=True)
class Answers:
    """What a batch was answered.

    Args:
        logits: `(batch, classes)`.
        exits: `(batch,)`: number of the exit that each image left at, from 0; the last number is
            the network's own head.
        macs: Mean multiply-adds per image.
    """

    logits: Tensor
    exits: Tensor
    macs: float


def sureness(logits: Tensor, by: Sureness = "confidence") -> Tensor:
    """Return how sure an answer is, from 0 to 1.

    Args:
        logits: `(batch, classes)`.
        by: `confidence`: the largest probability; `entropy`: 1 minus the entropy of the
            probabilities over its largest value.
    """
    probabilities = logits.float().softmax(1)
    if by == "confidence":
        return probabilities.amax(1)
    entropy: Tensor = torch.special.entr(probabilities).sum(1)
    return 1 - entropy / math.log(max(logits.shape[1], 2))


@torch.no_grad()
def answer_early(
    network: Network, x: Tensor, threshold: float, by: Sureness = "confidence"
) -> Answers:
    """Run a batch and let every image leave at the first exit that is sure enough.

    Only the images that are left are computed further, and only the nodes that the next exit needs.

    Args:
        network: A network with exits and a head, in eval mode.
        x: `(batch, channels, height, width)`.
        threshold: Least sureness to leave; above 1 nothing leaves early.
        by: What is compared with it.

    Raises:
        ArchitectureError: If the network has no head, or the images the wrong shape.
        ConfigError: If the threshold is not a number, or the network is in training mode.
    """
    _check(network, threshold)
    check_input(x, network.input_shape)
    costs = exit_macs(network.architecture, network.input_shape, network.num_classes)
    states: dict[int, Tensor] = {0: x}
    rows = torch.arange(len(x), device=x.device)
    logits = x.new_zeros(len(x), network.num_classes)
    exits = torch.full((len(x),), len(costs) - 1, device=x.device)
    heads = [*network.exits.values(), network.head]
    goals = [*exit_nodes(network.architecture), len(network.plan.steps) - 1]
    for number, group in enumerate(exit_order(network.architecture)):
        _run_group(network, group, states, states[0])
        found = apply_head(heads[number], states[goals[number]]).to(logits.dtype)
        leaves = sureness(found, by) >= threshold
        if number == len(costs) - 1:
            leaves = torch.ones_like(leaves)
        logits[rows[leaves]], exits[rows[leaves]] = found[leaves], number
        rows = rows[~leaves]
        if not len(rows):
            break
        states = {node: state[~leaves] for node, state in states.items()}
    macs = torch.tensor(costs, dtype=torch.float64)[exits.cpu()].mean()
    return Answers(logits, exits, float(macs))


def _check(network: Network, threshold: float) -> None:
    if threshold != threshold:
        raise ConfigError("The threshold is not a number.", fix="Choose one from 0 to 1.")
    if network.training:
        raise ConfigError(
            "The network is in training mode, in which images of a batch are not independent.",
            fix="Call network.eval() first.",
        )


def _run_group(
    network: Network, group: Sequence[int], states: dict[int, Tensor], like: Tensor
) -> None:
    for index in group:
        module = cast(NodeModule, network.nodes[str(index)])
        inputs = [states[entry.edge.source] for entry in network.plan.steps[index].inputs]
        states[index] = module(inputs, like)


@final
@dataclass(frozen=True)
class CurvePoint:
    """One threshold: the error it leads to, and what an image costs on average."""

    threshold: float
    error: float
    macs: float


@torch.no_grad()
def threshold_curve(
    network: Network,
    images: Tensor,
    labels: Tensor,
    thresholds: Sequence[float],
    by: Sureness = "confidence",
) -> list[CurvePoint]:
    """Return error and mean cost over thresholds; the cost never falls when a threshold rises.

    All exits are asked once, so the curve costs one pass whatever its length.

    Args:
        network: As in `answer_early`.
        images: `(count, channels, height, width)`.
        labels: `(count,)`.
        thresholds: In any order.
        by: What is compared with them.

    Raises:
        ArchitectureError: If the network has no head, or the images the wrong shape.
        ConfigError: If a threshold is not a number, or the network is in training mode.
    """
    for threshold in thresholds:
        _check(network, threshold)
    costs = exit_macs(network.architecture, network.input_shape, network.num_classes)
    every = torch.stack(network.exit_logits(images))
    sure = torch.stack([sureness(each, by) for each in every])
    wrong = (every.argmax(2) != labels).double()
    macs = torch.tensor(costs, dtype=torch.float64, device=images.device)
    columns = torch.arange(len(labels), device=images.device)
    found = []
    for threshold in thresholds:
        leaves = sure >= threshold
        leaves[-1] = True
        first = leaves.int().argmax(0)
        found.append(
            CurvePoint(threshold, float(wrong[first, columns].mean()), float(macs[first].mean()))
        )
    return found


def cut_at_exit(network: Network, number: int) -> Network:
    """Return the network up to an exit, with its weights; the exit's head becomes its head.

    Args:
        network: A network with exits.
        number: Which exit, from 0.

    Raises:
        ConfigError: If there is no such exit.
    """
    exits = exit_nodes(network.architecture)
    if not 0 <= number < len(exits):
        raise ConfigError(
            f"There is no exit {number}: the network has {len(exits)}.",
            fix="Exits are numbered from 0, the earliest first.",
        )
    goal = exits[number]
    whole = replace(network.architecture, head="classifier")
    cut = _cut(network, whole, sorted(_before(whole, goal)), frozenset(whole.edges))
    assert cut.head is not None
    cut.head.load_state_dict(network.exits[str(goal)].state_dict())
    return cut


def cut_column(network: Network, column: int) -> Network:
    """Return one column as a network of its own, with its weights; 0 is the deepest one.

    What it computes is what the whole network computes when every merge keeps that column alone,
    as global drop-path trains it.

    Args:
        network: The network.
        column: As in `nas.cost.merging_nodes`; a merge with fewer columns keeps its last one.

    Raises:
        ConfigError: If no merge has so many columns.
        ArchitectureError: If a merge on it has weights of its own, or stands inside of a cell.
    """
    nodes = merging_nodes(network.plan)
    most = max((node.columns for node in nodes), default=1)
    if not 0 <= column < most:
        raise ConfigError(
            f"There is no column {column}: the merges of this network have up to {most}.",
            fix=f"Choose 0 (the deepest) to {most - 1}.",
        )
    dropped = {edge for node in nodes for edge in _dropped(network, node, column)}
    whole = network.architecture
    edges = frozenset(edge for edge in whole.edges if edge not in dropped)
    left = Architecture(whole.nodes, tuple(edges), zero_allowed=True)
    cut = _cut(network, whole, sorted(_before(left, len(left.nodes) - 1)), edges)
    if cut.head is not None and network.head is not None:
        cut.head.load_state_dict(network.head.state_dict())
    return cut


def _dropped(network: Network, node: MergingNode, column: int) -> Iterator[Edge]:
    label = network.architecture.label(node.path[0])
    step = network.plan.steps[node.path[0]]
    if len(node.path) > 1:
        raise ArchitectureError(
            f"{label} holds a cell with merges, of which no column can be cut out.",
            fix="Flatten the architecture, or cut columns of wirings without cells.",
        )
    if step.merge.weight not in ("identity", "pairwise"):
        raise ArchitectureError(
            f"{label} merges by '{step.node.merge}', which is not the same over fewer inputs.",
            fix="Columns are cut out of sums and means.",
        )
    rank = min(column, node.columns - 1)
    kept = [rank in entry.columns for entry in node.inputs]
    if not any(kept):
        kept[0] = True  # a merge that this column does not run through
    yield from (entry.edge for entry, keep in zip(step.inputs, kept, strict=True) if not keep)


def _before(architecture: Architecture, goal: int) -> set[int]:
    """Return a node and all that it needs, the input included."""
    needed, waiting = {0}, [goal]
    while waiting:
        node = waiting.pop()
        if node not in needed:
            needed.add(node)
            waiting.extend(edge.source for edge in architecture.inputs(node))
    return needed


def _cut(
    network: Network, whole: Architecture, kept: Sequence[int], edges: Collection[Edge]
) -> Network:
    """Build the network of some nodes, the last of them its output, and copy their weights."""
    number = {old: new for new, old in enumerate(kept)}
    nodes = [whole.nodes[old] for old in kept]
    nodes[-1] = replace(nodes[-1], exit=False)
    wired = tuple(
        replace(edge, source=number[edge.source], target=number[edge.target])
        for edge in whole.edges
        if edge in edges and edge.source in number and edge.target in number
    )
    architecture = replace(whole, nodes=tuple(nodes), edges=wired)
    cut = Network(architecture, network.input_shape, network.num_classes)
    example = next(iter(network.parameters()))
    cut.to(example.device, example.dtype).train(network.training)
    for old in kept[1:]:
        _check_shape(network, old, cut, number[old])
        inputs = network.plan.steps[old].inputs
        _copy(network, old, cut, number[old], [entry.edge in edges for entry in inputs])
    for name, head in network.exits.items():
        if int(name) in number and int(name) != kept[-1]:
            cut.exits[str(number[int(name)])].load_state_dict(head.state_dict())
    return cut


def _check_shape(network: Network, old: int, cut: Network, new: int) -> None:
    if network.plan.steps[old].merged != cut.plan.steps[new].merged:
        raise ArchitectureError(
            f"{network.architecture.label(old)} takes its shape from an input that is cut off.",
            why="What is left was adapted to that shape, and the adapter would have no reason.",
            fix="Cut columns of wirings whose merged inputs have one shape.",
        )


def _copy(network: Network, old: int, cut: Network, new: int, kept: list[bool]) -> None:
    """Copy the weights of one node; adapters move with the inputs that are left."""
    source = cast(NodeModule, network.nodes[str(old)])
    target = cast(NodeModule, cut.nodes[str(new)])
    places = [place for place, keep in enumerate(kept) if keep]
    for position, place in enumerate(places):
        if str(position) in target.adapters:
            theirs: nn.Module = source.adapters[str(place)]
            target.adapters[str(position)].load_state_dict(theirs.state_dict())
    target.operation.load_state_dict(source.operation.state_dict())
    for name in ("merge", "cell"):
        theirs, ours = getattr(source, name), getattr(target, name)
        if ours is not None and theirs is not None:
            ours.load_state_dict(theirs.state_dict())
