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

    Architectures that are whole stay as they are.
    """
    from nas.run_store import rebuild_views

    register_views()
    return [*_rebuild_architectures(run), *rebuild_views(run)]


def _rebuild_architectures(run: Run) -> list[str]:
    from nas.errors import NasError
    from nas.topology.serial import architecture_text, load_architecture

    written = []
    for trial in run.table().trials.values():
        identity, recorded = trial.extra.get("architecture_id"), trial.architecture
        if not (isinstance(identity, str) and isinstance(recorded, dict)):
            continue
        try:
            load_architecture(run.get_architecture(identity))
        except NasError:
            run.restore_architecture(identity, architecture_text(load_architecture(recorded)))
            written.append(f"architectures/{identity}.json")
    return written
