"""Freed memory stays with the process, so that a network's time does not depend on its past.

The allocator of glibc returns large blocks to the kernel when they are freed, or keeps them, by
limits that it moves as the process lives. Given back, the next forward pass faults every page in
again: the same network took 6.7 ms early in a process and 3.7 ms after a larger one had run, and a
smaller one measured in between seemed slower. With fixed limits each network is timed as in a
process that has been serving it for a while. Nothing else is changed, and other allocators and
systems are left alone.
"""

from __future__ import annotations

import ctypes
import platform
from functools import lru_cache
from typing import Final

TRIM_THRESHOLD: Final = -1
MMAP_THRESHOLD: Final = -3
LARGEST_MMAP_THRESHOLD: Final = 32 * 2**20
"""Largest value glibc takes on 64-bit systems; larger blocks are given back every time."""
NEVER: Final = 2**31 - 1


@lru_cache(maxsize=1)
def keep_freed_memory() -> bool:
    """Tell the C library to keep freed memory; return whether it took that.

    It holds for the rest of the process, as the library cannot be asked for its former limits.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    try:
        adjust = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    taken = [adjust(MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD), adjust(TRIM_THRESHOLD, NEVER)]
    return taken == [1, 1]
