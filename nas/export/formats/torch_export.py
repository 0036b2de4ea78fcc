"""torch-export: the traced graph in torch's own file, for torch without this project's code."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, final

import torch

from nas.export.formats import STEM, AbstractFormat, FormatOptions, Written, export_format
from nas.export.parcel import Parcel
from nas.export.sessions import Images, in_batches
from nas.export.shipping import BLOCK, traced
from nas.export.silence import silence


@export_format("torch-export")
@final
class TorchExport(AbstractFormat):
    """Written by `torch.export.save`, run by torch 2.5 or newer."""

    summary: ClassVar[str] = "one .pt2 file for torch.export.load; needs torch alone"
    ending: ClassVar[str] = ".pt2"

    def check(self) -> None:
        """Nothing is needed beside torch."""

    def write(self, parcel: Parcel, options: FormatOptions, folder: Path) -> Written:
        """Trace, save, and load the file back."""
        path = folder / f"{STEM}{self.ending}"
        with silence():
            torch.export.save(traced(parcel, options, "torch.export"), path)
            module = torch.export.load(path).module()

        def run(images: Images) -> Images:
            size = options.batch or min(BLOCK, len(images))
            with torch.inference_mode():
                return in_batches(lambda part: module(torch.from_numpy(part)).numpy(), images, size)

        return Written(path.name, run, _usage(parcel, path.name), {"torch": torch.__version__})


def _usage(parcel: Parcel, name: str) -> str:
    shape = ", ".join(map(str, parcel.network.input_shape))
    return (
        "With torch alone; `images` is a normalised float32 tensor `(batch, "
        f"{shape})`:\n\n"
        "```python\n"
        "import torch\n\n"
        f'network = torch.export.load("{name}").module()\n'
        "logits = network(images)\n"
        "```\n\n"
        "Load such files only from people you trust: torch reads more than numbers from them.\n"
    )
