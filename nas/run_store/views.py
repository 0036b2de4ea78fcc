"""Views: files of a run that can be made again from its log.

Higher layers register how each is made, so this package needs no knowledge of fronts or reports.
A view is a pure function of the run: made twice from one log it has the same bytes, which is how
`nas doctor` tells a stale one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from nas.errors import ConfigError
from nas.run_store.layout import check_view_name
from nas.run_store.run import Run

ViewFunction = Callable[[Run], bytes]

_views: Final[dict[str, ViewFunction]] = {}


def register_view(name: str, function: ViewFunction) -> None:
    """File the function that makes the view `name`; the same function twice is no error.

    Raises:
        RunError: If the name cannot be that of a view.
        ConfigError: If another function makes a view of that name.
    """
    check_view_name(name)
    if _views.get(name, function) is not function:
        raise ConfigError(
            f"The view '{name}' is registered already.",
            fix=f"Choose another name; taken are: {', '.join(sorted(_views))}.",
        )
    _views[name] = function


def registered_views() -> dict[str, ViewFunction]:
    """Return the registered views by name, sorted."""
    return dict(sorted(_views.items()))


def rebuild_views(run: Run) -> list[str]:
    """Make every registered view again; return their names.

    Raises:
        RunError: If the run was opened for reading.
    """
    for name, function in registered_views().items():
        run.write_view(name, function(run))
    return list(registered_views())
