"""A hypernetwork in place of shared weights: kernels are a function of the member's graph.

After SMASH (Brock et al. 2017, arXiv:1708.05344): each step draws a member, a small network emits
its kernels from an encoding of the graph, and what is learned is that network. Norms, merge scalars
and the classifier are shared as ever. Kernels come in tiles of 16 x 16 channels, so one small
network serves every width.

The encoding and the output are magnitude-invariant (Gonzalez Ortiz et al. 2023, arXiv:2304.07645):
a piecewise linear network multiplies its output by whatever multiplies its input, so features g
enter as (cos(pi g / 2), sin(pi g / 2)), a vector of constant length, and the output is added to
kernels that do not depend on the member. These start near the identity, as all kernels of a
supernet do.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor

from nas.supernet.execution import WeightSource
from nas.supernet.graph_encoding import Features, encode
from nas.supernet.slots import Program, SlotUse

TILE = 16
"""Channels per side of a tile."""
HIDDEN = 64
"""Units of each hidden layer."""
_PREFIX = "hypernetwork"


@final
@dataclass(frozen=True)
class Generated:
    """The weights of one member: generated kernels before the shared ones.

    Args:
        shared: What is not generated.
        kernels: By slot.
    """

    shared: WeightSource
    kernels: Mapping[str, Tensor]

    def read(self, use: SlotUse) -> Tensor:
        """Return a generated kernel, or the shared slice."""
        found = self.kernels.get(use.key)
        return self.shared.read(use) if found is None else found


@final
class Hypernetwork:
    """How kernels follow from a program; its own weights are slots of the supernet.

    Args:
        covering: Programs that together hold every operation of the space.
        magnitude_invariant: Whether inputs have constant length and outputs add to common kernels.
    """

    def __init__(self, covering: Iterable[Program], *, magnitude_invariant: bool = True) -> None:
        programs = list(covering)
        self.magnitude_invariant = magnitude_invariant
        self.operations = tuple(
            sorted({name for program in programs for name in operation_names(program)})
        )
        kernels = [use for program in programs for use in program.uses if is_generated(use)]
        self.kernel = max((max(use.shape[2:], default=1) for use in kernels), default=1)
        some = next((each for each in self._encoded(programs)), None)
        self.features = 0 if some is None else len(some[1]) + 2  # the tile's row and column

    def _encoded(self, programs: Iterable[Program]) -> Iterator[tuple[SlotUse, Features]]:
        for program in programs:
            yield from self.encodings(program)

    def encodings(self, program: Program) -> Iterator[tuple[SlotUse, Features]]:
        """Yield every generated kernel of a member and what describes it."""
        seen: set[str] = set()
        for use, features in encode(program, self.operations):
            if is_generated(use) and use.key not in seen:
                seen.add(use.key)
                yield use, features

    def uses(self, program: Program) -> Iterator[SlotUse]:
        """Yield the slots that a member's kernels are made from."""
        yield from self._layers()
        if self.magnitude_invariant:
            yield from (common_kernel(use) for use in program.uses if is_generated(use))

    def _layers(self) -> Iterator[SlotUse]:
        width = self.features * (2 if self.magnitude_invariant else 1)
        sizes = [width, HIDDEN, HIDDEN, TILE * TILE * self.kernel**2]
        for number, (into, out) in enumerate(itertools.pairwise(sizes)):
            key = f"{_PREFIX}|{number}"
            yield SlotUse(f"{key}|weight", (out, into), "matrix", "")
            yield SlotUse(f"{key}|bias", (out,), "zeros", "")

    def source(self, program: Program, shared: WeightSource) -> Generated:
        """Return a member's weights.

        Args:
            program: The member.
            shared: Holds the slots of `uses` and all that is not generated.
        """
        found = list(self.encodings(program))
        if not found:
            return Generated(shared, {})
        rows: list[Features] = []
        for use, features in found:
            down, across = tiles_of(use)
            rows += [
                (*features, (row + 1) / 8, (column + 1) / 8)
                for row in range(down)
                for column in range(across)
            ]
        first = next(self._layers())
        table = torch.tensor(rows, dtype=torch.float64).to(shared.read(first))
        tiles = self.tiles(table, shared)
        kernels: dict[str, Tensor] = {}
        start = 0
        for use, _ in found:
            down, across = tiles_of(use)
            mine = tiles[start : start + down * across]
            start += down * across
            kernel = assemble(mine, use, down, across)
            if self.magnitude_invariant:
                kernel = kernel + shared.read(common_kernel(use))
            kernels[use.key] = kernel
        return Generated(shared, kernels)

    def tiles(self, features: Tensor, shared: WeightSource) -> Tensor:
        """Return tiles `(count, TILE, TILE, kernel, kernel)` for `(count, features)`."""
        x = constant_length(features) if self.magnitude_invariant else features
        layers = list(self._layers())
        pairs = list(zip(layers[::2], layers[1::2], strict=True))
        for number, (weight, bias) in enumerate(pairs):
            x = F.linear(x, shared.read(weight), shared.read(bias))
            if number + 1 < len(pairs):
                x = F.leaky_relu(x, 0.1)
        return x.view(len(x), TILE, TILE, self.kernel, self.kernel)


def constant_length(features: Tensor) -> Tensor:
    """Return `(cos, sin)` of features as angles: `(count, 2 * features)`, each row equally long."""
    angles = features * (math.pi / 2)
    return torch.cat([angles.cos(), angles.sin()], dim=1)


def is_generated(use: SlotUse) -> bool:
    """Tell whether a tensor is a kernel or a projection, which the hypernetwork emits."""
    return use.filling == "kernel"


def operation_names(program: Program) -> Iterator[str]:
    """Yield the operations of nodes and edges, those of cells included."""
    for call in program.calls:
        if call.step.operation is not None:
            yield call.step.operation.name
        for edge in call.inputs:
            if edge.adapter.operation is not None:
                yield edge.adapter.operation.name
        if call.cell is not None:
            yield from operation_names(call.cell)


def common_kernel(use: SlotUse) -> SlotUse:
    """Return the kernel that a generated one is added to: one per layer of every operation."""
    layer = use.key.partition("|")[2]
    return SlotUse(f"{_PREFIX}|common|{layer}", use.shape, "kernel", "")


def tiles_of(use: SlotUse) -> tuple[int, int]:
    """Return how many tiles a kernel needs, down (outputs) and across (inputs)."""
    return -(-use.shape[0] // TILE), -(-use.shape[1] // TILE)


def assemble(tiles: Tensor, use: SlotUse, down: int, across: int) -> Tensor:
    """Return a kernel of the shape of `use`, in units of one over the root of its inputs."""
    high, wide = use.shape[2:] if len(use.shape) == 4 else (1, 1)
    top, left = (tiles.shape[-1] - high) // 2, (tiles.shape[-1] - wide) // 2
    crop = tiles[..., top : top + high, left : left + wide]
    grid = crop.reshape(down, across, TILE, TILE, high, wide).permute(0, 2, 1, 3, 4, 5)
    whole = grid.reshape(down * TILE, across * TILE, high, wide)
    kernel = whole[: use.shape[0], : use.shape[1]]
    fan_in = use.shape[1] * high * wide
    scaled: Tensor = kernel * (1 / math.sqrt(fan_in))
    return scaled if len(use.shape) == 4 else scaled[:, :, 0, 0]
