"""What a confirmation found, as text: the verdicts, who took part, and how stable ranks are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nas.cli.output import print_table, print_text

Entry = Mapping[str, Any]
_VERDICTS = (
    "{cost}",
    "candidate",
    "rival",
    "pairs",
    "difference (95 %)",
    "p",
    "p (Holm)",
    "verdict",
)
_ENTRANTS = ("retrained", "kind", "{cost}", "validation error % (A)", "test error % (B)", "failed")


def print_confirmation(found: Entry | None) -> None:
    """Print a confirmation as `front.json` holds it; nothing where there is none."""
    if not found:
        return
    print_text("")
    print_text(_protocol(found))
    _print_verdicts(found)
    print_text("")
    _print_entrants(found)
    for line in (*_left_out(found), *_recipe_lines(found)):
        print_text(line)


def _protocol(found: Entry) -> str:
    """Say in one line what the figures below rest on."""
    soft = "on" if found["distillation"] else "off"
    look = found["look"] or 1
    again = f"\n  look {look}: earlier verdicts of this run count in Holm" if look > 1 else ""
    return (
        f"confirmation: {_seeds(len(found['seeds_a']))} A rank on validation, "
        f"{_seeds(len(found['seeds_b']))} B judge on test{again}\n"
        f"  recipe {found['recipe_hash']}, data {found['data'][:12]}, distillation {soft}"
    )


def _seeds(count: int) -> str:
    return f"{count} seed" if count == 1 else f"{count} seeds"


def _print_verdicts(found: Entry) -> None:
    rows = [row for entry in found["bins"] for row in _bin_rows(entry)]
    if not rows:
        print_text("no verdict yet: its trainings are not over")
        return
    columns = [column.format(cost=_cost_name(found)) for column in _VERDICTS]
    print_table(columns, rows, title="Verdicts")
    if any(entry["outcome"] == "gain" for entry in found["bins"]):
        print_text("gain: smaller test error than every named rival; differences in % points")
    elif all(entry["outcome"] == "no claim" for entry in found["bins"]):
        print_text("no claim is made; differences in % points")
    elif _lost(found):
        print_text("no gain found; differences in % points")
    else:
        print_text("no gain found: what differs is not beyond noise; differences in % points")
    for line in (*_lost(found), *_whys(found), *_out_of_reach(found)):
        print_text(line)
    print_text("points of the front that are not named here have no test error")


def _lost(found: Entry) -> list[str]:
    """Say which rivals have the smaller error: their intervals exclude 0 on the other side."""
    return [
        f"{_reach(entry)}: {each['rival']['name']} has the smaller test error, beyond noise"
        for entry in found["bins"]
        if entry["outcome"] != "no claim"
        for each in entry["comparisons"]
        if each["difference"]["low"] > 0
    ]


def _out_of_reach(found: Entry) -> list[str]:
    """Say which verdicts rest on one kind of rival, because none of the other is as cheap."""
    kinds = {each["kind"] for each in found["entrants"]} - {"searched"}
    return [
        f"{_reach(entry)}: no {kind} network is as cheap, so this verdict is not about them"
        for entry in found["bins"]
        if entry["comparisons"]
        for kind in sorted(kinds - {each["kind"] for each in entry["comparisons"]})
    ]


def _bin_rows(entry: Entry) -> list[tuple[Any, ...]]:
    """Return one row per comparison of a bin, or one that says that there is none."""
    candidate, reach, told = entry["candidate"], _reach(entry), str(entry["outcome"])
    name = candidate["name"] if candidate else "-"
    if candidate is None or not entry["comparisons"]:
        return [(reach, name, *["-"] * 5, told)]
    return [
        (
            reach,
            name,
            each["rival"]["name"],
            each["pairs"],
            *_difference(each["difference"]),
            _probability(entry["p_holm"]),
            told,
        )
        for each in entry["comparisons"]
    ]


def _whys(found: Entry) -> list[str]:
    """Return what the bins without a claim lack, each reason once."""
    reasons: dict[str, list[str]] = {}
    for entry in found["bins"]:
        if entry["outcome"] == "no claim":
            reasons.setdefault(str(entry["why"]), []).append(_reach(entry))
    if len(reasons) == 1 and len(next(iter(reasons.values()))) == len(found["bins"]):
        return list(reasons)
    return [f"{', '.join(reach)}: {why}" for why, reach in reasons.items()]


def _reach(entry: Entry) -> str:
    above, up_to = entry["above"], entry["up_to"]
    if up_to is not None:
        return f"up to {up_to:.4g}"
    return "all" if above is None else f"above {above:.4g}"


def _difference(difference: Entry | None) -> tuple[str, str]:
    if difference is None:
        return ("-", "-")
    mean, low, high = (100 * difference[key] for key in ("mean", "low", "high"))
    return (f"{mean:+.2f} ({low:+.2f} to {high:+.2f})", _probability(difference["p_value"]))


def _probability(value: float | None) -> str:
    return "-" if value is None else "<0.001" if value < 0.001 else f"{value:.3f}"


def _percent(spread: Entry | None) -> str:
    if not spread or spread["mean"] is None:
        return "-"
    deviation = "" if spread["std"] is None else f" ± {100 * spread['std']:.2f}"
    return f"{100 * spread['mean']:.2f}{deviation}"


def _cost_name(found: Entry) -> str:
    if found["cost"] is None:
        return "bin"
    name, unit = str(found["cost"]).partition("[")[0].removesuffix("_ms"), found["unit"]
    return f"{name} {unit}" if unit and unit.lower() != name else unit or name


def _print_entrants(found: Entry) -> None:
    rows = [
        (
            each["name"],
            each["kind"],
            each["cost"],
            _percent(each["validation"]),
            _percent(each["test"]),
            len(each["validation_failures"]) + len(each["test_failures"]),
        )
        for each in found["entrants"]
    ]
    columns = [column.format(cost=_cost_name(found)) for column in _ENTRANTS]
    print_table(columns, rows, title="Retrained networks")


def _left_out(found: Entry) -> list[str]:
    lines = [f"left out: {each['name']}: {each['reason']}" for each in found["left_out"]]
    lines += [
        f"not measured: {each['name']}: {each['not_measured']}"
        for each in found["entrants"]
        if each["not_measured"]
    ]
    return lines


def _recipe_lines(found: Entry) -> Sequence[str]:
    """Say how far the ranking of the named networks depends on the recipe."""
    stability = found["recipes"]
    if not stability:
        return ()
    agreement = stability["kendall_w"]
    told = "-" if agreement is None else f"{agreement:.2f}"
    lines = [
        f"rank stability on validation over {stability['complete']} recipes (rate x decay): "
        f"Kendall's W {told}"
    ]
    names = {each["key"]: each["name"] for each in found["entrants"]}
    lines += [
        f"  {names[each['candidate']]} comes before its rivals under {each['first']} of "
        f"{each['of']} recipes"
        for each in stability["bins"]
        if each["rivals"]
    ]
    return lines
