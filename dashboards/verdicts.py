"""What a confirmation allows to claim, as a section of the report: one row per comparison."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

Entry = Mapping[str, Any]

COLUMNS = (
    "range",
    "candidate",
    "test error",
    "rival",
    "kind",
    "test error",
    "difference, % points (95 %)",
    "p after Holm",
    "verdict",
)


def verdict_section(front: Entry) -> str:
    """Return the section of a front document, empty where nothing was judged."""
    found = front.get("confirmation")
    if not found or not found["bins"]:
        return ""
    head = "".join(f"<th>{escape(column)}</th>" for column in COLUMNS)
    rows = "".join(_row(cells) for entry in found["bins"] for cells in _cells(entry))
    told = (
        f"Seeds A ({len(found['seeds_a'])}) chose on validation, seeds B ({len(found['seeds_b'])}) "
        f"judge on test; recipe {found['recipe_hash']}, data {found['data'][:12]}, distillation "
        f"{'on' if found['distillation'] else 'off'}. Ranges along {found['cost'] or 'nothing'}. "
        "Points that are not named here have no test error."
    )
    left_out = "".join(
        f"<p class='soft'>left out: {escape(each['name'])}: {escape(each['reason'])}</p>"
        for each in found["left_out"]
    )
    return (
        f"<h2>Verdicts</h2><p class='soft'>{escape(told)}</p>"
        f"<div class='scroll'><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{rows}</tbody></table></div>{_stability(found)}{left_out}"
    )


def _row(cells: tuple[str, ...]) -> str:
    return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


def _cells(entry: Entry) -> list[tuple[str, ...]]:
    candidate = entry["candidate"]
    head = (_range(entry), candidate["name"] if candidate else "-")
    head = (*head, _percent(candidate["test"]) if candidate else "-")
    p_holm = "-" if entry["p_holm"] is None else f"{entry['p_holm']:.3f}"
    rivals = [
        (
            *(each["rival"]["name"], each["kind"], _percent(each["rival"]["test"])),
            *(_difference(each), p_holm, _told(entry, each["difference"])),
        )
        for each in entry["comparisons"]
    ]
    nobody = ("-", "-", "-", "-", p_holm, _told(entry, None))
    return [(*head, *rival) for rival in rivals or [nobody]]


def _told(entry: Entry, difference: Entry | None) -> str:
    """Return the verdict beside one rival: what a claim lacks, and who is better."""
    if entry["outcome"] == "no claim":
        return str(entry["why"])
    lost = difference is not None and difference["low"] > 0
    return f"{entry['outcome']}: the rival is better" if lost else str(entry["outcome"])


def _range(entry: Entry) -> str:
    above, up_to = entry["above"], entry["up_to"]
    if up_to is not None:
        return f"up to {up_to:.4g}"
    return "all" if above is None else f"above {above:.4g}"


def _percent(spread: Entry) -> str:
    if spread["mean"] is None:
        return "-"
    deviation = "" if spread["std"] is None else f" ± {100 * spread['std']:.2f}"
    return f"{100 * spread['mean']:.2f} %{deviation}"


def _difference(comparison: Entry) -> str:
    found = comparison["difference"]
    if found is None:
        return "-"
    low, high = 100 * found["low"], 100 * found["high"]
    return f"{100 * found['mean']:+.2f} ({low:+.2f} to {high:+.2f})"


def _stability(found: Entry) -> str:
    recipes = found["recipes"]
    if not recipes or recipes["kendall_w"] is None:
        return ""
    return (
        f"<p class='soft'>Ranks over {recipes['complete']} recipes, on validation: Kendall's W "
        f"{recipes['kendall_w']:.2f}.</p>"
    )
