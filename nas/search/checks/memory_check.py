"""Spaces whose shared weights cannot fit into memory, refused before anything is allocated.

What is asked for is a lower bound by arithmetic: the weights of the largest member that covers the
space, with gradients and momentum, and what one batch keeps busy. A space that passes may still run
out of memory, which then costs a trial or a stage; one that does not pass could only do that.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from nas.cost.activations import activations
from nas.cost.count import cost
from nas.errors import SpaceError
from nas.search.material import Material
from nas.search.settings.config import SearchConfig
from nas.search.settings.goals import Goals
from nas.search.settings.resolve import resolve_space
from nas.topology.graph import Architecture

COPIES: Final = 3
"""Weights, gradients and momentum."""

CONTROL_GROUP: Final = Path("/sys/fs/cgroup/memory.max")
_FLOAT_BYTES: Final = 4


def check_memory(config: SearchConfig, material: Material, device: str) -> None:
    """Refuse a space that cannot be trained in the memory there is.

    Args:
        config: Resolved, its plugins imported.
        material: Its data.
        device: Torch device.

    Raises:
        SpaceError: If it cannot; the message has both numbers of bytes.
    """
    if not Goals.of(config).needs_weights:
        return
    space = resolve_space(config)
    batch = config.supernet.training.batch_size
    needed = max(_bytes_to_train(space.build(member), material, batch) for member in space.cover())
    there = memory_of(device)
    if there is not None and needed > there:
        raise SpaceError(
            f"A member of the space '{space.name}' needs {_gib(needed)} to be trained in batches "
            f"of {batch}, and {device} has {_gib(there)}.",
            why="The shared weights are at least as large as the largest member.",
            fix="Use smaller widths or fewer stages, --image-size, or a smaller batch: --set "
            "supernet.training.batch_size=16",
        )


def memory_of(device: str) -> int | None:
    """Return the bytes of memory that a process may use on a device, None where nobody knows."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.get_device_properties(device).total_memory)
    limits = (_physical(), _address_space(), _group())
    return min((limit for limit in limits if limit), default=None)


def _bytes_to_train(network: Architecture, material: Material, batch: int) -> int:
    shape = material.data.input_shape
    parameters = cost(network, shape, material.data.num_classes).parameters
    return COPIES * _FLOAT_BYTES * parameters + batch * activations(network, shape).peak_bytes


def _physical() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return None


def _address_space() -> int | None:
    import resource

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def _group() -> int | None:
    try:
        text = CONTROL_GROUP.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return int(text) if text.isdecimal() else None


def _gib(size: int) -> str:
    return f"{size / 2**30:,.1f} GiB"
