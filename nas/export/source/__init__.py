"""A network as one readable PyTorch file that needs nothing but torch, and its weights beside it.

The file tells the network as a person would write it: nodes whose names begin alike are a class,
classes that differ in numbers alone are one, merges are a line of the forward pass. Its numbers
are those of the network; a module that nobody said how to write is refused by name
(`source_form`, `merge_form`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

from safetensors.torch import save

from nas.export.source.blocks import blocks
from nas.export.source.classes import define
from nas.export.source.layout import lay_out_whole
from nas.export.source.merge_forms import merge_form
from nas.export.source.network_class import add_heads, network_lines
from nas.export.source.pieces import PARTS, Stored, part, source_form
from nas.export.source.reading import read_program
from nas.export.source.sharing import first_of_each
from nas.export.source.statements import statements
from nas.export.source.text import definition_sections, docstring, page
from nas.model.network import Network
from nas.topology.layers import Shape

__all__ = ["SourceFiles", "merge_form", "part", "source_form", "write_source"]

_TAKEN = ("Network", "build", "read_safetensors", "DTYPES", "INPUT_SHAPE", "NUM_CLASSES")


@final
@dataclass(frozen=True)
class SourceFiles:
    """What an export consists of.

    Args:
        code: Text of a Python file.
        weights: A safetensors file for it.
    """

    code: str
    weights: bytes


def write_source(
    network: Network,
    input_shape: Shape,
    num_classes: int,
    *,
    name: str,
    about: Mapping[str, str],
    folded: bool = False,
) -> SourceFiles:
    """Return a network as a file of PyTorch code and its weights.

    Args:
        network: The network; it is left as it is.
        input_shape: `(channels, height, width)` of its images.
        num_classes: Outputs.
        name: What it is called; the files should be `NAME.py` and `NAME.safetensors`.
        about: Where it came from, for the docstring: any text.
        folded: Whether batch norms go into the convolutions in front of them, for inference.

    Raises:
        NotFoundError: If nobody said how one of its modules is written; the message names it.
    """
    program = read_program(network, folded=folded)
    found, program = statements(program)
    results = [*program.exits.values(), program.output]
    whole = lay_out_whole(blocks(found, results), results)
    add_heads(whole, network)
    definitions, attributes = define(whole, [*PARTS.known, *_TAKEN])
    sections = [
        *definition_sections(definitions),
        network_lines(whole, attributes, network),
    ]
    return SourceFiles(
        page(
            docstring(name, network, about, folded=folded),
            sections,
            input_shape,
            num_classes,
        ),
        _weights(whole.tensors),
    )


def _weights(tensors: Sequence[Stored]) -> bytes:
    """Return a safetensors file of all tensors, shared ones once."""
    kept = first_of_each(tensors)
    return save({stored.name: stored.tensor.detach().cpu().contiguous() for stored in kept})
