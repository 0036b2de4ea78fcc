"""`fuse`: the network as it ships, in eval mode with batch norms folded into the convolutions.

This is what latency measures and exports write, so it does as little as possible per image: nested
cells and identity nodes are flattened into one list of instructions, learned merge weights become
constants, heads of exits stay behind, and rectifiers work in place where nothing else reads their
input. Edges and operations
that the plan runs still run: a device does not know which of them are redundant.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import cast, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.cost.shapes import Plan
from nas.cost.turns import turns
from nas.model.layers import Convolution
from nas.model.merges import (
    CONCATENATION_LIMIT,
    AbstractDeclaredMerge,
    AbstractMerge,
    PairwiseMean,
    Projected,
    Stacked,
    Summed,
    Weighted,
    add_up,
    pairwise_coefficients,
)
from nas.model.network import (
    AbstractWired,
    Network,
    NodeModule,
    apply_head,
    check_input,
    zero_images,
)
from nas.topology.layers import Shape

_FRESH = (nn.Conv2d, nn.BatchNorm2d, nn.AvgPool2d, nn.MaxPool2d, nn.ReLU)
"""Modules whose output shares no memory with what other nodes read; so do all merges of `fuse`."""


@torch.no_grad()
def fuse(network: Network) -> FusedNetwork:
    """Return an inference copy of `network` with equal output; the network itself is untouched.

    A batch norm is folded (in float64) into the convolution or projecting merge in front of it,
    within a node or across an edge, where nothing else reads that tensor; the others stay. The
    copy keeps dtype, device and memory format, and nothing in it is trainable.
    """
    program = _Program()
    program.output = program.write(network.plan, network, 0)
    program = _finished(_folded(program))
    return FusedNetwork(program, network)


@final
class FusedNetwork(nn.Module):
    """The flat program of a network, made by `fuse`. It stays in eval mode.

    Attributes:
        steps: The instructions.
        places: Per instruction, the name of the architecture's node that it is a part of.

    Shape:
        x: `(batch, channels, height, width)`.
        returns: logits, `(batch, classes)`.
    """

    def __init__(self, program: _Program, network: Network) -> None:
        super().__init__()
        self.input_shape = network.input_shape
        self.steps = nn.ModuleList(program.modules)
        self.places = tuple(program.places)
        self.head = copy.deepcopy(network.head)
        self._output = program.output
        self._reads = program.reads
        self._frees = program.frees()
        super().train(False)
        self.requires_grad_(False)

    def train(self, mode: bool = True) -> FusedNetwork:
        """Stay in eval mode: the statistics are part of the weights now."""
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of a batch.

        Raises:
            ArchitectureError: If the input does not have the shape the network was built for.
        """
        check_input(x, self.input_shape)
        values: list[Tensor | None] = [x]
        for module, reads, frees in zip(self.steps, self._reads, self._frees, strict=True):
            values.append(module(*[values[index] for index in reads]))
            for index in frees:
                values[index] = None
        return apply_head(self.head, cast(Tensor, values[self._output]))

    def forward_by(self, x: Tensor, call: Callable[[str, Callable[[], Tensor]], Tensor]) -> Tensor:
        """Return the logits of a batch, every instruction run by `call`.

        Args:
            x: The batch.
            call: Runs what it is given and returns the result; told the node the instruction is a
                part of, "" for the head.
        """
        values = [x]
        for place, module, reads in zip(self.places, self.steps, self._reads, strict=True):
            inputs = [values[index] for index in reads]
            values.append(call(place, partial(module, *inputs)))
        return call("", partial(apply_head, self.head, values[self._output]))


@final
class _Program:
    """Instructions: `modules[i]` reads the values `reads[i]` and writes value `i + 1`."""

    def __init__(self) -> None:
        self.modules: list[nn.Module] = []
        self.reads: list[tuple[int, ...]] = []
        self.places: list[str] = []
        self.place = ""
        self.output = 0

    def emit(self, module: nn.Module, *values: int) -> int:
        """Append an instruction and return the number of its value."""
        self.modules.append(module)
        self.reads.append(values)
        self.places.append(self.place)
        return len(self.modules)

    def write(self, schedule: Plan, wired: AbstractWired, value: int, place: str = "") -> int:
        """Append the nodes of a plan that reads `value`; return the value of the last node."""
        values = {0: value}
        nodes = cast("Iterable[NodeModule]", wired.nodes.values())
        for turn, node in zip(turns(schedule), nodes, strict=True):
            self.place = place or schedule.architecture.nodes[turn.node].name
            if turn.stacked:
                values[turn.kept] = self.emit(_Stack(), *[values[part] for part in turn.stacked])
            sources = [values[source] for source in turn.reads]
            values[turn.node] = self._write_node(node, sources, value)
        return values[len(schedule.steps) - 1]

    def _write_node(self, node: NodeModule, sources: list[int], like: int) -> int:
        inputs = list(sources)
        for position, adapter in node.adapters.items():
            for layer in cast(nn.Sequential, adapter):
                inputs[int(position)] = self.emit(layer, inputs[int(position)])
        if not inputs:
            value = self.emit(_Zeros(node.merged), like)
        elif node.merge is None or len(inputs) == 1:  # one input, or a stack that was kept
            value = inputs[0]
        else:
            value = self.emit(_constant(node.merge, len(inputs)), *inputs)
        for layer in node.operation:
            if not isinstance(layer, nn.Dropout):  # nothing in eval mode
                value = self.emit(layer, value)
        if node.cell is None:
            return value
        return self.write(node.cell.plan, node.cell, value, self.place)

    def readers(self) -> Counter[int]:
        """Count how often each value is read, the output once more."""
        return Counter([value for entry in self.reads for value in entry] + [self.output])

    def frees(self) -> list[tuple[int, ...]]:
        """Return, per instruction, the values that nothing reads after it."""
        last = {value: position for position, entry in enumerate(self.reads) for value in entry}
        frees: list[list[int]] = [[] for _ in self.reads]
        for value, position in last.items():
            if value != self.output:
                frees[position].append(value)
        return [tuple(entry) for entry in frees]


def _folded(program: _Program) -> _Program:
    """Fold batch norms into the convolutions whose only reader they are."""
    readers = program.readers()
    result = _Program()
    renamed = {0: 0}
    known: dict[tuple[nn.Module, nn.Module], nn.Module] = {}  # tied pairs are folded once
    for number, (module, reads) in enumerate(zip(program.modules, program.reads, strict=True), 1):
        result.place = program.places[number - 1]
        sources = tuple(renamed[value] for value in reads)
        front = result.modules[sources[0] - 1] if sources and sources[0] else None
        norm = _as_scale_and_shift(module) if readers[reads[0]] == 1 else None
        if norm is not None and isinstance(front, nn.Conv2d | _Projection):
            if (front, norm) not in known:
                known[front, norm] = _fold(front, norm)
            result.modules[sources[0] - 1] = known[front, norm]
            renamed[number] = sources[0]
        else:
            renamed[number] = result.emit(module, *sources)
    result.output = renamed[program.output]
    return result


def _finished(program: _Program) -> _Program:
    """Let rectifiers work in place where they may, and copy what is still the network's own."""
    readers = program.readers()
    result = _Program()
    copies: dict[nn.Module, nn.Module] = {}
    entries = zip(program.modules, program.reads, program.places, strict=True)
    for module, reads, result.place in entries:
        if isinstance(module, nn.ReLU):
            front = program.modules[reads[0] - 1] if reads[0] else None
            alone = readers[reads[0]] == 1 and isinstance(front, (*_FRESH, *_OWN))
            result.emit(nn.ReLU(inplace=alone), *reads)
            continue
        if module not in copies:
            copies[module] = module if isinstance(module, _OWN) else copy.deepcopy(module)
        result.emit(copies[module], *reads)
    result.output = program.output
    return result


def _as_scale_and_shift(module: nn.Module) -> nn.BatchNorm2d | None:
    """Return the module if it is a batch norm that is a scale and a shift in eval mode."""
    if not isinstance(module, nn.BatchNorm2d) or module.running_mean is None:
        return None
    return module


def _scale_and_shift(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return what a batch norm multiplies with and adds in eval mode, in float64."""
    assert norm.running_mean is not None and norm.running_var is not None
    scale = (norm.running_var.double() + norm.eps).rsqrt()
    if not norm.affine:
        return scale, -norm.running_mean.double() * scale
    scale = norm.weight.double() * scale
    return scale, norm.bias.double() - norm.running_mean.double() * scale


def _fold(front: nn.Conv2d | _Projection, norm: nn.BatchNorm2d) -> nn.Module:
    if isinstance(front, _Projection):
        return _Projection(fold_norm(front.conv, norm), front.degree)
    return fold_norm(front, norm)


def fold_norm(front: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """Return a copy of a convolution that also does what a batch norm behind it does in eval mode.

    Call it under `torch.no_grad`.
    """
    scale, shift = _scale_and_shift(norm)
    if front.bias is not None:
        shift = shift + front.bias.double() * scale
    folded = copy.deepcopy(front)
    folded.weight.copy_(front.weight.double() * scale[:, None, None, None])
    folded.bias = nn.Parameter(shift.to(front.weight.dtype))
    return folded


def _constant(merge: AbstractMerge, degree: int) -> nn.Module:
    """Return a merge of `degree` inputs with its learned numbers as constants."""
    if isinstance(merge, AbstractDeclaredMerge):
        return _declared(merge)
    if isinstance(merge, PairwiseMean):
        return _WeightedSum(pairwise_coefficients(degree))
    if isinstance(merge, Projected):
        return _Projection(_concatenated(merge), len(merge.slices))
    if isinstance(merge, Weighted):
        weights = merge.weights.double() * merge.factor
        return _WeightedSum([float(weight) for weight in weights])
    if isinstance(merge, Summed):
        return _Sum(merge.factor)
    assert isinstance(merge, Stacked)
    return _Stack()


def _declared(merge: AbstractDeclaredMerge) -> nn.Module:
    doubled = {name: value.double() for name, value in merge.named_parameters()}
    numbers = merge.coefficients(doubled)
    if numbers is not None:
        return _WeightedSum([float(number) for number in numbers])
    return _Whole(copy.deepcopy(merge))


def _concatenated(merge: Projected) -> nn.Conv2d:
    slices = list(merge.slices)
    weight = torch.cat([entry.double() for entry in slices], dim=1) * merge.factor
    conv = Convolution(weight.shape[1], weight.shape[0], 1, bias=False).to(slices[0])
    conv.weight.copy_(weight[:, :, None, None])
    return conv


@final
class _Zeros(nn.Module):
    """Zeros for a node without inputs."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, like: Tensor) -> Tensor:
        return zero_images(like, self.shape)


@final
class _Sum(nn.Module):
    """Scaled sum."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, *inputs: Tensor) -> Tensor:
        return add_up(inputs, self.factor)


@final
class _WeightedSum(nn.Module):
    """Sum with constant weights."""

    def __init__(self, weights: list[float]) -> None:
        super().__init__()
        self.weights = weights

    def forward(self, *inputs: Tensor) -> Tensor:
        total = inputs[0] * self.weights[0]
        for tensor, weight in zip(inputs[1:], self.weights[1:], strict=True):
            total = total.add_(tensor, alpha=weight)
        return total


@final
class _Whole(nn.Module):
    """A merge that computes more than a sum with constants."""

    def __init__(self, merge: AbstractDeclaredMerge) -> None:
        super().__init__()
        self.merge = merge

    def forward(self, *inputs: Tensor) -> Tensor:
        return cast(Tensor, self.merge(inputs))


@final
class _Stack(nn.Module):
    """Concatenation of channels."""

    def forward(self, *inputs: Tensor) -> Tensor:
        return torch.cat(inputs, dim=1)


@final
class _Projection(nn.Module):
    """Concatenation and 1x1 convolution, or the equal sum of small ones where that is faster."""

    def __init__(self, conv: nn.Conv2d, degree: int) -> None:
        super().__init__()
        self.conv = conv
        self.degree = degree

    def forward(self, *inputs: Tensor) -> Tensor:
        first = inputs[0]
        small = torch.compiler.is_compiling() or first.device.type != "cpu"
        if small or first.numel() * self.degree <= CONCATENATION_LIMIT:
            return cast(Tensor, self.conv(torch.cat(inputs, dim=1)))
        weights = self.conv.weight.chunk(self.degree, dim=1)
        total = F.conv2d(first, weights[0], self.conv.bias)
        for tensor, weight in zip(inputs[1:], weights[1:], strict=True):
            total = total.add_(F.conv2d(tensor, weight))
        return total


_OWN = (_Zeros, _Sum, _WeightedSum, _Whole, _Stack, _Projection)
