"""Every view of a run, and how all are made again.

The report page lives with the dashboards, which only the command line knows; so the view of that
name is registered here, beside those of the search.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nas.run_store import Run


def register_views() -> None:
    """Make front.json, front.csv and report.html known to the run store."""
    import nas.search.front_view  # noqa: F401 - registers front.json and front.csv
    from nas.cli.report import render_report
    from nas.run_store import register_view

    register_view("report.html", render_report)


def rebuild_all(run: Run) -> list[str]:
    """Make the views of an owned run again; return their names."""
    from nas.run_store import rebuild_views

    register_views()
    return rebuild_views(run)
