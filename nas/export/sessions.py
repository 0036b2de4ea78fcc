"""Sessions of ONNX Runtime: how a file is run, always with the same few settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.export.packages import onnx_package

Images = NDArray[np.float32]
Forward = Callable[[Images], Any]


def open_session(model: bytes, threads: int, device: str = "cpu") -> Any:
    """Return a session of ONNX Runtime: sequential, with exactly `threads` that do not spin.

    Threads that wait actively would take the processor from whatever runs in between two calls.

    Args:
        model: The file.
        threads: Of one call.
        device: `cpu` or a CUDA device.

    Raises:
        EnvironmentFault: If onnxruntime is missing.
    """
    runtime = onnx_package("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3  # errors
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return runtime.InferenceSession(model, options, providers=_providers(device))


def _providers(device: str) -> list[Any]:
    kind, _, index = device.partition(":")
    if kind == "cuda":
        return [("CUDAExecutionProvider", {"device_id": int(index or 0)}), "CPUExecutionProvider"]
    return ["CPUExecutionProvider"]


def run_batches(session: Any, images: Images, batch: int | None) -> Images:
    """Return the logits of any number of images from a session with a fixed or an open batch.

    Args:
        session: Of ONNX Runtime.
        images: `(count, channels, height, width)`.
        batch: The session's; the last batch is filled up with its first image.
    """
    (feed,) = session.get_inputs()
    if batch is None:
        return np.asarray(session.run(None, {feed.name: images})[0])
    return in_batches(lambda part: session.run(None, {feed.name: part})[0], images, batch)


def in_batches(forward: Forward, images: Images, batch: int) -> Images:
    """Apply a function of exactly `batch` images to any number of them."""
    found = []
    for start in range(0, len(images), batch):
        part = np.ascontiguousarray(images[start : start + batch], dtype=np.float32)
        missing = batch - len(part)
        if missing:
            part = np.concatenate([part, np.repeat(part[:1], missing, axis=0)])
        found.append(np.array(forward(part))[: batch - missing])
    return np.concatenate(found)
