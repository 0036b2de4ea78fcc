"""Int8 networks: ONNX Runtime's post-training quantisation with one fixed set of choices.

`int8` is static: weights per output channel (signed), activations per tensor (unsigned), their
ranges the least and largest value on calibration images, written as quantise-dequantise pairs.
Unsigned activations matter: with signed ones ONNX Runtime has no fast kernel on x86, and such a
network took 1.5 times the time of its float32 form here instead of 0.8.

`int8-dynamic` quantises matrix products only: weights ahead, inputs in every call. ONNX Runtime
could treat convolutions in this way too, and then takes 1.4 to 2.7 times the time of float32, so
what it changes in a convolutional network is its classifier.
"""

from __future__ import annotations

import ast
import tempfile
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, final

from torch import nn

from nas.errors import ConfigError
from nas.export.onnx import INPUT, OnnxModel
from nas.export.packages import onnx_package
from nas.export.sessions import Images
from nas.export.silence import silence
from nas.model.fuse import FusedNetwork

Int8 = Literal["int8", "int8-dynamic"]

DYNAMIC_OPERATORS = ["MatMul", "Gemm"]

_SCOPES = "pkg.torch.onnx.name_scopes"
"""Where torch's exporter notes which module an operator comes from."""


def quantise(
    model: OnnxModel,
    dtype: Int8,
    calibration: Images,
    float_modules: Collection[str] = (),
) -> OnnxModel:
    """Return the int8 form of a network.

    Args:
        model: From `export_onnx`.
        dtype: How.
        calibration: Images like those to come, `(count, channels, height, width)`; `int8` measures
            ranges on them, `int8-dynamic` ignores them.
        float_modules: Parts of the module that stay in float32, by their names in it; see
            `modules_of`. Only `int8` knows parts.

    Raises:
        ConfigError: If `int8` is to be calibrated on no image.
        EnvironmentFault: If onnx or onnxruntime is missing.
    """
    if dtype == "int8" and not len(calibration):
        raise ConfigError(
            "Static quantisation needs calibration images; got 0.",
            fix="Give a few dozen images of the training data, or take 'int8-dynamic'.",
        )
    library = onnx_package("onnxruntime.quantization")
    proto = onnx_package("onnx").load_from_string(model.data)
    # The exporter notes the shapes of weights, and the quantiser transposes some of them.
    del proto.graph.value_info[:]
    with tempfile.TemporaryDirectory() as folder, silence():
        path = Path(folder) / "int8.onnx"
        if dtype == "int8":
            excluded = _nodes_of(proto, set(float_modules))
            _static(library, proto, path, _batches(model, calibration), excluded)
        else:
            library.quantize_dynamic(
                proto,
                path,
                op_types_to_quantize=DYNAMIC_OPERATORS,
                per_channel=True,
                weight_type=library.QuantType.QInt8,
            )
        return replace(model, data=path.read_bytes())


def modules_of(network: nn.Module, stages: Collection[str]) -> list[str]:
    """Return the names of the modules that make up some stages of a stand-alone network.

    What stands before the first stage goes with it, what comes after the last one (the classifier)
    with that one.

    Args:
        network: From `nas.model.fuse`.
        stages: Such as `stage2`.

    Raises:
        ConfigError: If stages are named and the network has none at all.
    """
    if not stages:
        return []
    there = stages_of(network)
    if not there or not isinstance(network, FusedNetwork):
        raise ConfigError(
            f"The network has no stages, so '{min(stages)}' cannot stay in float32.",
            fix="Decide for whole networks: quantisation: {per: network}.",
        )
    # A stage may be missing: one that only hands its input on leaves no instruction.
    current, found = there[0], []
    for number, place in enumerate(network.places):
        current = _stage(place) or current
        if current in stages:
            found.append(f"steps.{number}")
    return [*found, "head", ""] if there[-1] in stages else found


def stages_of(network: nn.Module) -> list[str]:
    """Return the stages of a stand-alone network in their order; empty for any other module."""
    places = network.places if isinstance(network, FusedNetwork) else ()
    return list(dict.fromkeys(stage for place in places if (stage := _stage(place))))


def _stage(place: str) -> str:
    """Return the stage that a node's name, such as `stage2.op1`, begins with."""
    return place.partition(".")[0] if "." in place else ""


def _nodes_of(proto: Any, modules: set[str]) -> list[str]:
    """Return the operators that the exporter wrote for some modules, by its own notes."""
    return [node.name for node in proto.graph.node if _module(node) in modules] if modules else []


def _module(node: Any) -> str:
    notes = {entry.key: entry.value for entry in node.metadata_props}
    scopes = ast.literal_eval(notes.get(_SCOPES, "[]"))
    # ['', 'steps.7', 'steps.7.conv', 'conv2d_3']: the model, its parts, the operator itself.
    parts = [scope for scope in scopes[:-1] if scope]
    return ".".join(str(parts[0]).split(".")[:2]) if parts else ""


def _static(
    library: Any, proto: Any, path: Path, batches: list[dict[str, Images]], excluded: list[str]
) -> None:
    library.quantize_static(
        proto,
        path,
        _Reader(batches),
        quant_format=library.QuantFormat.QDQ,
        activation_type=library.QuantType.QUInt8,
        weight_type=library.QuantType.QInt8,
        per_channel=True,
        nodes_to_exclude=excluded,
    )


@final
class _Reader:
    """Hands out batches of images in the way the calibrator asks for them."""

    def __init__(self, batches: list[dict[str, Images]]) -> None:
        self._batches = iter(batches)

    def get_next(self) -> dict[str, Images] | None:
        return next(self._batches, None)


def _batches(model: OnnxModel, images: Images) -> list[dict[str, Images]]:
    """Cut images into batches of the size the network takes; what is left over is left out."""
    size = model.batch or len(images)
    if len(images) < size:
        repeats = -(-size // len(images))
        images = images.repeat(repeats, axis=0)
    last = len(images) - size
    return [{INPUT: images[start : start + size]} for start in range(0, last + 1, size)]
