"""`from_module`: a torch module as an architecture that computes the same, with its weights.

The module is traced, not guessed from its classes: whatever its code is, what counts is which
layers it calls on what. So the result can be edited, counted, searched around and exported like
any architecture, and what cannot be taken over is refused by name and place before anything is
built.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, cast, final

import torch
from torch import Tensor, nn

from nas.errors import ConfigError
from nas.model.importing import functions as _functions  # noqa: F401  (registers its handlers)
from nas.model.importing.assembly import Assembly, Place, assemble
from nas.model.importing.calls import Head
from nas.model.importing.modules import is_leaf
from nas.model.importing.tracing import trace
from nas.model.importing.translation import translate
from nas.model.importing.values import Term
from nas.model.network import Network, NodeModule
from nas.topology.graph import Architecture
from nas.topology.layers import GlobalPool, Shape


@final
@dataclass(frozen=True, eq=False)
class ImportedModule:
    """What became of a module.

    Args:
        architecture: The architecture; its nodes are named after the modules they come from.
        network: The network of the architecture with the module's weights, in eval mode.
        unused: Names of the module's parameters that do not take part in its result.
    """

    architecture: Architecture
    network: Network
    unused: tuple[str, ...]


def from_module(module: nn.Module, *, input_shape: Sequence[int]) -> ImportedModule:
    """Return the architecture that computes what a torch module does in eval mode.

    Convolutions, batch norm, the usual nonlinearities, pooling, resizing, sums, products,
    concatenations, splits, constant and learned factors, and linear layers are understood; a
    module that is called twice becomes a tie. The module is left as it was found, and shares no
    tensor with the result.

    Args:
        module: A module of one batch of images, `(batch, channels, height, width)`, that returns
            logits (global average pooling and a Linear at its end) or one tensor of that form.
        input_shape: `(channels, height, width)` of one image.

    Raises:
        ConfigError: If there is no module, or the shape is none.
        ArchitectureError: If something cannot be imported; the message names its place and class.
    """
    shape = _checked(module, input_shape)
    graph, root = trace(module, is_leaf, shape)
    steps, found = translate(graph, root, shape)
    kind: Literal["classifier", "none"] = "none"
    output, classes, head = found, 1, None
    if isinstance(found, Head):
        kind, head, classes = "classifier", found.module, found.module.out_features
        behind = steps.every[found.term.value].layer
        output = found.term
        if output.plain and behind is not None and isinstance(behind.layer, GlobalPool):
            output = steps.every[output.value].terms[0]  # the head of a network pools
    assembly = assemble(steps, cast(Term, output), kind)
    network = Network(assembly.architecture, shape, classes)
    first = next(module.parameters(), None)
    if first is not None:
        network.to(first.device, first.dtype)
    used = _copy_weights(network, assembly, head)
    unused = tuple(name for name, value in module.named_parameters() if id(value) not in used)
    return ImportedModule(assembly.architecture, network.eval(), unused)


def _checked(module: object, input_shape: Sequence[int]) -> Shape:
    if not isinstance(module, nn.Module):
        raise ConfigError(
            f"from_module reads a torch.nn.Module; got {type(module).__name__}.",
            fix="Give an instance, such as Net(), not its class or its weights.",
        )
    sizes = tuple(input_shape) if isinstance(input_shape, Sequence) else ()
    if len(sizes) != 3 or not all(isinstance(size, int) and size > 0 for size in sizes):
        raise ConfigError(
            f"input_shape is {input_shape!r}; it must be three whole numbers above 0.",
            fix="Give (channels, height, width) of one image, such as (3, 224, 224).",
        )
    return (sizes[0], sizes[1], sizes[2])


@torch.no_grad()
def _copy_weights(network: Network, assembly: Assembly, head: nn.Linear | None) -> set[int]:
    """Copy all weights; return the ids of the parameters that were copied."""
    used: set[int] = set()
    if head is not None:
        assert network.head is not None
        network.head.load_state_dict(head.state_dict())
        used |= {id(value) for value in head.parameters()}
    for number, place in enumerate(assembly.places, start=1):
        target = cast(NodeModule, network.nodes[str(number)])
        for source, module in _pairs(place, target):
            for name, value in module.state_dict().items():
                value.copy_(_numbers(source, name).reshape(value.shape))
            used |= {id(value) for value in source.parameters()}
        used |= _copy_gains(place, target)
    return used


def _pairs(place: Place, target: NodeModule) -> Iterator[tuple[nn.Module, nn.Module]]:
    """Yield modules with weights, and what becomes of them."""
    if place.merge is not None and place.merge.module is not None:
        yield place.merge.module, cast(nn.Module, target.merge)
    for weighed, module in zip(place.layers, target.operation, strict=True):
        if weighed.module is not None:
            yield weighed.module, module


def _numbers(source: nn.Module, name: str) -> Tensor:
    """Return a tensor as the module computes with it, parametrised or not."""
    owner, _, last = name.rpartition(".")
    return cast(Tensor, getattr(source.get_submodule(owner), last))


def _copy_gains(place: Place, target: NodeModule) -> set[int]:
    """Copy the learned factors of edges."""
    used = set()
    for position, term in enumerate(place.terms):
        if term.numbers is not None:
            adapter = cast(nn.Sequential, target.adapters[str(position)])
            cast(Tensor, adapter[-1].gain).copy_(term.numbers.reshape(-1))
            used.add(id(term.parameter))
    return used
