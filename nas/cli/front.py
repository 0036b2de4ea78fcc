"""Print the Pareto front of a run, its baselines beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from nas.cli.output import print_json, print_table, print_text, talk
from nas.cli.run_folders import RUNS, Json, RunArgument, RunsOption, find_run, shown_run

Entry = Mapping[str, Any]


def front(
    run: RunArgument,
    max_latency: Annotated[
        float | None, typer.Option("--max-latency", metavar="MS", help="Upper bound in ms.")
    ] = None,
    calibrated: Annotated[
        bool,
        typer.Option(
            "--calibrated", help="Compare calibrated scores across families, trusted or not."
        ),
    ] = False,
    runs: RunsOption = RUNS,
    as_csv: Annotated[bool, typer.Option("--csv", help="One line per point on stdout.")] = False,
    as_json: Json = False,
) -> None:
    """Load, select, print: no logic of its own."""
    from nas.errors import ConfigError
    from nas.run_store import Run
    from nas.search.front_view import front_document, table_csv

    if as_csv and as_json:
        raise ConfigError("--csv and --json exclude each other.", fix="Leave one out.")
    path = find_run(run, runs)
    with Run.open(path) as opened:
        document = front_document(opened, calibrated=calibrated)
        state = opened.state()
        tried = bool(opened.table().finished())
    why_empty = "no finished trial keeps the constraints" if tried else "no trial has finished yet"
    if max_latency is not None:
        if document["points"]:
            why_empty = f"no point of it takes {max_latency:g} ms or less"
        document = within_latency(document, max_latency)
    if as_json:
        print_json(document)
    elif as_csv:
        print_text(table_csv(document["points"]).decode().rstrip("\n"))
    else:
        print_front(document)
        say_next(document, shown_run(path), state, why_empty)


def within_latency(document: Entry, max_latency: float) -> dict[str, Any]:
    """Return the document with the points and baselines that keep a latency budget.

    Raises:
        ConfigError: If the budget is not positive, or the run has no latencies.
    """
    from nas.errors import ConfigError

    if not 0 < max_latency < float("inf"):
        raise ConfigError(
            f"The latency budget is {max_latency:g} ms; it must be greater than 0.",
            where="--max-latency",
            fix="Write for example --max-latency 2.5.",
        )
    entries = [*document["points"], *document["baselines"]]
    if entries and all(entry.get("latency_ms") is None for entry in entries):
        raise ConfigError(
            "This run has no latencies to compare with a budget.",
            where="--max-latency",
            why="Latency is neither an objective nor a constraint of it.",
            fix="Search with --set 'objectives=[error, latency]'.",
        )

    def keeps(entry: Entry) -> bool:
        latency = entry.get("latency_ms")
        return latency is not None and latency <= max_latency

    lists = ("points", "best_per_pattern", "baselines")
    return {**document, **{name: list(filter(keeps, document[name])) for name in lists}}


def print_front(document: Entry) -> None:
    """Print the points and, below them, the baselines as tables."""
    points, baselines = document["points"], document["baselines"]
    if points:
        print_text(trust_line(document))
    others = _other_objectives(points)
    columns = (
        "error % inherited",
        "test error % retrained",
        "latency ms",
        "MACs",
        "parameters",
        *others,
        "wiring",
    )
    if points:
        rows = [(point["trial"], *_numbers(point, others)) for point in points]
        print_table(("trial", *columns), rows, title="Front")
    if baselines:
        if points:
            print_text("")
        rows = [(entry["name"], entry["kind"], *_numbers(entry, others)) for entry in baselines]
        print_table(("baseline", "kind", *columns), rows, title="Baselines")


def trust_line(document: Entry) -> str:
    """Return in one line how far the ranking is trusted and what the front compares."""
    trust = document.get("trust") or {}
    told = f"ranking: {trust.get('verdict', 'unverified')}; {trust.get('front', '-')}"
    return told + (f"\n  {trust['why']}" if trust.get("why") else "")


def say_next(document: Entry, run: str, state: str, why_empty: str) -> None:
    """Say why a front is empty, or what to type next."""
    if not document["points"]:
        talk(f"the front is empty: {why_empty}")
        if state == "interrupted":
            talk(f"next: nas resume {run}")
        return
    if state == "running":
        talk("the search is still running; this front is of now")
    trial = document["points"][0]["trial"]
    talk(f"next: nas report {run}; nas arch show {run}:{trial}")


def _other_objectives(points: Sequence[Entry]) -> list[str]:
    """Return the searched objectives that have no column of their own."""
    names = list(points[0]["objectives"]) if points else []
    shown = ("error", "macs", "parameters")
    return [name for name in names if name not in shown and not name.startswith("latency")]


def _numbers(entry: Entry, others: Sequence[str]) -> tuple[Any, ...]:
    objectives = entry.get("objectives") or {}
    return (
        _percent(entry.get("error_inherited")),
        _confirmed(entry),
        _latency(entry),
        entry.get("macs"),
        entry.get("parameters"),
        *(objectives.get(name, {}).get("value") for name in others),
        entry.get("wiring") or "-",
    )


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"


def _confirmed(entry: Entry) -> str:
    mean, std = entry.get("error_confirmed_mean"), entry.get("error_confirmed_std")
    return _percent(mean) + ("" if mean is None or std is None else f" ± {100 * std:.2f}")


def _latency(entry: Entry) -> str:
    value, iqr = entry.get("latency_ms"), entry.get("latency_iqr_ms")
    if value is None:
        return "-"
    return f"{value:.3g}" + ("" if iqr is None else f" (IQR {iqr:.2g})")
