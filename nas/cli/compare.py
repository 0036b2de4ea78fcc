"""Compare runs: their fronts, hypervolumes under one reference, the best within budgets, trust.

Behind each ± stands half a 95 % interval; joint counts the points of a run that no point of the
others dominates. Notes say which numbers do not compare.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from nas.cli.output import print_json, print_table, print_text, talk
from nas.cli.run_folders import RUNS, Json, RunsOption, find_run, shown_run

Entry = Mapping[str, Any]

LETTERS: Final = "ABCDEFGHIJKLMNOPQRST"
"""Marks of the runs in a chart."""


def compare(
    run: Annotated[list[str], typer.Argument(metavar="RUN RUN...", help="Names or paths of runs.")],
    budget: Annotated[
        list[float] | None,
        typer.Option(
            "--budget",
            metavar="X",
            help="Upper bound of the second objective, repeatable; by default three.",
        ),
    ] = None,
    chart: Annotated[
        bool | None,
        typer.Option("--chart/--no-chart", help="Draw the fronts; by default on a terminal."),
    ] = None,
    runs: RunsOption = RUNS,
    as_csv: Annotated[bool, typer.Option("--csv", help="One line per run on stdout.")] = False,
    as_json: Json = False,
) -> None:
    """Open, compare, print."""
    from nas.cli.front import check_forms
    from nas.config_files import csv_text
    from nas.run_store import Run
    from nas.search.front.comparison import comparison

    check_forms(chart, as_csv, as_json)
    paths = list(dict.fromkeys(find_run(name, runs) for name in run))
    with ExitStack() as stack:
        opened = {
            name: stack.enter_context(Run.open(path))
            for name, path in zip(run_names(paths), paths, strict=True)
        }
        document = comparison(opened, budget)
    if as_json:
        print_json(document)
    elif as_csv:
        heads, rows = summary_rows(document)
        print_text(csv_text(heads, rows).rstrip("\n"))
    else:
        if sys.stdout.isatty() if chart is None else chart:
            print_fronts(document)
        print_comparison(document)
        talk(f"next: nas front {shown_run(paths[0])}")


def run_names(paths: Sequence[Path]) -> list[str]:
    """Return what to call each run: its folder's name, or its path where two share one."""
    names = [path.name for path in paths]
    return [
        name if names.count(name) == 1 else str(path)
        for name, path in zip(names, paths, strict=True)
    ]


def print_fronts(document: Entry) -> None:
    """Print all fronts in one chart, a letter per run; the staircase is their joint frontier."""
    import shutil

    from nas.cli.chart import Marks, draw_chart
    from nas.cli.front_chart import WIDEST, objective_label
    from nas.cli.output import draws_unicode

    points = {
        each["run"]: [point["values"][:2] for point in each["front"]] for each in document["runs"]
    }
    marks = [
        Marks(name, letter, [(x, y) for y, x in each])
        for letter, (name, each) in zip(LETTERS, points.items(), strict=False)
    ]
    if not any(kind.points for kind in marks):
        return
    upward, rightward = document["objectives"][:2]
    for line in draw_chart(
        marks,
        [point for kind in marks for point in kind.points],
        (objective_label(rightward), objective_label(upward)),
        width=min(shutil.get_terminal_size().columns, WIDEST),
        ascii_only=not draws_unicode(),
    ):
        print_text(line)
    print_text("")


def print_comparison(document: Entry) -> None:
    """Print what the runs are, what their fronts are worth, and the notes."""
    rows = [
        (
            letter,
            each["run"],
            each["state"],
            each["space"] or "-",
            each["data"] or "-",
            each["finished"],
            each["points"],
            each["joint_front"],
            _volume(each["hypervolume"]),
            each["trust"]["verdict"],
        )
        for letter, each in zip(LETTERS, document["runs"], strict=False)
    ]
    columns = ("run", "state", "space", "data", "finished", "points", "joint")
    print_table(("", *columns, "hypervolume (95 %)", "ranking"), rows, title="Runs")
    _print_best(document)
    reference = document["reference"]
    if reference is not None:
        below = ", ".join(f"{name} {value:.4g}" for name, value in reference.items())
        print_text(f"hypervolume: of the shrunken values, below {below}")
    for note in document["notes"]:
        print_text(f"note: {note}")


def _print_best(document: Entry) -> None:
    budgets = document["budgets"]
    if not budgets["values"]:
        return
    first = document["objectives"][0]["name"]
    unit = f" {budgets['unit']}" if budgets["unit"] else ""
    rows = [
        (letter, *(_best(point, first) for point in each["best"]))
        for letter, each in zip(LETTERS, document["runs"], strict=False)
    ]
    print_text("")
    print_text(f"best {first} within a budget of {budgets['name']}")
    heads = [f"{value:,.6g}{unit}" for value in budgets["values"]]
    print_table(("", *heads), rows)


def _best(point: Entry | None, first: str) -> str:
    if point is None:
        return "-"
    value = point["objectives"][first]
    half = (
        ""
        if value["high"] in (None, value["value"])
        else f" ± {value['high'] - value['value']:.2g}"
    )
    told = f"{value['value']:.4g}{half} (trial {point['trial']}"
    mean = point["error_confirmed_mean"]
    return f"{told}, retrained {100 * mean:.2f} %)" if mean is not None else f"{told})"


def _volume(volume: Entry | None) -> str:
    if volume is None:
        return "-"
    return f"{volume['shrunken']:.4g} ({volume['low']:.4g} to {volume['high']:.4g})"


def summary_rows(document: Entry) -> tuple[list[str], list[list[Any]]]:
    """Return one row per run for CSV, three columns per budget."""
    plain = ("run", "state", "space", "data", "seed", "preset", "finished", "failed", "points")
    volumes = ("value", "shrunken", "low", "high")
    heads = [*plain, "joint_front", "ranking", *(f"hypervolume_{each}" for each in volumes)]
    first, name = document["objectives"][0]["name"], document["budgets"]["name"]
    for budget in document["budgets"]["values"]:
        within = f"within {name} {budget:g}"
        heads += [f"{first} {within}", f"trial {within}", f"error_confirmed_mean {within}"]
    rows = []
    for each in document["runs"]:
        volume = each["hypervolume"] or {}
        row = [*(each[key] for key in plain), each["joint_front"], each["trust"]["verdict"]]
        row += [volume.get(key) for key in volumes]
        for point in each["best"]:
            row += _best_cells(point, first)
        rows.append(row)
    return heads, rows


def _best_cells(point: Entry | None, first: str) -> list[Any]:
    if point is None:
        return [None, None, None]
    return [point["objectives"][first]["value"], point["trial"], point["error_confirmed_mean"]]
