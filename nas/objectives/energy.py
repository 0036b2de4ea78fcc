"""Energy of one forward pass, from the counter or the power draw that NVML offers."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from nas.objectives.stopwatch import Call
from nas.units import Quantity, Unit

LONG_ENOUGH_S: Final = 2.0
"""The counter moves some ten times a second, so that a single pass is far below its step."""
PASSES_AT_ONCE: Final = 20


def energy_per_image(
    call: Call,
    device: str,
    batch: int,
    *,
    seconds: float = LONG_ENOUGH_S,
    nvml: Any = None,
    synchronise: Callable[[], object] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[float | None, str]:
    """Return the energy of a device per image in joules, its idle draw included.

    Args:
        call: One pass.
        device: A torch device.
        batch: Images in one pass.
        seconds: Time for which passes run back to back.
        nvml: The module `pynvml`; None imports it.
        synchronise: Waits for the device; by default torch's.
        clock: Seconds since any moment.

    Returns:
        The joules and an empty text, or None and why there is no number.
    """
    if not device.startswith("cuda"):
        return None, f"no energy counter is read on {device}; NVML has one for CUDA devices"
    try:
        nvml = nvml or _nvml()
    except ImportError:
        return None, "pynvml is not installed: pip install 'nas[energy]'"
    settle = synchronise or (lambda: _synchronise(device))
    try:
        nvml.nvmlInit()
        try:
            handle = _handle(nvml, device)
            settle()
            before, passes, started = nvml.nvmlDeviceGetTotalEnergyConsumption(handle), 0, clock()
            while clock() - started < seconds:
                for _ in range(PASSES_AT_ONCE):
                    call()
                settle()
                passes += PASSES_AT_ONCE
            after = nvml.nvmlDeviceGetTotalEnergyConsumption(handle)
        finally:
            nvml.nvmlShutdown()
    except nvml.NVMLError as error:
        return None, f"the driver gives no energy: {error}"
    spent = Quantity(after - before, Unit.MILLIJOULES).to(Unit.JOULES)
    return spent.value / (passes * batch), ""


def _nvml() -> Any:
    import pynvml

    return pynvml


def _handle(nvml: Any, device: str) -> Any:
    """Return NVML's handle; its numbers ignore `CUDA_VISIBLE_DEVICES`, so the id is used."""
    import torch

    uuid = getattr(torch.cuda.get_device_properties(torch.device(device)), "uuid", None)
    if uuid is None:
        return nvml.nvmlDeviceGetHandleByIndex(torch.device(device).index or 0)
    text = str(uuid)
    return nvml.nvmlDeviceGetHandleByUUID(text if text.startswith("GPU-") else f"GPU-{text}")


def _synchronise(device: str) -> None:
    import torch

    torch.cuda.synchronize(torch.device(device))
