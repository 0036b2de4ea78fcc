"""CUDA graphs: all kernels of one forward pass recorded once and launched as one.

Small networks on a GPU spend most of their time on launching kernels one by one; a graph shows what
the same kernels take without that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

from nas.objectives.latency_config import Dtype, LatencyConfig
from nas.objectives.runtimes.base import (
    RUNTIMES,
    AbstractRuntime,
    PreparedNetwork,
    Quantisation,
    fixed_images,
    weight_bytes,
)
from nas.topology.layers import Shape

if TYPE_CHECKING:
    from torch import Tensor, nn

WARM_UP = 3
"""Passes on a side stream before the capture, in which libraries choose their kernels."""


@final
class CudaGraph(AbstractRuntime):
    """Records one forward pass of the eager module and replays it."""

    name: ClassVar[str] = "cudagraph"
    dtypes: ClassVar[tuple[Dtype, ...]] = ("fp32", "bf16", "fp16")
    devices: ClassVar[tuple[str, ...]] = ("cuda",)
    typical_preparation_s: ClassVar[float] = 0.1

    def _check_here(self, config: LatencyConfig, device: str) -> None:
        """A CUDA device is all that it takes."""

    def _prepare(
        self,
        network: nn.Module,
        input_shape: Shape,
        config: LatencyConfig,
        device: str,
        quantisation: Quantisation,
    ) -> PreparedNetwork:
        import torch

        from nas.objectives.torch_modules import logits_of, own_copy, placed

        own = own_copy(network, config, device)
        images = placed(fixed_images(input_shape, config), config, device)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(torch.device(device)), torch.inference_mode():
            stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for _ in range(WARM_UP):
                    own(images)
            torch.cuda.current_stream().wait_stream(stream)
            with torch.cuda.graph(graph):
                answer: Tensor = own(images)

        def forward(part: Tensor) -> Tensor:
            images.copy_(part)  # a graph reads and writes the tensors it was recorded with
            graph.replay()
            return answer.clone()

        return PreparedNetwork(graph.replay, logits_of(forward, config, device), weight_bytes(own))


RUNTIMES.add(CudaGraph.name, CudaGraph())
