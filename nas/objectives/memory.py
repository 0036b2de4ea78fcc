"""Peak memory of one forward pass: the most bytes of tensors that are alive at the same time."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any, Final, final

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nas.objectives.latency_config import LatencyConfig
from nas.objectives.runtimes.base import fixed_images
from nas.objectives.stopwatch import Call
from nas.objectives.torch_modules import own_copy, placed
from nas.topology.layers import Shape

NOT_SEEN: Final[Mapping[str, str]] = {
    "ort": "ONNX Runtime allocates from an arena of its own that it does not report",
    "compile": "compiled code allocates where PyTorch's dispatcher does not see it",
    "cudagraph": "a captured graph holds its memory before the call",
}


def peak_memory(
    network: nn.Module, input_shape: Shape, config: LatencyConfig, device: str, call: Call
) -> tuple[int | None, str]:
    """Return the peak memory of one pass in bytes, weights and images included.

    On CUDA the allocator counts; on a CPU in eager mode the tensors that operations make are
    followed until they die. Scratch space inside an operation is not seen there.

    Args:
        network: The network.
        input_shape: `(channels, height, width)` of one image.
        config: Runtime, batch and number format.
        device: Torch device.
        call: One pass as it is timed; it is what runs on CUDA.

    Returns:
        The bytes and an empty text, or None and why there is no number.
    """
    target = torch.device(device)
    if config.runtime in NOT_SEEN:
        return None, NOT_SEEN[config.runtime]
    if target.type == "cuda":
        torch.cuda.synchronize(target)
        torch.cuda.reset_peak_memory_stats(target)
        call()
        torch.cuda.synchronize(target)
        return torch.cuda.max_memory_allocated(target), ""
    if target.type != "cpu":
        return None, f"nothing counts memory on {target.type}"
    own = own_copy(network, config, device)
    images = placed(fixed_images(input_shape, config), config, device)
    with torch.no_grad(), _Alive((*own.parameters(), *own.buffers(), images)) as alive:
        own(images)
    return alive.peak, ""


@final
class _Alive(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows the storages that operations make, and keeps the most bytes seen alive."""

    def __init__(self, there: tuple[torch.Tensor, ...]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._sizes: dict[int, int] = {}
        self._bytes = 0
        self.peak = 0
        self._note(there)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        """Run an operation and note what it made."""
        result = func(*args, **(kwargs or {}))
        self._note(each for each in tree_leaves(result) if isinstance(each, torch.Tensor))
        return result

    def _note(self, tensors: Any) -> None:
        for tensor in tensors:
            storage = tensor.untyped_storage()
            key = storage._cdata
            if key not in self._sizes:
                self._sizes[key] = storage.nbytes()
                self._bytes += storage.nbytes()
                weakref.finalize(storage, self._forget, key)
        self.peak = max(self.peak, self._bytes)

    def _forget(self, key: int) -> None:
        self._bytes -= self._sizes.pop(key, 0)
