"""source: one readable Python file that imports torch alone, and its weights as safetensors."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import ClassVar, final

from nas.export.formats import STEM, AbstractFormat, FormatOptions, Written, export_format
from nas.export.parcel import Parcel
from nas.export.sessions import Images
from nas.export.shipping import torch_logits

_WEIGHTS = f"{STEM}.safetensors"


@export_format("source")
@final
class Source(AbstractFormat):
    """Written by `nas.export.source`, run by torch."""

    summary: ClassVar[str] = "one readable .py that imports torch alone, with its weights"
    ending: ClassVar[str] = ".py"
    alone: ClassVar[bool] = False
    traced: ClassVar[bool] = False

    def check(self) -> None:
        """Nothing is needed beside torch."""

    def write(self, parcel: Parcel, options: FormatOptions, folder: Path) -> Written:
        """Write both files, import the first, and let it read the second."""
        from nas.export.source import write_source

        network = parcel.network.eval()
        found = write_source(
            network,
            network.input_shape,
            parcel.num_classes,
            name=STEM,
            about={"what": parcel.title, "weights": parcel.weights.told},
            folded=options.fold,
        )
        path = folder / f"{STEM}{self.ending}"
        path.write_text(found.code, encoding="utf-8")
        (folder / _WEIGHTS).write_bytes(found.weights)
        module = _imported(path).build(folder / _WEIGHTS)

        def run(images: Images) -> Images:
            return torch_logits(module, images)

        return Written(path.name, run, _USAGE)


def _imported(path: Path) -> ModuleType:
    """Import a file that was just written here, under no name that anything else could find."""
    spec = importlib.util.spec_from_file_location(f"exported_{STEM}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_USAGE = f"""With torch alone; `images` is a normalised float32 tensor, see above:

```python
from {STEM} import build

network = build("{_WEIGHTS}")
logits = network(images)
```

`{STEM}.py` is meant to be read and changed; it can be trained as any torch module.
"""
