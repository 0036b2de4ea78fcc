"""What a runtime promises, and the registry of them.

The reference network of a measurement runs in the same runtime, number format and batch as the
network it is compared with. Two runtimes in turns would disturb each other: the threads of one
still wait actively while the other wants the processor, and each finds its code and data evicted
from the caches. A ratio of like with like cancels those costs instead of adding them.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from nas.errors import ConfigError, EnvironmentFault
from nas.objectives.latency_config import Dtype, LatencyConfig
from nas.registry import Registry
from nas.topology.layers import Shape

if TYPE_CHECKING:
    from torch import Tensor, nn

Images = NDArray[np.float32]


@final
@dataclass(frozen=True)
class PreparedNetwork:
    """A network that a runtime is ready to execute.

    Args:
        call: One forward pass on fixed images, of the batch and number format asked for. The
            caller holds torch's threads at those of the config meanwhile.
        logits: From float32 images `(count, channels, height, width)` to logits
            `(count, classes)`, for any count; it minds the threads itself.
        bytes_shipped: Size of what a device would load, in bytes; None where nobody knows.
    """

    call: Callable[[], object]
    logits: Callable[[Images], Images]
    bytes_shipped: int | None = None


@final
@dataclass(frozen=True, eq=False)
class Quantisation:
    """What an int8 network needs beyond its weights; runtimes without int8 ignore it.

    Args:
        calibration: Images to measure ranges on; None takes random ones.
        float_stages: Stages that stay in float32.
    """

    calibration: Images | None = None
    float_stages: frozenset[str] = frozenset()


class AbstractRuntime(abc.ABC):
    """Executes networks; subclasses are final, without state, and registered by name.

    Class attributes:
        name: In configs and in the names of objectives.
        dtypes: Number formats it can execute.
        devices: Kinds of torch devices it runs on.
        typical_preparation_s: Seconds that `prepare` takes for a small network, to plan with.
    """

    name: ClassVar[str]
    dtypes: ClassVar[tuple[Dtype, ...]]
    devices: ClassVar[tuple[str, ...]]
    typical_preparation_s: ClassVar[float]

    @final
    def check_dtype(self, dtype: str) -> None:
        """Refuse a number format that this runtime does not execute.

        Raises:
            ConfigError: Then; the message lists those it does.
        """
        if dtype not in self.dtypes:
            others = [each for each in RUNTIMES if dtype in RUNTIMES.get(each).dtypes]
            way_out = f"; {dtype} runs in: {', '.join(others)}" if others else ""
            raise ConfigError(
                f"The runtime '{self.name}' does not execute {dtype}.",
                fix=f"Its number formats are: {', '.join(self.dtypes)}{way_out}.",
            )

    @final
    def check(self, config: LatencyConfig, device: str) -> None:
        """Find out whether this runtime can execute networks here, before any work is done.

        Args:
            config: Number format and threads.
            device: A torch device, such as `cpu` or `cuda:0`.

        Raises:
            ConfigError: If it does not execute the number format, or not on this kind of device.
            EnvironmentFault: If the device, a package or a tool is not there.
        """
        self.check_dtype(config.dtype)
        kind = device.partition(":")[0]
        if kind not in self.devices:
            raise ConfigError(
                f"The runtime '{self.name}' does not run on the device '{device}'.",
                fix=f"It runs on: {', '.join(self.devices)}. Runtimes of {kind}: "
                f"{', '.join(_runtimes_of(kind))}.",
            )
        if kind == "cuda":
            _check_cuda(device)
        self._check_here(config, device)

    @final
    def prepare(
        self,
        network: nn.Module,
        input_shape: Shape,
        config: LatencyConfig,
        device: str = "cpu",
        calibration: Images | None = None,
        float_stages: frozenset[str] = frozenset(),
    ) -> PreparedNetwork:
        """Make a copy of `network` ready to run.

        Args:
            network: Any module from images to logits; it is left as it is.
            input_shape: `(channels, height, width)` of one image.
            config: Batch, number format and threads.
            device: Torch device.
            calibration: Images on which the ranges of int8 activations are measured; None takes
                random ones, good enough for times and useless for errors.
            float_stages: Stages of an int8 network that stay in float32, such as `stage2`.

        Raises:
            ConfigError: As in `check`, or if stages are named and the number format is not int8;
                EnvironmentFault likewise.
            ArchitectureError: If the runtime cannot express a part of the network.
        """
        self.check(config, device)
        if float_stages and config.dtype != "int8":
            raise ConfigError(
                f"Stages can stay in fp32 in an int8 network only; the number format is "
                f"{config.dtype}.",
                fix="Name no stages, or take int8.",
            )
        quantisation = Quantisation(calibration, float_stages)
        return self._prepare(network, input_shape, config, device, quantisation)

    @abc.abstractmethod
    def _check_here(self, config: LatencyConfig, device: str) -> None:
        """Check packages and tools; the number format and the device are right."""

    @abc.abstractmethod
    def _prepare(
        self,
        network: nn.Module,
        input_shape: Shape,
        config: LatencyConfig,
        device: str,
        quantisation: Quantisation,
    ) -> PreparedNetwork:
        """Make a copy of `network` ready to run; everything was checked."""


RUNTIMES: Registry[AbstractRuntime] = Registry("runtime", package="nas.objectives.runtimes")


def prepare(
    network: nn.Module,
    input_shape: Shape,
    config: LatencyConfig,
    device: str = "cpu",
    calibration: Images | None = None,
    float_stages: frozenset[str] = frozenset(),
) -> PreparedNetwork:
    """Make a copy of `network` ready in the runtime of `config`, see `AbstractRuntime.prepare`."""
    runtime = RUNTIMES.get(config.runtime)
    return runtime.prepare(network, input_shape, config, device, calibration, float_stages)


def fixed_images(input_shape: Shape, config: LatencyConfig) -> Tensor:
    """Return the images of a timed call, float32: always the same random numbers."""
    import torch

    generator = torch.Generator().manual_seed(0)
    return torch.randn(config.batch, *input_shape, generator=generator)


def weight_bytes(network: nn.Module) -> int:
    """Return the size of a module's parameters and buffers, in bytes; shared ones count once."""
    tensors = {id(entry): entry for entry in (*network.parameters(), *network.buffers())}
    return sum(entry.numel() * entry.element_size() for entry in tensors.values())


def _runtimes_of(kind: str) -> list[str]:
    return [name for name in RUNTIMES if kind in RUNTIMES.get(name).devices]


def _check_cuda(device: str) -> None:
    import torch

    if not torch.cuda.is_available():
        raise EnvironmentFault(
            f"The device '{device}' is not there: torch sees no CUDA device.",
            fix="Use --device cpu.",
        )
