"""json: the architecture as JSON and its weights as safetensors, for this project to go on with."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, final

from nas.export.arrays import network_arrays
from nas.export.formats import STEM, AbstractFormat, FormatOptions, Written, export_format
from nas.export.parcel import Parcel
from nas.export.reading import WEIGHTS, network_of
from nas.export.sessions import Images
from nas.export.shipping import torch_logits
from nas.run_store.weights import serialize
from nas.topology.serial import architecture_text


@export_format("json")
@final
class Json(AbstractFormat):
    """Plain data; nothing is lost, and it can be trained on, edited and exported again."""

    summary: ClassVar[str] = "architecture and weights as plain data; nas reads it back"
    ending: ClassVar[str] = ".json"
    alone: ClassVar[bool] = False
    traced: ClassVar[bool] = False
    plain: ClassVar[bool] = True

    def check(self) -> None:
        """Nothing is needed."""

    def write(self, parcel: Parcel, options: FormatOptions, folder: Path) -> Written:
        """Write both files, and build the network anew from them."""
        path = folder / f"{STEM}{self.ending}"
        text = architecture_text(parcel.network.architecture)
        path.write_text(text + "\n", encoding="utf-8")
        data = serialize(network_arrays(parcel.network))
        (folder / WEIGHTS).write_bytes(data)
        network = network_of(
            text, data, parcel.network.input_shape, parcel.num_classes, str(folder)
        )

        def run(images: Images) -> Images:
            return torch_logits(network, images)

        return Written(path.name, run, _USAGE)


_USAGE = """With this project:

```sh
nas predict THIS_FOLDER PICTURES
nas arch export THIS_FOLDER --format onnx -o ANOTHER_FOLDER
nas arch show THIS_FOLDER/network.json
```
"""
