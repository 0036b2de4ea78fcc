"""Faults of one training as `TrialError`: out of memory and numbers that are not finite.

A search must go on when one candidate does not fit or diverges; what is caught here becomes a
failed trial with its reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from nas.errors import TrialError

_MEMORY_WORDS = ("out of memory", "can't allocate memory", "cannot allocate memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out; the CPU allocator says so only in words."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(word in text for word in _MEMORY_WORDS)


@contextmanager
def memory_faults(where: str) -> Iterator[None]:
    """Turn out-of-memory errors of the block into a `TrialError` of kind `oom`."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise TrialError(
            f"Out of memory: {first_line}",
            kind="oom",
            where=where,
            fix="Use a smaller batch, smaller images, or a smaller network.",
        ) from error


def nonfinite(what: str, value: float, *, where: str) -> TrialError:
    """Return the error for a number that is NaN or infinite."""
    return TrialError(
        f"The {what} is {value}: the training diverged.",
        kind="nonfinite",
        where=where,
        fix="Lower the learning rate, add warm-up, or clip gradients.",
    )
