"""ONNX: one file that runs without torch, in ONNX Runtime and most other runtimes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar, final

from nas.export.formats import STEM, AbstractFormat, FormatOptions, Written, export_format
from nas.export.onnx import INPUT, OUTPUT, export_onnx
from nas.export.packages import check_onnx_packages, onnx_package
from nas.export.parcel import Parcel
from nas.export.sessions import Images, open_session, run_batches
from nas.export.shipping import shipped

METADATA_KEY = "nas"
"""Key of the file's own metadata under which classes and preprocessing lie as JSON."""


@export_format("onnx")
@final
class Onnx(AbstractFormat):
    """Written by torch's dynamo exporter, run by ONNX Runtime."""

    summary: ClassVar[str] = "one file for ONNX Runtime and others; runs without torch"
    ending: ClassVar[str] = ".onnx"

    def check(self) -> None:
        """Look for onnx, onnxscript and onnxruntime."""
        check_onnx_packages()

    def write(self, parcel: Parcel, options: FormatOptions, folder: Path) -> Written:
        """Write the file, classes and preprocessing in its metadata, and load it back."""
        network = shipped(parcel, options)
        model = export_onnx(network, parcel.network.input_shape, options.batch)
        path = folder / f"{STEM}{self.ending}"
        path.write_bytes(_with_metadata(model.data, parcel))
        session = open_session(path.read_bytes(), 1)

        def run(images: Images) -> Images:
            return run_batches(session, images, options.batch)

        details = {"opset": model.opset, "input": INPUT, "output": OUTPUT}
        return Written(path.name, run, _usage(parcel, path.name), details)


def _with_metadata(data: bytes, parcel: Parcel) -> bytes:
    """Return the file with what a reader needs beside the graph, so that it may travel alone."""
    onnx = onnx_package("onnx")
    proto = onnx.load_from_string(data)
    told = {
        "title": parcel.title,
        "weights": parcel.weights.told,
        "preprocessing": parcel.preprocessing.to_dict() if parcel.preprocessing else None,
    }
    onnx.helper.set_model_props(proto, {METADATA_KEY: json.dumps(told, sort_keys=True)})
    found: bytes = proto.SerializeToString()
    return found


def _usage(parcel: Parcel, name: str) -> str:
    if parcel.preprocessing is None:
        return (
            "Without torch, with `pip install onnxruntime numpy`; `images` is float32 "
            f"`(batch, {', '.join(map(str, parcel.network.input_shape))})`:\n\n"
            "```python\n"
            "import onnxruntime\n\n"
            f'session = onnxruntime.InferenceSession("{name}")\n'
            f'logits = session.run(None, {{"{INPUT}": images}})[0]\n'
            "```\n"
        )
    return (
        "Without torch and without this project, with `pip install onnxruntime numpy pillow`. Save "
        "this as `run.py` in this folder and type `python run.py PICTURE...`:\n\n"
        f"```python\n{_RUNNER.format(name=name, input=INPUT)}```\n\n"
        "Or with this project: `nas predict THIS_FOLDER PICTURES`.\n"
    )


_RUNNER = """import json, sys
import numpy, onnxruntime
from PIL import Image

session = onnxruntime.InferenceSession("{name}")
about = json.load(open("about.json"))["preprocessing"]
channels, height, width = about["input_shape"]
mean, deviation = (numpy.array(about[key], "float32") for key in ("mean", "deviation"))
mean, deviation = mean[:, None, None], deviation[:, None, None]
batch = session.get_inputs()[0].shape[0]
batch = batch if isinstance(batch, int) else 1

for path in sys.argv[1:]:
    picture = Image.open(path).convert("L" if channels == 1 else "RGB")
    # Scaled until it covers the size of the training images, the middle cut out.
    scale = max(height / picture.height, width / picture.width)
    size = max(width, round(picture.width * scale)), max(height, round(picture.height * scale))
    if size != picture.size:
        picture = picture.resize(size, Image.Resampling.BILINEAR)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    pixels = numpy.asarray(picture.crop((left, top, left + width, top + height)), "float32")
    pixels = pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)
    image = (pixels * about["white"] / 255 - mean) / deviation
    images = numpy.repeat(image[None], batch, axis=0).astype("float32")
    logits = session.run(None, {{"{input}": images}})[0][0]
    shares = numpy.exp(logits - logits.max())
    shares /= shares.sum()
    best = int(shares.argmax())
    print(path, about["classes"][best], f"{{shares[best]:.3f}}")
"""
