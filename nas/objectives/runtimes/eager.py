"""torch as it is: one operator after the other."""

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
    from torch import nn


@final
class Eager(AbstractRuntime):
    """Calls the module, channels last."""

    name: ClassVar[str] = "eager"
    dtypes: ClassVar[tuple[Dtype, ...]] = ("fp32", "bf16", "fp16")
    devices: ClassVar[tuple[str, ...]] = ("cpu", "cuda", "mps")
    typical_preparation_s: ClassVar[float] = 0.01

    def _check_here(self, config: LatencyConfig, device: str) -> None:
        """Whatever device torch has will do."""

    def _prepare(
        self,
        network: nn.Module,
        input_shape: Shape,
        config: LatencyConfig,
        device: str,
        quantisation: Quantisation,
    ) -> PreparedNetwork:
        from nas.objectives.torch_modules import logits_of, own_copy, placed

        own = own_copy(network, config, device)
        images = placed(fixed_images(input_shape, config), config, device)

        def call() -> object:
            return own(images)

        return PreparedNetwork(call, logits_of(own, config, device), weight_bytes(own))


RUNTIMES.add(Eager.name, Eager())
