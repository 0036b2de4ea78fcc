"""What the tours share: commands typed in this process search briefly and leave no trace in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from as_before import as_before
from brief_searches import brief_searches


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Undo what the command line does to the library's logger."""
    with as_before():
        yield


@pytest.fixture(autouse=True)
def _brief_searches() -> Iterator[None]:
    """Have searches that are typed with the preset `smoke` take seconds."""
    with brief_searches():
        yield
