"""Factors on the inputs of nodes during one pass: how paths of a network are dropped and chosen.

A mask is an argument of a pass, never a state of modules, so that a network computes what it says
whenever nobody passes one. It multiplies what reaches a merge, behind the adapter and the gain of
the edge; the operations that nobody hears run all the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast, final

from torch import Tensor

if TYPE_CHECKING:
    from nas.model.network import AbstractWired, NodeModule

Factor = float | Tensor
"""A number for the whole batch, or a tensor `(batch, 1, 1, 1)`."""


@final
@dataclass(frozen=True)
class PathMasks:
    """What the inputs of some nodes are multiplied with.

    Args:
        inputs: By node number: one factor per live input, oldest source first.
        cells: By node number: the masks inside of its nested architecture.
    """

    inputs: Mapping[int, Sequence[Factor]] = field(default_factory=dict)
    cells: Mapping[int, PathMasks] = field(default_factory=dict)


def run_masked(wired: AbstractWired, x: Tensor, masks: PathMasks) -> list[Tensor]:
    """Run all nodes under masks; return the states of all.

    Args:
        wired: A network or cell.
        x: `(batch, *plan.input_shape)`.
        masks: What is multiplied where.
    """
    states = [x]
    for step in wired.plan.steps[1:]:
        module = cast("NodeModule", wired.nodes[str(step.index)])
        inputs = [states[entry.edge.source] for entry in step.inputs]
        factors = masks.inputs.get(step.index)
        inside = masks.cells.get(step.index)
        if factors is None and inside is None:
            states.append(module(inputs, x))
        else:
            states.append(_run_node(module, inputs, factors, inside))
    return states


def _run_node(
    module: NodeModule,
    inputs: list[Tensor],
    factors: Sequence[Factor] | None,
    inside: PathMasks | None,
) -> Tensor:
    for position, adapter in module.adapters.items():
        inputs[int(position)] = adapter(inputs[int(position)])
    if factors is not None:
        pairs = zip(inputs, factors, strict=True)
        inputs = [x if isinstance(each, float) and each == 1.0 else x * each for x, each in pairs]
    x = inputs[0] if module.merge is None else module.merge(inputs)
    for layer in module.operation:
        x = layer(x)
    if module.cell is None:
        return x
    return module.cell(x) if inside is None else run_masked(module.cell, x, inside)[-1]
