"""torch.compile: the network as machine code that a C++ compiler makes, or Triton on CUDA."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from types import FunctionType
from typing import TYPE_CHECKING, ClassVar, final

from nas.errors import EnvironmentFault
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

COMPILERS = ("g++", "clang++", "c++")
"""Looked for on the PATH where the variable CXX names none."""


@final
class Compiled(AbstractRuntime):
    """Compiles the whole network for its batch; this takes seconds to a minute per network."""

    name: ClassVar[str] = "compile"
    dtypes: ClassVar[tuple[Dtype, ...]] = ("fp32", "bf16", "fp16")
    devices: ClassVar[tuple[str, ...]] = ("cpu", "cuda")
    typical_preparation_s: ClassVar[float] = 10.0

    def _check_here(self, config: LatencyConfig, device: str) -> None:
        if sys.platform == "win32":  # pragma: no cover - torch finds its own compiler there
            return
        wanted = os.environ.get("CXX")
        names = (wanted.split()[0],) if wanted and wanted.strip() else COMPILERS
        if not any(shutil.which(name) for name in names):
            raise EnvironmentFault(
                f"The runtime 'compile' needs a C++ compiler, and there is none: looked for "
                f"{', '.join(names)}.",
                where="variable CXX" if wanted else "PATH",
                why="torch.compile writes C++ and has it compiled.",
                fix="Install one (Debian: apt-get install g++), or take the runtime 'ort'.",
            )

    def _prepare(
        self,
        network: nn.Module,
        input_shape: Shape,
        config: LatencyConfig,
        device: str,
        quantisation: Quantisation,
    ) -> PreparedNetwork:
        import torch
        import torch._inductor.config

        from nas.export.silence import silence
        from nas.objectives.torch_modules import logits_of, own_copy, placed
        from nas.training.device import use_threads

        own = own_copy(network, config, device)
        images = placed(fixed_images(input_shape, config), config, device)
        compiled = compile_alone(own)
        # What is compiled depends on the number of threads and on the mode it is called in, and
        # compiling in this process leaves no pool of workers behind.
        here = torch._inductor.config.patch(compile_threads=1)
        with use_threads(config.threads), torch.inference_mode(), silence(), here:
            compiled(images)

        def call() -> object:
            return compiled(images)

        return PreparedNetwork(call, logits_of(compiled, config, device), weight_bytes(own))


def compile_alone(network: nn.Module, backend: str = "inductor") -> Callable[[Tensor], Tensor]:
    """Return the compiled form of a module, which no other compiled module has a part in.

    torch files compiled code under the code object of the function that is called, which all
    networks of one class share: after eight of them it would refuse to compile more, and each call
    would look through the conditions of all the others first.
    """
    import torch

    def forward(images: Tensor) -> Tensor:
        return network(images)  # type: ignore[no-any-return]

    own_code = forward.__code__.replace()
    alone = FunctionType(own_code, forward.__globals__, "forward", None, forward.__closure__)
    return torch.compile(alone, fullgraph=True, dynamic=False, backend=backend)


RUNTIMES.add(Compiled.name, Compiled())
