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
    return [*_rebuild_architectures(run), *rebuild_views(run)]


def unlike_recorded(run: Run) -> dict[str, str]:
    """Return the architectures whose files are missing or not as the log says, by id.

    Two trials may write one network differently; either text is right, and the first is the one to
    write.
    """
    from nas.errors import NasError

    unlike = {}
    for identity, texts in _recorded_architectures(run).items():
        try:
            if run.get_architecture(identity) in texts:
                continue
        except NasError:
            pass
        unlike[identity] = texts[0]
    return unlike


def _rebuild_architectures(run: Run) -> list[str]:
    unlike = unlike_recorded(run)
    for identity, text in unlike.items():
        run.restore_architecture(identity, text)
    return [f"architectures/{identity}.json" for identity in unlike]


def _recorded_architectures(run: Run) -> dict[str, list[str]]:
    from nas.topology.serial import architecture_text, load_architecture

    found: dict[str, list[str]] = {}
    for trial in run.table().trials.values():
        identity, recorded = trial.extra.get("architecture_id"), trial.architecture
        if isinstance(identity, str) and isinstance(recorded, dict):
            found.setdefault(identity, []).append(architecture_text(load_architecture(recorded)))
    return found
