"""List, show, export, remove and rebuild runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli.commands import command_group
from nas.cli.output import print_json, print_table, print_text, talk
from nas.cli.run_folders import RUNS, Json, RunArgument, RunsOption, find_run, shown_run
from nas.cli.runs_export import export

if TYPE_CHECKING:
    from nas.run_store import Run, RunSummary

app = command_group(__doc__)
app.command()(export)


@app.command("list")
def list_all(runs: RunsOption = RUNS, as_json: Json = False) -> None:
    """List the runs of a folder, oldest first, damaged ones with what is wrong."""
    from nas.run_store import list_runs

    found = list_runs(runs)
    if as_json:
        print_json({"schema": "nas.runs/1", "runs": [_entry(summary) for summary in found]})
        return
    if not found:
        talk(f"no runs in {runs}; start one with: nas search wired_cnn --data digits")
    rows = [
        (
            each.name,
            each.state,
            each.finished,
            each.failed,
            each.created[:19],
            " ".join((each.problem or "").split())[:100],
        )
        for each in found
    ]
    print_table(("run", "state", "finished", "failed", "created (UTC)", "problem"), rows)


@app.command()
def show(run: RunArgument, runs: RunsOption = RUNS, as_json: Json = False) -> None:
    """Show one run: its state, stages, trials, what it spent, and its settings."""
    from nas.cli.ledger import print_ledger
    from nas.config_files import dump_yaml
    from nas.run_store import Run

    with Run.open(find_run(run, runs)) as opened:
        document = _document(opened)
    if as_json:
        print_json(document)
        return
    for key in ("name", "path", "state", "created", "owner"):
        if document[key]:
            print_text(f"{key:<10}{document[key]}")
    trials = document["trials"]
    reasons = ", ".join(f"{count} {reason}" for reason, count in trials["failures"].items())
    print_text(
        f"{'trials':<10}{trials['finished']} finished, {trials['failed']} failed"
        + (f" ({reasons})" if reasons else "")
        + (f", {trials['open']} open" if trials["open"] else "")
    )
    for name, state in document["stages"].items():
        print_text(f"{'stage':<10}{name}: {state}")
    print_ledger(document["ledger"])
    print_text(dump_yaml({"config": document["config"]}).rstrip("\n"))


@app.command()
def rm(
    run: Annotated[list[str], typer.Argument(metavar="RUN...", help="Names or paths of runs.")],
    runs: RunsOption = RUNS,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete runs for good; every one is checked before the first is deleted."""
    from nas.errors import ConfigError
    from nas.run_store import remove_run

    paths = [find_run(name, runs) for name in run]
    names = ", ".join(path.name for path in paths)
    if not yes:
        if not sys.stdin.isatty():
            raise ConfigError(
                f"Nobody is there to confirm that {names} is to be deleted.",
                why="A deleted run cannot be brought back.",
                fix="Add --yes.",
            )
        typer.confirm(f"Delete {names} for good?", abort=True, err=True)
    for path in paths:
        remove_run(path)
        print_text(f"removed {path}")


@app.command()
def rebuild(run: RunArgument, runs: RunsOption = RUNS, as_json: Json = False) -> None:
    """Make every view of a run again from its log: architectures, front.json, report.html."""
    from nas.cli.views import rebuild_all
    from nas.run_store import Run

    with Run.open(find_run(run, runs), write=True) as opened:
        written = rebuild_all(opened)
        path = opened.path
    if as_json:
        print_json({"schema": "nas.rebuild/1", "run": path.name, "views": written})
        return
    for name in written:
        print_text(str(path / name))
    if "front.json" in written:  # a study has tables instead
        talk(f"next: nas front {shown_run(path)}")


def _entry(summary: RunSummary) -> dict[str, Any]:
    return {
        "name": summary.name,
        "path": str(summary.path),
        "state": summary.state,
        "created": summary.created or None,
        "finished": summary.finished,
        "failed": summary.failed,
        "problem": summary.problem,
    }


def _document(run: Run) -> dict[str, Any]:
    from nas.search.ledger import ledger_document

    table = run.table()
    owner = run.owner()
    return {
        "schema": "nas.run_description/1",
        "name": run.path.name,
        "path": str(Path(run.path)),
        "state": run.state(),
        "created": run.created,
        "owner": str(owner) if owner else None,
        "stages": {name: stage.state for name, stage in table.stages.items()},
        "trials": {
            "finished": len(table.finished()),
            "failed": len(table.failed()),
            "open": len(table.stale()),
            "failures": table.failures_by_reason(),
        },
        "ledger": ledger_document(run),
        "config": run.config,
        "environment": run.environment,
    }
