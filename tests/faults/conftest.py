"""Commands typed in this process leave no trace in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from as_before import as_before


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Undo what the command line does to the library's logger."""
    with as_before():
        yield
