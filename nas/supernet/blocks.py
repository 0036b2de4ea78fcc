"""Block-wise supervision: a frozen teacher, and members compared with it stage by stage.

A stage of a member reads the teacher's state before it and is compared with the teacher's state
behind it (Li et al. 2019, DNA, arXiv:1911.13053), so that no stage depends on what another one
drew. A member is rated by the sum of its stages' losses: errors of blocks add up. A narrower stage
is compared with the teacher's first channels, which are the ones it shares with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nas.space import Decisions
from nas.supernet.execution import batch_norm, run_node
from nas.supernet.path_samplers.blockwise import spliced, stage_of
from nas.supernet.slots import NodeCall, Program, call_uses
from nas.supernet.supernet import Supernet
from nas.supernet.weights import SharedWeights
from nas.topology.graph import Architecture

SMALLEST_VARIANCE = 1e-6
"""Added to the variance that a loss is relative to."""


@final
class BlockTeacher:
    """A member as it was at one moment, by which stages of other members are judged.

    Args:
        supernet: Holds the member's slots.
        decisions: The member, as a rule the space's largest.
        weights: Its slots by key.
    """

    def __init__(
        self, supernet: Supernet, decisions: Decisions, weights: Mapping[str, NDArray[Any]]
    ) -> None:
        self.supernet = supernet
        self.decisions = decisions
        self.architecture = supernet.space.build(decisions)
        self.weights = SharedWeights(supernet.seed).to(supernet.weights.anchor)
        self.weights.load_arrays(dict(weights))
        self.weights.requires_grad_(False)

    @classmethod
    def copy_of(cls, supernet: Supernet, decisions: Decisions) -> Self:
        """Return the member with a copy of its weights as they are now."""
        active = supernet.active(supernet.space.build(decisions))
        slots = {key: supernet.weights.slot(key).detach().cpu().numpy().copy() for key in active}
        return cls(supernet, decisions, slots)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return a copy of the teacher's weights by slot."""
        return self.weights.arrays()

    @torch.no_grad()
    def states(self, images: Tensor) -> dict[str, Tensor]:
        """Return what every node of the teacher computes, by the node's name."""
        states: list[Tensor | None] = [images]
        found: dict[str, Tensor] = {}
        for call in self.supernet.program(self.architecture).calls:
            state = run_node(call, states, images, self.weights, batch_norm)
            states.append(state)
            found[call.name] = state
        return found

    def loss(
        self, architecture: Architecture, stage: int, images: Tensor, known: Mapping[str, Tensor]
    ) -> Tensor:
        """Return how far a stage is from the teacher's.

        Args:
            architecture: The teacher with this stage of another member.
            stage: Number of the stage, from 1.
            images: `(batch, channels, height, width)`.
            known: The teacher's `states` on the images.

        Returns:
            Mean squared difference, relative to the variance of the teacher's state: 1 for a
            stage that gives the mean.
        """
        program = self.supernet.program(architecture)
        mine = stage_calls(program, stage)
        states: list[Tensor | None] = [images]
        output = images
        for call in program.calls:
            if call.step.index in mine:
                output = run_node(call, states, images, self.supernet.weights, batch_norm)
                states.append(output)
            else:
                states.append(known.get(call.name))
        wanted = known[self._last(stage)][:, : output.shape[1]]
        return (output - wanted).square().mean() / (wanted.var() + SMALLEST_VARIANCE)

    def _last(self, stage: int) -> str:
        calls = stage_calls(self.supernet.program(self.architecture), stage)
        return calls[max(calls)].name

    def active(self, architecture: Architecture, stage: int) -> dict[str, tuple[int, ...]]:
        """Return the slots that a stage reads, with the leading slice it reads of each."""
        shapes: dict[str, tuple[int, ...]] = {}
        for call in stage_calls(self.supernet.program(architecture), stage).values():
            for use in call_uses(call):
                known = shapes.get(use.key, use.shape)
                shapes[use.key] = tuple(max(pair) for pair in zip(known, use.shape, strict=True))
        return shapes

    @torch.no_grad()
    def rate(self, member: Decisions, images: Tensor) -> dict[int, float]:
        """Return the loss of each of a member's stages; their sum rates the member, less is better.

        Args:
            member: The member.
            images: One batch, of the validation part where members are compared.
        """
        known = self.states(images)
        stages = sorted({number for name in member if (number := stage_of(name)) is not None})
        losses = {}
        for stage in stages:
            architecture = self.supernet.space.build(spliced(self.decisions, member, stage))
            losses[stage] = float(self.loss(architecture, stage, images, known))
        return losses


def stage_calls(program: Program, stage: int) -> dict[int, NodeCall]:
    """Return the nodes of a stage by number; what stands before the first stage belongs to it."""
    found: dict[int, NodeCall] = {}
    current = 1
    for call in program.calls:
        current = stage_of(call.name) or current
        if current == stage:
            found[call.step.index] = call
    return found


def rating(losses: Mapping[int, float]) -> float:
    """Return the sum that rates a member."""
    return float(np.sum(list(losses.values())))
