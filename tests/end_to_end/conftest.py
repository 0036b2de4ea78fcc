"""What the tours share: commands typed in this process leave its logger as it was."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture
def _logging_as_before() -> Iterator[None]:
    """Undo what the command line does to the library's logger."""
    logger = logging.getLogger("nas")
    before = (logger.handlers[:], logger.level, logger.propagate)
    yield
    logger.handlers[:], logger.level, logger.propagate = before[0], before[1], before[2]
