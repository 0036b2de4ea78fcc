"""Run folders: the only code that knows how a search is kept on disk.

A run is an append-only log of facts plus files that can be made again from it. `Run` opens one,
`TrialTable` is the one reading of the log that every view shares. `runs/README.md` documents the
format field by field.
"""

from nas.run_store.doctor import Finding, examine
from nas.run_store.listing import RunSummary, list_runs, remove_run
from nas.run_store.repairs import repair
from nas.run_store.run import Run
from nas.run_store.stopping import request_stop
from nas.run_store.trial_rules import FAILURE_REASONS, Attempt, Trial
from nas.run_store.trials import RunState, Stage, TrialTable
from nas.run_store.views import rebuild_views, register_view, registered_views

__all__ = [
    "FAILURE_REASONS",
    "Attempt",
    "Finding",
    "Run",
    "RunState",
    "RunSummary",
    "Stage",
    "Trial",
    "TrialTable",
    "examine",
    "list_runs",
    "rebuild_views",
    "register_view",
    "registered_views",
    "remove_run",
    "repair",
    "request_stop",
]
