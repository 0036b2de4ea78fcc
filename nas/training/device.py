"""Devices and threads: which there are, and a clear word when one is asked for that is not.

Results are bit-identical for one thread count only, so the number of threads is set explicitly
around each piece of work and put back after it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

from nas.errors import ConfigError, EnvironmentFault


def available_devices() -> list[str]:
    """Return the names of the devices of this machine, the fastest kind first."""
    names = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        names.append("mps")
    return [*names, "cpu"]


def resolve_device(name: str = "auto") -> torch.device:
    """Return the device called `name`: `auto`, `cpu`, `cuda`, `cuda:0`, `mps`.

    `auto` takes the first CUDA device, else MPS, else the CPU.

    Raises:
        EnvironmentFault: If the device is not there; the message names those that are.
    """
    there = available_devices()
    wanted = {"auto": there[0], "cuda": "cuda:0"}.get(name, name)
    if wanted not in there:
        raise EnvironmentFault(
            f"The device '{name}' is not there; this machine has: {', '.join(there)}.",
            where="device",
            fix="Choose one of these, or 'auto'.",
        )
    return torch.device(wanted)


@contextmanager
def use_threads(count: int) -> Iterator[None]:
    """Run the block with this many CPU threads inside torch operations, then restore.

    Raises:
        ConfigError: If `count` is below 1.
    """
    if count < 1:
        raise ConfigError(f"{count} threads are not possible: at least 1.", fix="Use 1 or more.")
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def reduced_precision(device: torch.device) -> AbstractContextManager[object]:
    """Return bfloat16 autocast on CUDA and nothing elsewhere.

    On a CPU it does not pay: norms and pooling dominate small networks.
    """
    if device.type == "cuda":
        return torch.autocast("cuda", dtype=torch.bfloat16)
    return nullcontext()


@contextmanager
def deterministic_kernels() -> Iterator[None]:
    """Make cuDNN choose the same, deterministic kernels each time, then restore."""
    cudnn = torch.backends.cudnn
    before = (cudnn.deterministic, cudnn.benchmark)
    cudnn.deterministic, cudnn.benchmark = True, False
    try:
        yield
    finally:
        cudnn.deterministic, cudnn.benchmark = before


def memory_format(device: torch.device) -> torch.memory_format:
    """Return the tensor order that is fastest: channels_last on CPU and CUDA, plain on MPS."""
    return torch.contiguous_format if device.type == "mps" else torch.channels_last
