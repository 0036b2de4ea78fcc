"""The outer search: propose, evaluate, record; samplers, executors, confirmation and front.

Only the driver writes the run folder. Everything that decides a search is in its config and its
log; samplers and executors behind their contracts only spread the work.

The package is also the verb of the Python API: `nas.search("wired_cnn", data="digits")` is
`nas.search.api.search`.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas.search.api import SearchRun


class _Search(ModuleType):
    """A package that can be called: a name cannot be both a package and a function."""

    def __call__(self, *arguments: Any, **options: Any) -> SearchRun:
        from nas.search.api import search

        return search(*arguments, **options)


sys.modules[__name__].__class__ = _Search
