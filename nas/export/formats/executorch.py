"""executorch: one file for phones and microcontrollers, lowered to XNNPACK where that can run it.

The package is an extra: it comes with its own copies of torch's operators, and exists for some
versions of torch and some machines only.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import ClassVar, final

import torch

from nas.errors import ArchitectureError, EnvironmentFault
from nas.export.formats import STEM, AbstractFormat, FormatOptions, Written, export_format
from nas.export.parcel import Parcel
from nas.export.sessions import Images, in_batches
from nas.export.shipping import BLOCK, traced
from nas.export.silence import silence

_EXIR = "executorch.exir"
_PARTITIONER = "executorch.backends.xnnpack.partition.xnnpack_partitioner"
_RUNTIME = "executorch.runtime"


@export_format("executorch")
@final
class ExecuTorch(AbstractFormat):
    """Written and run by executorch."""

    summary: ClassVar[str] = "one .pte file for ExecuTorch on phones; needs its own package"
    ending: ClassVar[str] = ".pte"
    open_batch: ClassVar[bool] = False  # its passes narrow the range, for some networks to 15

    def check(self) -> None:
        """Import what writes and what runs a file."""
        for name in (_EXIR, _PARTITIONER, _RUNTIME):
            _load(name)

    def write(self, parcel: Parcel, options: FormatOptions, folder: Path) -> Written:
        """Trace, lower, save, and load the file back."""
        path = folder / f"{STEM}{self.ending}"
        program = traced(parcel, options, "executorch")
        try:
            with silence():
                partitioner = _load(_PARTITIONER).XnnpackPartitioner()
                lowered = _load(_EXIR).to_edge_transform_and_lower(
                    program, partitioner=[partitioner]
                )
                path.write_bytes(lowered.to_executorch().buffer)
        except Exception as error:  # its passes raise what they like
            told = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
            raise ArchitectureError(
                f"The network cannot be written for executorch: {told}.",
                why="executorch has no form for a part of it.",
                fix="Take the format 'onnx', or choose other operations.",
            ) from error
        loaded = _load(_RUNTIME).Runtime.get().load_program(path)
        method = loaded.load_method("forward")

        def run(images: Images) -> Images:
            # The program has to outlive its method.
            assert loaded is not None
            size = options.batch or min(BLOCK, len(images))
            return in_batches(
                lambda part: method.execute([torch.from_numpy(part)])[0].numpy(), images, size
            )

        return Written(path.name, run, _usage(parcel, path.name), {})


def _load(name: str) -> ModuleType:
    try:
        with silence():
            return importlib.import_module(name)
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == "executorch"
        raise EnvironmentFault(
            "The package 'executorch' is not installed here."
            if missing
            else f"The package 'executorch' does not work beside torch {torch.__version__}.",
            why="It comes with an extra of this package, and not for every machine."
            if missing
            else (str(error).strip() or type(error).__name__).splitlines()[0],
            fix="pip install 'nas[executorch]', or take the format 'onnx'.",
        ) from error


def _usage(parcel: Parcel, name: str) -> str:
    shape = ", ".join(map(str, parcel.network.input_shape))
    return (
        f"With `pip install executorch`; `images` is a normalised float32 tensor `(batch, {shape})`"
        ":\n\n"
        "```python\n"
        "from executorch.runtime import Runtime\n\n"
        f'program = Runtime.get().load_program("{name}")\n'
        'logits = program.load_method("forward").execute([images])[0]\n'
        "```\n\n"
        "On Android and iOS the same file is loaded by ExecuTorch's `Module`.\n"
    )
