"""A network as an ONNX file, written by torch's exporter and checked against ONNX Runtime.

What is exported is what ships: the stand-alone network in eval mode, batch norm folded. Half of an
export's time goes into reading the signatures of all operators anew; they never change within a
process, so they are read once (`_known_operators`). An export is kept as long as its network lives
and its weights stay what they are, because latency, error and a file often want the same one.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, final
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import nn

from nas.errors import ArchitectureError
from nas.export.packages import check_onnx_packages
from nas.export.sessions import Images, open_session, run_batches
from nas.export.silence import silence
from nas.topology.layers import Shape

INPUT, OUTPUT = "images", "logits"
"""Names of the one input and the one output of every file."""


@final
@dataclass(frozen=True)
class OnnxModel:
    """A network in ONNX's format.

    Args:
        data: The file, weights included.
        input_shape: `(channels, height, width)` of one image.
        batch: Images of one call; None where any number fits.
        opset: Version of ONNX's operators.
    """

    data: bytes
    input_shape: Shape
    batch: int | None
    opset: int

    @property
    def digest(self) -> str:
        """SHA-256 of the file."""
        return hashlib.sha256(self.data).hexdigest()


_Kept = dict[tuple[Shape, int | None], tuple[str, OnnxModel]]
_kept: WeakKeyDictionary[nn.Module, _Kept] = WeakKeyDictionary()


def export_onnx(network: nn.Module, input_shape: Shape, batch: int | None = 1) -> OnnxModel:
    """Return a network as an ONNX file with float32 weights.

    Args:
        network: The stand-alone network; it is left as it is. An equal export of the same module
            with the same weights is answered from memory.
        input_shape: `(channels, height, width)` of one image.
        batch: Images of one call, which lets a runtime plan its memory; None leaves it open.

    Raises:
        EnvironmentFault: If onnx, onnxscript or onnxruntime is missing.
        ArchitectureError: If the network has a part that the exporter cannot write.
    """
    check_onnx_packages()
    kept = _kept.setdefault(network, {})
    state = _state_digest(network)
    known = kept.get((input_shape, batch))
    if known is None or known[0] != state:
        known = kept[input_shape, batch] = (state, _export(network, input_shape, batch))
    return known[1]


def _export(network: nn.Module, input_shape: Shape, batch: int | None) -> OnnxModel:
    images = torch.zeros(batch or 2, *input_shape, device=_device(network))
    dynamic = ({0: "batch"},) if batch is None else None
    try:
        with silence(), evaluating(network), _known_operators(), torch.no_grad():
            program = torch.onnx.export(
                network,
                (images,),
                dynamo=True,
                verbose=False,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=dynamic,
            )
    except Exception as error:  # the exporter wraps whatever a module raises
        raise ArchitectureError(
            f"The network cannot be written as ONNX: {_first_line(error)}.",
            why="torch's exporter knows no ONNX operator for a part of it.",
            fix="Measure it with the runtime 'eager', or choose other operations.",
        ) from error
    assert program is not None
    proto = program.model_proto
    opset = next(entry.version for entry in proto.opset_import if entry.domain == "")
    return OnnxModel(proto.SerializeToString(), input_shape, batch, opset)


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Put every part of a module into eval mode, and back into its own mode afterwards."""
    modes = [(part, part.training) for part in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode


def _device(network: nn.Module) -> torch.device:
    first = next(network.parameters(), None)
    return torch.device("cpu") if first is None else first.device


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def _state_digest(network: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        digest.update(f"{name}{value.dtype}{tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


_OPERATORS = "get_torchlib_ops"
_operators: dict[str, Any] = {}


@contextmanager
def _known_operators() -> Iterator[None]:
    """Let the exporter reuse its list of operators, which it would parse anew for every export.

    Where a version of torch keeps that list elsewhere, this changes nothing.
    """
    try:
        module = importlib.import_module("torch.onnx._internal.exporter._registration")
        source = module.onnxscript_apis
        if "operators" not in _operators:
            _operators["operators"] = getattr(source, _OPERATORS)()
        found = _operators["operators"]
    except (ImportError, AttributeError):
        yield
        return
    own = vars(source).get(_OPERATORS)  # a module that is loaded lazily has none of its own
    setattr(source, _OPERATORS, lambda: found)
    try:
        yield
    finally:
        if own is None:
            delattr(source, _OPERATORS)
        else:
            setattr(source, _OPERATORS, own)


def check_onnx(model: OnnxModel, network: nn.Module, images: Images, threads: int = 1) -> float:
    """Return how far ONNX Runtime's logits are from torch's, relative to the largest logit.

    Args:
        model: From `export_onnx`.
        network: The network it was made from.
        images: Real ones, `(count, channels, height, width)`.
        threads: Of ONNX Runtime.
    """
    found = run_batches(open_session(model.data, threads), images, model.batch)
    with evaluating(network), torch.inference_mode():
        expected = network(torch.from_numpy(images).to(_device(network))).cpu().numpy()
    scale = float(np.abs(expected).max()) or 1.0
    return float(np.abs(found - expected).max()) / scale
