"""What several formats need of a network: its form for shipping, and its traced graph."""

from __future__ import annotations

from typing import Final

import torch
from torch import nn

from nas.errors import ArchitectureError
from nas.export.formats import FormatOptions
from nas.export.onnx import evaluating
from nas.export.parcel import Parcel
from nas.export.sessions import Images, in_batches
from nas.export.silence import silence
from nas.model.fuse import fuse

BLOCK: Final = 256
"""Images of one call where the batch is open; it changes nothing but the memory needed."""

LARGEST_BATCH: Final = 1024
"""Most images of one call of a traced graph with an open batch: torch wants an upper end."""

_TRACED: Final = 2
"""Images to trace with where the batch is open: one would be taken for a fixed size."""


def shipped(parcel: Parcel, options: FormatOptions) -> nn.Module:
    """Return the network in the form that leaves: folded where that was asked for."""
    return fuse(parcel.network) if options.fold else parcel.network.eval()


def traced(parcel: Parcel, options: FormatOptions, what: str) -> torch.export.ExportedProgram:
    """Return the graph of a network as `torch.export` traces it.

    Args:
        parcel: The network.
        options: Whether to fold it, and its batch.
        what: Who wants it, for the message.

    Raises:
        ArchitectureError: If a part of the network cannot be traced.
    """
    network = shipped(parcel, options)
    images = torch.zeros(options.batch or _TRACED, *parcel.network.input_shape)
    sizes = None
    if options.batch is None:
        sizes = ({0: torch.export.Dim("batch", min=1, max=LARGEST_BATCH)},)
    try:
        with silence(), evaluating(network), torch.no_grad():
            return torch.export.export(network, (images,), dynamic_shapes=sizes)
    except Exception as error:  # the tracer wraps whatever a module raises
        told = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise ArchitectureError(
            f"The network cannot be traced for {what}: {told}.",
            why="A part of it computes what depends on the values of the images.",
            fix="Take the format 'source', or choose other operations.",
        ) from error


def torch_logits(network: nn.Module, images: Images) -> Images:
    """Return what a torch module answers, in blocks, so that large sets fit into memory."""

    def forward(part: Images) -> Images:
        found: Images = network(torch.from_numpy(part)).float().cpu().numpy()
        return found

    with evaluating(network), torch.inference_mode():
        return in_batches(forward, images, min(BLOCK, len(images)))
