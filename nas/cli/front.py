"""Print the Pareto front of a run, how sure it is, and its baselines beside it.

Behind each ± stands half a 95 % interval. P(front) is the probability that no other network of the
run is better in everything, and ties are networks that cannot be told apart at 95 %.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli.output import print_json, print_table, print_text, talk
from nas.cli.run_folders import RUNS, Json, RunArgument, RunsOption, find_run, shown_run

if TYPE_CHECKING:
    from nas.run_store import Trial

Entry = Mapping[str, Any]

MOST_NEAR = 3
"""Trials behind the front that are named; `--json` has the rest."""


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
    knee: Annotated[
        bool, typer.Option("--knee", help="Only the knee: the point of balance of the front.")
    ] = False,
    chart: Annotated[
        bool | None,
        typer.Option("--chart/--no-chart", help="Draw the front; by default on a terminal."),
    ] = None,
    runs: RunsOption = RUNS,
    as_csv: Annotated[bool, typer.Option("--csv", help="One line per point on stdout.")] = False,
    as_json: Json = False,
) -> None:
    """Load, select, print: no logic of its own."""
    from nas.cli.confirmation import print_confirmation
    from nas.run_store import Run
    from nas.search.front_view import front_document, table_csv

    check_forms(chart, as_csv, as_json)
    path = find_run(run, runs)
    with Run.open(path) as opened:
        document = front_document(opened, calibrated=calibrated)
        state = opened.state()
        finished = opened.table().finished()
    why_empty = (
        "no finished trial keeps the constraints" if finished else "no trial has finished yet"
    )
    if max_latency is not None:
        if document["points"]:
            why_empty = f"no point of it takes {max_latency:g} ms or less"
        document = within_latency(document, max_latency)
    if knee:
        document = knee_only(document)
    if as_json:
        print_json(document)
    elif as_csv:
        print_text(table_csv(document["points"]).decode().rstrip("\n"))
    else:
        draw_front(document, finished, chart)
        print_front(document)
        if not knee:
            print_confirmation(document.get("confirmation"))
        say_next(document, shown_run(path), state, why_empty)


def check_forms(chart: bool | None, as_csv: bool, as_json: bool) -> None:
    """Refuse two forms of output at once.

    Raises:
        ConfigError: If two are asked for.
    """
    from nas.errors import ConfigError

    if as_csv and as_json:
        raise ConfigError("--csv and --json exclude each other.", fix="Leave one out.")
    if chart and (as_csv or as_json):
        raise ConfigError("A chart is for people, --csv and --json are not.", fix="Leave one out.")


def draw_front(document: Entry, finished: Sequence[Trial], wanted: bool | None) -> None:
    """Print a chart of the front on a terminal, or where it is wanted.

    Args:
        document: As `front_document` returns it.
        finished: Every finished trial of the run.
        wanted: Whether there is to be one; None leaves it to the stream.
    """
    from nas.cli.front_chart import chartable, print_chart

    if not (sys.stdout.isatty() if wanted is None else wanted):
        return
    if chartable(document):
        print_chart(document, finished)
    elif wanted and document["points"]:
        talk("no chart: it takes two objectives, and this run has one")


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
    chosen = {name: list(filter(keeps, document[name])) for name in lists}
    # They are of the whole front.
    knee = document.get("knee")
    kept = {point["trial"] for point in chosen["points"]}
    whole = {"hypervolume": None, "knee": knee if knee and knee["trial"] in kept else None}
    return {**document, **chosen, **whole, "near_front": []}


def knee_only(document: Entry) -> dict[str, Any]:
    """Return the document with the knee as its only point."""
    points = [point for point in document["points"] if point.get("knee")]
    nothing: dict[str, Any] = {"baselines": [], "near_front": [], "hypervolume": None}
    return {**document, **nothing, "points": points}


def print_front(document: Entry) -> None:
    """Print the points and, below them, the baselines as tables."""
    points, baselines = document["points"], document["baselines"]
    if points:
        print_text(trust_line(document))
        _print_points(points)
        for line in front_lines(document):
            print_text(line)
    if baselines:
        if points:
            print_text("")
        print_baselines(baselines)


def _print_points(points: Sequence[Entry]) -> None:
    """Print one row per point; what all points are flagged with is said once, below."""
    others = _other_objectives(points)
    flags = [set(point.get("flags") or []) for point in points]
    common = set.intersection(*flags) if len(points) > 1 else set()
    counts = _counts(points)
    rows = [
        (
            point["trial"],
            _share(point),
            _percent(point.get("error_inherited"), point.get("error_inherited_bar")),
            _latency(point),
            *(point.get(name) for name in counts.values()),
            *(_with_bar(point["objectives"].get(name, {})) for name in others),
            point.get("wiring") or "-",
            _remarks(point, common),
        )
        for point in points
    ]
    columns = ("inherited error %", "latency ms", *counts, *others, "wiring", "remarks")
    print_table(("trial", "P(front)", *columns), rows, title="Front")
    if common:
        told = [flag for flag in points[0]["flags"] if flag in common]
        print_text(f"every point: {'; '.join(told)}")


def _counts(points: Sequence[Entry]) -> dict[str, str]:
    """Return the counted numbers of a table: those that are searched, all where nothing is timed.

    The rest is in the report and in `--json`; here it would make lines too long to read.
    """
    searched = list(points[0]["objectives"])
    timed = any(point.get("latency_ms") is not None for point in points)
    known = {"MACs": "macs", "parameters": "parameters"}
    return {head: name for head, name in known.items() if not timed or name in searched}


def print_baselines(baselines: Sequence[Entry]) -> None:
    """Print what the networks beside a front cost; of a family that was swept, its own front."""
    shown = [entry for entry in baselines if entry.get("on_family_front", True)]
    rows = [
        (
            entry["name"],
            entry["kind"],
            _latency(entry),
            entry.get("macs"),
            entry.get("parameters"),
            entry.get("wiring") or "-",
        )
        for entry in shown
    ]
    columns = ("baseline", "kind", "latency ms", "MACs", "parameters", "wiring")
    print_table(columns, rows, title="Baselines")
    beaten = len(baselines) - len(shown)
    if beaten:
        sizes = "1 further size" if beaten == 1 else f"{beaten} further sizes"
        print_text(f"{sizes} of these families left out: another size of the family is better")


def front_lines(document: Entry) -> list[str]:
    """Return in words what the front as a whole is and how sure that is."""
    lines = [_knee_line(document), _near_line(document), _volume_line(document), _raw(document)]
    lines += [_bound_line(bound, document["points"]) for bound in document.get("constraints") or []]
    return [line for line in lines if line]


def _knee_line(document: Entry) -> str:
    knee = document.get("knee")
    if not knee:
        return ""
    return f"knee: trial {knee['trial']}, in {100 * knee['probability']:.0f} % of the draws"


def _near_line(document: Entry) -> str:
    near = [f"{each['trial']} ({each['probability_front']:.2f})" for each in document["near_front"]]
    more = f" and {len(near) - MOST_NEAR} more" if len(near) > MOST_NEAR else ""
    told = ", ".join(near[:MOST_NEAR]) + more
    return f"may be on the front as well, P(front) in brackets: {told}" if near else ""


def _volume_line(document: Entry) -> str:
    volume = document.get("hypervolume")
    if not volume:
        return ""
    below = ", ".join(f"{name} {value:.4g}" for name, value in volume["reference"].items())
    return (
        f"hypervolume: {volume['value']:.4g} as recorded, {volume['shrunken']:.4g} "
        f"({volume['low']:.4g} to {volume['high']:.4g}) shrunken\n  below {below}"
    )


def _raw(document: Entry) -> str:
    """Say where what is told of the whole front compares families by scores nobody verified."""
    from nas.search.ranking.trust import PER_FAMILY

    raw = (document.get("trust") or {}).get("front") == PER_FAMILY
    several = len(document.get("best_per_pattern") or []) > 1
    whole = document.get("knee") or document.get("hypervolume")
    return "  (over raw scores of several families)" if raw and whole and several else ""


def _bound_line(bound: Entry, points: Sequence[Entry]) -> str:
    name = bound["objective"]
    verdicts = {point["trial"]: point["constraints"][name] for point in points}
    sources = "/".join(sorted({each["source"] for each in verdicts.values()}))
    kept = sum(each["verdict"] == "kept" for each in verdicts.values())
    line = f"{bound['text']}: kept by {kept} of {len(verdicts)} points ({sources})"
    for verdict in ("violated", "not told apart from the bound"):
        found = [str(trial) for trial, each in verdicts.items() if each["verdict"] == verdict]
        line += f"; {verdict}: {', '.join(found)}" if found else ""
    return line


def _remarks(point: Entry, common: set[str]) -> str:
    """Return what a point has beside numbers: its number formats, knee, ties, own flags."""
    ties = ", ".join(map(str, point.get("ties") or []))
    parts = [str(point["quantisation"])] if point.get("quantisation") else []
    parts += ["knee"] if point.get("knee") else []
    parts += [f"ties: {ties}"] if ties else []
    own = [flag for flag in point.get("flags") or [] if flag not in common]
    return "; ".join([*parts, *own]) or "-"


def _share(point: Entry) -> str:
    share = point.get("probability_front")
    return "-" if share is None else f"{share:.2f}"


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
    latency = next((name for name in names if name.startswith("latency") and "@" not in name), "")
    shown = ("error", "macs", "parameters", latency)  # each has a column where it is searched
    return [name for name in names if name not in shown]


def _with_bar(value: Entry) -> Any:
    """Return an objective with half its interval behind it, as a number where it is exact."""
    middle, high = value.get("value"), value.get("high")
    if middle is None or high is None or high == middle:
        return middle
    return f"{middle:.4g} ± {high - middle:.2g}"


def _percent(value: float | None, spread: float | None = None) -> str:
    if value is None:
        return "-"
    return f"{100 * value:.2f}" + ("" if spread is None else f" ± {100 * spread:.2f}")


def _latency(entry: Entry) -> str:
    value, half = entry.get("latency_ms"), entry.get("latency_bar_ms")
    if value is None:
        return "-"
    return f"{value:.4g}" + ("" if half is None else f" ± {half:.2g}")
