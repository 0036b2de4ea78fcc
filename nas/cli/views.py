"""Every view of a run, and how all are made again.

The report page lives with the dashboards, which only the command line knows; so the view of that
name is registered here, beside those of searches and studies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nas.run_store import Run


def register_views() -> None:
    """Make the views of searches and studies and report.html known to the run store."""
    from nas.cli.report import render_report
    from nas.run_store import register_view
    from nas.search.front_view import register_views as register_search_views
    from nas.study.outputs import register_views as register_study_views

    register_search_views()
    register_study_views()
    register_view("report.html", render_report)


def rebuild_all(run: Run) -> list[str]:
    """Make what can be made of an owned run's log again; return the files that were written.

    Architectures that are as recorded stay as they are.
    """
    from nas.run_store import rebuild_views

    register_views()
    return [*run.write_architectures(), *rebuild_views(run)]
