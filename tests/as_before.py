"""What a command typed in this process changes and has to be put back: the library's logger."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def as_before() -> Iterator[None]:
    """Undo what the command line does to the library's logger."""
    logger = logging.getLogger("nas")
    before = (logger.handlers[:], logger.level, logger.propagate)
    try:
        yield
    finally:
        logger.handlers[:], logger.level, logger.propagate = before[0], before[1], before[2]
