"""What the tests of clusters share: commands typed in this process leave its logger as it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from as_before import as_before


@pytest.fixture
def _logging_as_before() -> Iterator[None]:
    """Undo what the command line does to the library's logger."""
    with as_before():
        yield
