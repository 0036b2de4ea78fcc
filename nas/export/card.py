"""The model card of an exported network: one page of Markdown that answers what a user asks.

What is it, how well does it do and how sure is that, how are images prepared, how is it run, how is
it made again. Names come from users and data sets, so every one is written as text.
"""

from __future__ import annotations

import re
from typing import Final

from nas.export.checking import Agreement
from nas.export.formats import FormatOptions, Written
from nas.export.parcel import Parcel
from nas.training.data.preprocessing import FILE_WHITE, Preprocessing

CARD: Final = "README.md"
_MOST_CLASSES: Final = 30
"""Class names that are listed; `about.json` has all."""

_SPECIAL = re.compile(r"([\\`*_\[\]<>|#~$])")


def as_text(name: str) -> str:
    """Return a name as it stands in Markdown: one line, no markup."""
    return _SPECIAL.sub(r"\\\1", " ".join(name.split()))


def model_card(
    parcel: Parcel, name: str, options: FormatOptions, written: Written, agreement: Agreement
) -> str:
    """Return the card.

    Args:
        parcel: The network.
        name: Of the format.
        options: How it was written.
        written: What was written.
        agreement: What the check on real images found.
    """
    sections = [
        f"# {as_text(parcel.title)}\n",
        _what(parcel, name, options, agreement),
        _figures(parcel),
        _images(parcel),
        f"## How to run it\n\n{written.usage}",
        _again(parcel),
    ]
    return "\n".join(section for section in sections if section)


def _what(parcel: Parcel, name: str, options: FormatOptions, agreement: Agreement) -> str:
    folded = ", batch norms folded" if options.fold else ""
    batch = {None: "any number of images", 1: "1 image"}.get(
        options.batch, f"{options.batch} images"
    )
    lines = [
        f"- Task: {as_text(parcel.facts.task)}",
        f"- Data: {as_text(parcel.facts.data)}",
        f"- Weights: {as_text(parcel.weights.told)}",
        f"- Format: {name}{folded}, {batch} per call; {as_text(agreement.describe())}",
        *[f"- {as_text(remark)}" for remark in parcel.facts.remarks],
    ]
    return "\n".join(lines) + "\n"


def _figures(parcel: Parcel) -> str:
    if not parcel.facts.figures:
        return ""
    rows = ["| figure | value | where it comes from |", "|---|---|---|"]
    rows += [
        f"| {as_text(each.name)} | {as_text(each.value)} | {as_text(each.source)} |"
        for each in parcel.facts.figures
    ]
    device = f"\nMeasured on: {as_text(parcel.facts.device)}\n" if parcel.facts.device else ""
    return "## Figures\n\n" + "\n".join(rows) + "\n" + device


def _images(parcel: Parcel) -> str:
    shape = " x ".join(map(str, parcel.network.input_shape))
    lines = [
        "## Images and classes\n",
        f"Input `images`: float32, `(batch, {shape.replace(' x ', ', ')})`. "
        f"Output: {parcel.num_classes} logits per image.",
    ]
    if parcel.preprocessing is None:
        lines.append("It belongs to no data: nothing is said about how images are prepared.")
    else:
        lines += _prepared(parcel.preprocessing)
    return "\n".join(lines) + "\n"


def _prepared(expected: Preprocessing) -> list[str]:
    channels, height, width = expected.input_shape
    colours = {1: "grey", 3: "red, green, blue"}.get(channels, f"{channels} channels")
    mean = ", ".join(f"{each:.6g}" for each in expected.normalisation.mean)
    deviation = ", ".join(f"{each:.6g}" for each in expected.normalisation.deviation)
    scaled = "" if expected.white is None else _scaled(expected.white)
    names = [as_text(each) for each in expected.classes[:_MOST_CLASSES]]
    more = len(expected.classes) - len(names)
    return [
        f"\nA picture is turned to {colours}, scaled until it covers {width} x {height} pixels, "
        f"its middle cut out{scaled}; then `(pixel - mean) / deviation` with mean {mean} "
        f"and deviation {deviation}.",
        f"\nClasses in the order of the logits: {', '.join(names)}"
        + (f" and {more:,} more, see `about.json`." if more else "."),
    ]


def _scaled(white: float) -> str:
    return "" if white == FILE_WHITE else f", its pixels multiplied by {white:g} / {FILE_WHITE}"


def _again(parcel: Parcel) -> str:
    facts = parcel.facts
    if not facts.commands:
        return ""
    commands = "\n".join(" ".join(each.split()) for each in facts.commands)
    text = f"## How to make it again\n\n```sh\n{commands}\n```\n"
    if facts.recipe:
        text += f"\nwith this as `recipe.yaml`:\n\n```yaml\n{facts.recipe.rstrip()}\n```\n"
    return text
