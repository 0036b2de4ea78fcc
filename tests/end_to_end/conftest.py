"""What the tours share: commands typed in this process search briefly and leave no trace in it."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from brief_searches import brief_searches


@pytest.fixture
def _logging_as_before() -> Iterator[None]:
    """Undo what the command line does to the library's logger."""
    logger = logging.getLogger("nas")
    before = (logger.handlers[:], logger.level, logger.propagate)
    yield
    logger.handlers[:], logger.level, logger.propagate = before[0], before[1], before[2]


@pytest.fixture
def _brief_searches() -> Iterator[None]:
    """Have searches that are typed with the preset `smoke` take seconds."""
    with brief_searches():
        yield
