"""Views: files of a run that can be made again from its log.

Higher layers register how each is made, so this package needs no knowledge of fronts or reports.
A view is a pure function of the run: made twice from one log it has the same bytes, which is how
`nas doctor` tells a stale one. What a run is, its config's schema says: a run of a schema with
views of its own has those, and every other run has the common ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from nas.errors import ConfigError
from nas.run_store.layout import check_view_name
from nas.run_store.run import Run

ViewFunction = Callable[[Run], bytes]

_views: Final[dict[str, ViewFunction]] = {}
_own_views: Final[dict[str, dict[str, ViewFunction]]] = {}


def register_view(name: str, function: ViewFunction, *, of: str | None = None) -> None:
    """File the function that makes the view `name`; the same function twice is no error.

    Args:
        name: File name of the view.
        function: Makes its bytes from a run.
        of: Schema of the configs whose runs have this view instead of the common ones.

    Raises:
        RunError: If the name cannot be that of a view.
        ConfigError: If another function makes a view of that name.
    """
    check_view_name(name)
    views = _views if of is None else _own_views.setdefault(of, {})
    if views.get(name, function) is not function:
        raise ConfigError(
            f"The view '{name}' is registered already.",
            fix=f"Choose another name; taken are: {', '.join(sorted(views))}.",
        )
    views[name] = function


def registered_views(of: str | None = None) -> dict[str, ViewFunction]:
    """Return the views of runs of a schema by name, sorted: its own, or the common ones."""
    return dict(sorted(_own_views.get(of or "", _views).items()))


def views_of(run: Run) -> dict[str, ViewFunction]:
    """Return the views that a run has, by name, sorted."""
    return registered_views(str(run.config.get("schema", "")))


def rebuild_views(run: Run) -> list[str]:
    """Make every view of the run again, and write new architectures; return the names of the views.

    Raises:
        RunError: If the run was opened for reading.
    """
    run.write_architectures()
    views = views_of(run)
    for name, function in views.items():
        run.write_view(name, function(run))
    return list(views)
