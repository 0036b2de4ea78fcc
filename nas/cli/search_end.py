"""What a search says at its end: front, baselines, stamp, report, and what to type next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.cli.output import print_json, print_table, print_text, talk
from nas.cli.run_folders import shown_run

if TYPE_CHECKING:
    from nas.run_store import Run

_CLASSIFIERS = {"svc": "SVC", "1-nearest-neighbour": "1-nearest-neighbour"}
REPORT = "report.html"


@contextmanager
def saving_report() -> Iterator[None]:
    """Write the report of a run that was interrupted, and name it in full where that is needed."""
    from nas.errors import InterruptedRunError

    try:
        yield
    except InterruptedRunError as error:
        path = Path(error.where or "")
        if path.is_absolute():
            write_report(path)
            error.fix = f"Go on with: {way_on(path)}"
        raise


def write_report(path: Path) -> None:
    """Write the report into the run's folder, as its owner."""
    from nas.cli.report import render_report
    from nas.run_store import Run

    with Run.open(path, write=True) as run:
        run.write_view(REPORT, render_report(run))


def finish(path: Path, as_json: bool) -> None:
    """Write the report, print the front, say what to type next.

    Args:
        path: Folder of a run that nobody owns any more.
        as_json: Print one document instead of tables.
    """
    from nas.run_store import Run
    from nas.search.front_view import front_document

    write_report(path)
    with Run.open(path) as run:
        document = front_document(run)
        state = run.state()
        if as_json:
            own = {"path": str(path), "state": state, "report": str(path / REPORT)}
            print_json({**document, **own})
        else:
            _print_result(run, document)
    _say_next(path, document, state)


def _print_result(run: Run, document: Mapping[str, Any]) -> None:
    from nas.cli.confirmation import print_confirmation
    from nas.cli.front import print_front
    from nas.cli.ledger import print_ledger

    print_front(document)
    print_confirmation(document.get("confirmation"))
    simple = document.get("simple_baselines") or []
    if simple:
        print_text("")
        rows = [
            (_CLASSIFIERS.get(each["name"], each["name"]), f"{100 * each['accuracy']:.2f}")
            for each in simple
        ]
        print_table(("classifier on raw pixels", "test accuracy %"), rows)
    print_text("")
    print_ledger(document["ledger"])
    print_text("")
    best = _best_confirmed(document)
    if best is not None:
        print_text(best)
    if document.get("stamp"):
        print_text(str(document["stamp"]))
    if not _is_away(run.path):
        print_text(f"report: {run.path / REPORT}")


def _best_confirmed(document: Mapping[str, Any]) -> str | None:
    """Tell the test accuracy of the named candidate that validation prefers; test chose nothing."""
    found = document.get("confirmation") or {"bins": []}
    named = [entry["candidate"] for entry in found["bins"] if entry["candidate"]]
    tested = [each for each in named if each["test"]["mean"] is not None]
    if not tested:
        return None
    best = min(tested, key=lambda each: each["validation"]["mean"])
    deviation = best["test"]["std"]
    spread = "" if deviation is None else f" ± {100 * deviation:.2f}"
    return (
        f"best on validation: trial {best['trial']} ({best['wiring']}), retrained test accuracy "
        f"{100 * (1 - best['test']['mean']):.2f}{spread} %"
    )


def _is_away(path: Path) -> bool:
    """Tell whether this is a job of a cluster: whoever sent it has no such path."""
    from nas.cluster.places import submitted_runs

    return path.parent == submitted_runs()


def way_on(path: Path) -> str:
    """Return what to type to go on with a run, by whoever reads what this command says."""
    return f"nas submit {path.name}" if _is_away(path) else f"nas resume {shown_run(path)}"


def _say_next(path: Path, document: Mapping[str, Any], state: str) -> None:
    run = shown_run(path)
    more = f"nas resume {run} --trials +100; "
    if state == "interrupted":
        talk(f"not finished; go on with: {way_on(path)}")
        more = ""
    if not document["points"] or _is_away(path):
        return
    trial = document["points"][0]["trial"]
    talk(f"next: nas front {run}; {more}nas report {run}; nas arch show {run}:{trial}")
    talk(f"take the best home: nas arch export {run}:best -o FOLDER")
