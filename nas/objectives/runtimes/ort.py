"""ONNX Runtime: the network as an ONNX file, executed sequentially with fixed threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

import numpy as np

from nas.errors import ConfigError, EnvironmentFault
from nas.objectives.latency_config import Dtype, LatencyConfig
from nas.objectives.runtimes.base import (
    RUNTIMES,
    AbstractRuntime,
    Images,
    PreparedNetwork,
    Quantisation,
    fixed_images,
)
from nas.topology.layers import Shape

if TYPE_CHECKING:
    from torch import nn

CALIBRATION_IMAGES = 32
"""Random images that calibrate a network of which only the time is wanted."""


@final
class OnnxRuntime(AbstractRuntime):
    """Executes the file that torch's exporter writes, with the batch written into it.

    `int8` is static quantisation of weights (per output channel) and activations; `int8-dynamic`
    quantises the weights of matrix products and, in every call, their inputs.
    """

    name: ClassVar[str] = "ort"
    dtypes: ClassVar[tuple[Dtype, ...]] = ("fp32", "int8", "int8-dynamic")
    devices: ClassVar[tuple[str, ...]] = ("cpu", "cuda")
    typical_preparation_s: ClassVar[float] = 1.0

    def _check_here(self, config: LatencyConfig, device: str) -> None:
        from nas.export.packages import check_onnx_packages, onnx_package

        check_onnx_packages()
        if not device.startswith("cuda"):
            return
        if config.dtype != "fp32":
            raise ConfigError(
                f"The runtime 'ort' executes {config.dtype} on the CPU only; the device is "
                f"'{device}'.",
                fix="Measure it with --device cpu, or take fp32.",
            )
        providers = onnx_package("onnxruntime").get_available_providers()
        if "CUDAExecutionProvider" not in providers:
            raise EnvironmentFault(
                f"This build of ONNX Runtime does not run on '{device}'; it has: "
                f"{', '.join(providers)}.",
                fix="pip install onnxruntime-gpu in place of onnxruntime, or use --device cpu.",
            )

    def _prepare(
        self,
        network: nn.Module,
        input_shape: Shape,
        config: LatencyConfig,
        device: str,
        quantisation: Quantisation,
    ) -> PreparedNetwork:
        from nas.export.onnx import INPUT, export_onnx
        from nas.export.quantise import modules_of, quantise
        from nas.export.sessions import open_session, run_batches

        exported = export_onnx(network, input_shape, config.batch)
        if config.dtype in ("int8", "int8-dynamic"):
            images = quantisation.calibration
            if images is None:
                many = config.model_copy(update={"batch": CALIBRATION_IMAGES})
                images = fixed_images(input_shape, many).numpy()
            kept = modules_of(network, quantisation.float_stages)
            exported = quantise(exported, config.dtype, images, kept)
        session = open_session(exported.data, config.threads, device)
        feed = {INPUT: fixed_images(input_shape, config).numpy()}

        def call() -> object:
            return session.run(None, feed)

        def logits(images: Images) -> Images:
            return run_batches(session, np.asarray(images, np.float32), config.batch)

        return PreparedNetwork(call, logits, len(exported.data))


RUNTIMES.add(OnnxRuntime.name, OnnxRuntime())
