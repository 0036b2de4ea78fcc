"""`Supernet`: one module that holds every architecture of a space.

A member is an argument of `forward`, and each operation of the super-graph that the member uses
runs once. Statistics of batch norm belong to a member, not to the supernet: inherited weights mean
little without recalibrating them, so evaluation asks for them explicitly.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal, final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from nas.cost.shapes import plan
from nas.errors import ConfigError, SpaceError
from nas.model.network import Network, check_input
from nas.space import AbstractSpace, Decisions
from nas.supernet.checkpoints import VERSION, check_same, pack, unpack
from nas.supernet.execution import (
    FixedNorm,
    Norm,
    RecordingNorm,
    Statistics,
    WeightSource,
    batch_norm,
    run_program,
)
from nas.supernet.extraction import copy_member
from nas.supernet.hypernetwork import Hypernetwork, is_generated
from nas.supernet.scoring.running_statistics import RunningNorm, RunningStatistics
from nas.supernet.sharing_config import SharingConfig
from nas.supernet.sharing_rule import (
    DIVIDER,
    SharingRule,
    Splits,
    common_key,
    pack_rule,
    unit_of,
    unpack_division,
    unpack_rule,
)
from nas.supernet.slots import Program, SlotUse, classifier_uses, compile_plan
from nas.supernet.weights import SharedWeights
from nas.supernet.workspace import Workspace
from nas.topology.graph import Architecture
from nas.topology.layers import Shape

WeightKind = Literal["shared", "hypernetwork"]
"""Kernels are slots that members share, or a hypernetwork emits them for each member."""
PROGRAM_CACHE = 512
_SPACE = "|space"
_SHARING = "|sharing"
_STATISTICS = "|statistics|"
"""Names of arrays that are no slots: a slot's key starts with a name."""


@final
class Supernet(nn.Module):
    """Shared weights of a space, and how its members read them.

    Args:
        space: The space.
        input_shape: `(channels, height, width)` of one image.
        num_classes: Outputs of the classifier.
        sharing: Name of the sharing policy of `nas.supernet.sharing`, or several for different
            kinds of numbers.
        weights: Whether kernels are shared, or emitted by a hypernetwork.
        seed: Of the initial weights.

    Shape:
        x: `(batch, channels, height, width)`.
        returns: logits, `(batch, num_classes)`.

    Raises:
        NotFoundError: If the sharing policy is unknown.
        SpaceError: If the space is too large for the policy.
        ArchitectureError: If a member cannot be computed at this input shape.
    """

    def __init__(
        self,
        space: AbstractSpace,
        input_shape: Shape,
        num_classes: int,
        *,
        sharing: str | SharingConfig = "position",
        weights: WeightKind = "shared",
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.space = space
        self.input_shape = input_shape
        self.num_classes = num_classes
        self.rule = SharingRule.of(sharing)
        self.seed = seed
        self.weights = SharedWeights(seed)
        self.running = RunningStatistics()
        self.workspace = Workspace()
        self._programs: OrderedDict[tuple[Architecture, tuple[str, ...]], Program] = OrderedDict()
        self.hypernetwork: Hypernetwork | None = None
        if weights == "hypernetwork":
            self.rule.check_hypernetwork()
            self.hypernetwork = Hypernetwork(
                compile_plan(plan(space.build(each), input_shape), self.rule)
                for each in self._covering()
            )
        for decisions in self._covering():
            self.program(space.build(decisions))
        self.weights.announce()

    def _covering(self) -> Iterator[Decisions]:
        policy = self.rule.limited
        if policy is None or policy.member_limit is None:
            yield from self.space.cover()
            return
        members, limit = self.space.count(), policy.member_limit
        if members > limit:
            raise SpaceError(
                f"The sharing policy '{policy.name}' keeps weights for every member, and the "
                f"space '{self.space.name}' has {members:,}; its limit is {limit:,}.",
                fix="Use 'position' or 'family'.",
            )
        yield from self.space.enumerate()

    def program(self, architecture: Architecture) -> Program:
        """Return the compiled member, its slots in place; programs are kept for later calls.

        In eval mode, slots that no training met start anew for each member: else what a member
        scores would depend on which others were scored before it by the same worker.
        """
        if self.training:
            self.weights.keep_provisional()
        key = (architecture, architecture.wiring)
        program = self._programs.get(key)
        if program is None:
            if self.weights.forget_provisional():
                self._programs.clear()
            program = compile_plan(plan(architecture, self.input_shape), self.rule)
            self.weights.hold(self.stored_uses(program), provisional=not self.training)
            self._programs[key] = program
            if len(self._programs) > PROGRAM_CACHE:
                self._programs.popitem(last=False)
        return program

    def shareable(self, program: Program) -> bool:
        """Tell whether what a member reads is the same for every member that reads it too.

        It is not where a slot starts anew for each member, because no training met it.
        """
        return self.hypernetwork is None and self.weights.trained(self.stored_uses(program))

    def stored_uses(self, program: Program) -> tuple[SlotUse, ...]:
        """Return the slots that a member's weights come from."""
        uses = (*program.uses, *self.head_uses(program))
        if self.hypernetwork is None:
            return uses
        kept = (use for use in uses if not is_generated(use))
        return (*kept, *self.hypernetwork.uses(program))

    def source(self, program: Program) -> WeightSource:
        """Return where a member reads its weights."""
        if self.hypernetwork is None:
            return self.weights
        return self.hypernetwork.source(program, self.weights)

    def head_uses(self, program: Program) -> tuple[SlotUse, SlotUse]:
        """Return the classifier's weight and bias for a member."""
        architecture = program.plan.architecture
        owner = self.rule.owner("head", architecture, architecture)
        return classifier_uses(owner, program.plan.output[0], self.num_classes)

    def active(self, architecture: Architecture) -> dict[str, tuple[int, ...]]:
        """Return the slots a member reads, with the leading slice it reads of each."""
        program = self.program(architecture)
        shapes: dict[str, tuple[int, ...]] = {}
        for use in self.stored_uses(program):
            known = shapes.get(use.key, use.shape)
            shapes[use.key] = tuple(max(pair) for pair in zip(known, use.shape, strict=True))
        return shapes

    def forward(
        self, x: Tensor, architecture: Architecture, statistics: Statistics | None = None
    ) -> Tensor:
        """Return the logits of a member.

        Args:
            x: Images.
            architecture: The member.
            statistics: Of its batch norms; None uses the batch's own, in training mode only.

        Raises:
            ConfigError: In eval mode without statistics.
            ArchitectureError: If the images do not have the supernet's input shape.
        """
        if statistics is None and not self.training:
            raise ConfigError(
                "A member of a supernet in eval mode needs batch-norm statistics.",
                why="Running averages over many members describe none of them.",
                fix="Pass statistics=supernet.recalibrate(architecture, images).",
            )
        norm: Norm = batch_norm
        if statistics is not None:
            norm = FixedNorm(statistics)
        elif torch.is_grad_enabled():
            norm = RunningNorm(self.running, self.program(architecture), self.weights.anchor)
        return self.run(x, architecture, norm)

    def run(self, x: Tensor, architecture: Architecture, norm: Norm = batch_norm) -> Tensor:
        """Return the logits of a member under any rule of normalising; nothing is remembered."""
        check_input(x, self.input_shape)
        program = self.program(architecture)
        return self.classify(run_program(program, x, self.source(program), norm), program)

    def classify(self, features: Tensor, program: Program) -> Tensor:
        """Return the logits for the state of the last node."""
        weight, bias = (self.weights.read(use) for use in self.head_uses(program))
        return F.linear(features.mean((2, 3)), weight, bias)

    @torch.no_grad()
    def recalibrate(
        self, architecture: Architecture, images: Tensor, passes: int = 1
    ) -> Statistics:
        """Measure a member's batch-norm statistics.

        Args:
            architecture: The member.
            images: Of the weights' training part, a few hundred per pass.
            passes: Batches that the images are cut into; the statistics are their mean.

        Returns:
            Mean and unbiased variance per norm.
        """
        found = []
        for batch in images.chunk(passes):
            norm = RecordingNorm()
            self.run(batch, architecture, norm)
            found.append(Statistics(norm.values))
        return found[0] if len(found) == 1 else Statistics.average(found)

    def running_statistics(self, architecture: Architecture) -> Statistics:
        """Return the running averages over all sampled paths, as a score without recalibration."""
        return self.running.of(self.program(architecture).norms, self.weights.anchor)

    def extract(self, architecture: Architecture, statistics: Statistics | None = None) -> Network:
        """Return the member as a stand-alone network with a copy of its weights.

        Args:
            architecture: The member.
            statistics: Of its batch norms; None leaves them fresh.
        """
        network = Network(architecture, self.input_shape, self.num_classes)
        anchor = self.weights.anchor
        network.to(device=anchor.device, dtype=anchor.dtype)
        program = self.program(architecture)
        uses = (*program.uses, *self.head_uses(program))
        copy_member(network, self.source(program), uses, statistics)
        return network.train(self.training)

    @torch.no_grad()
    def split(self, splits: Splits) -> None:
        """Give groups of families weights of their own, which start as copies.

        Args:
            splits: What to split, all earlier splits included.
        """
        whole = {key: value.detach().clone() for key, value in self.weights.slots()}
        self._use_splits(splits)
        for key, value in whole.items():
            for group in set(splits.get(unit_of(key), {}).values()):
                self.weights.put(f"{group}{DIVIDER}{key}", value)
                self.running.copy(key, f"{group}{DIVIDER}{key}")

    def _use_splits(self, splits: Splits) -> None:
        for key in [key for key, _ in self.weights.slots()]:
            group, _, rest = key.partition(DIVIDER)
            if group in self.rule.splits.get(unit_of(rest), {}).values():
                self.weights.drop(key)
                self.running.drop(key)
        self.rule = self.rule.with_splits(splits)
        self._programs.clear()

    def divide(self, stage: int | None) -> None:
        """Give every pattern of a stage all weights to itself; what is there goes on as copies.

        The common weights stay beside them as they are: members met later start from them too.

        Args:
            stage: Number of the stage, from 0; None drops the copies and shares again.

        Raises:
            ConfigError: If the weights cannot be divided.
        """
        if stage == self.rule.division:
            return
        self.check_divisible()
        for key in [key for key, _ in self.weights.slots() if key != common_key(key)]:
            self.weights.drop(key)
            self.running.drop(key)
        self.rule = replace(self.rule, division=stage)
        self._programs.clear()
        for decisions in self._covering():
            self.program(self.space.build(decisions))
        self.weights.announce()

    def check_divisible(self) -> None:
        """Refuse to divide weights that no member has, or that a policy splits itself.

        Raises:
            ConfigError: Then.
        """
        if self.hypernetwork is not None:
            raise ConfigError(
                "A hypernetwork has one set of weights for all members: nothing can be divided.",
                where="supernet.training.sampler",
                fix="Use shared weights, or another path sampler.",
            )
        if self.rule.measured:
            raise ConfigError(
                "The sharing policy 'auto' and a partition of the space both take weights apart.",
                where="supernet.sharing",
                fix="Use another sharing policy, or another path sampler.",
            )

    def state_arrays(self) -> dict[str, NDArray[Any]]:
        """Return a copy of all shared weights by slot, running statistics and sharing rule."""
        statistics = {_STATISTICS + key: value for key, value in self.running.arrays().items()}
        told = {_SPACE: pack(self._origin()), _SHARING: pack_rule(self.rule)}
        return self.weights.arrays() | statistics | told

    def _origin(self) -> dict[str, Any]:
        """Return what tells whether stored weights are of this space."""
        space = f"{self.space.name} {self.space.fingerprint}"
        return {"version": VERSION, "space": space, "classes": self.num_classes}

    def load_arrays(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Take what `state_arrays` gave.

        Raises:
            RunError: If it belongs to another space, version or policy.
        """
        origin = unpack(arrays[_SPACE]) if _SPACE in arrays else None
        check_same(origin, self._origin(), "The stored supernet")
        self._use_splits(unpack_rule(arrays.get(_SHARING), self.rule.config))
        self.divide(unpack_division(arrays[_SHARING]))
        self.weights.load_arrays(
            {key: value for key, value in arrays.items() if not key.startswith("|")}
        )
        statistics = {
            key.removeprefix(_STATISTICS): value
            for key, value in arrays.items()
            if key.startswith(_STATISTICS)
        }
        self.running.load_arrays(statistics, self.weights.anchor)
