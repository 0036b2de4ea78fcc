"""The table of a study as CSV, LaTeX and Markdown, from one set of cells and one caption.

Figures are test errors in percent, mean and standard deviation over seeds. In LaTeX and Markdown
the best mean is bold, and a method that is not told apart from it is marked; the caption says by
which test. CSV holds plain numbers, one line per row, every seed in a column of its own.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, final

from nas.config_files import no_formula
from nas.study.caption import caption, device, distillation, stamp
from nas.study.comparison import Against, Panel, Ranking, panels, ranking
from nas.study.results import RowResult, StudyResults

LIKE_BEST: Final = "≈"
OFF_SIZE: Final = "†"
UNSTABLE: Final = "~"
_TEX: Final = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "≈": r"$\approx$",
    "†": r"$\dagger$",
    "−": r"$-$",
    "<": r"$<$",
    ">": r"$>$",
    "|": r"$|$",
    '"': "''",
}


@final
@dataclass(frozen=True)
class Column:
    """One column of the table.

    Args:
        title: Its heading.
        right: Whether it holds numbers.
    """

    title: str
    right: bool = True


@final
@dataclass(frozen=True)
class Line:
    """One row of the table as text.

    Args:
        cells: Its cells.
        bold: Place of the cell that is the best, None if none is.
    """

    cells: tuple[str, ...]
    bold: int | None = None


ERROR: Final = 1
"""Place of the error among the columns."""


def columns(control: str | None, measured: bool) -> list[Column]:
    """Return the columns of a table.

    Args:
        control: Label of the method that the others are compared to, None where none is.
        measured: Whether latency is among the figures.
    """
    titles = ["method", "test error %", "rank"]
    if control is not None:
        titles.append(f"less {control} [95 %]")
    titles += ["MACs (M)", "parameters (k)", "depth"]
    if measured:
        titles.append("latency ms")
    return [Column(title, right=place > 0) for place, title in enumerate([*titles, "found in s"])]


def lines(panel: Panel, ranks: Ranking | None, compared: bool, measured: bool) -> list[Line]:
    """Return the rows of a panel, in the order of the file, with a cell for each of `columns`."""
    return [_line(row, panel, ranks, compared, measured) for row in panel.rows]


def _line(
    row: RowResult, panel: Panel, ranks: Ranking | None, compared: bool, measured: bool
) -> Line:
    rank = None if ranks is None else ranks.rank(row.label)
    cells = [
        row.label if row.within else f"{row.label} {OFF_SIZE}",
        _error(row, row.label in panel.like_best),
        "-" if rank is None else f"{rank:.2f}",
    ]
    if compared:
        cells.append(_difference(panel.beside(row.label)))
    cells += [
        f"{row.typical('macs') / 1e6:.3f}",
        f"{row.typical('parameters') / 1e3:.1f}",
        f"{row.typical('depth'):.3g}",
    ]
    if measured:
        time = row.latency_ms
        flag = UNSTABLE if row.unstable else ""
        cells.append("-" if time is None else f"{flag}{time:.3f}")
    cells.append(f"{row.selection_s:.0f}" if row.selection_s >= 0.5 else "-")
    return Line(tuple(cells), ERROR if row.label == panel.best else None)


def _error(row: RowResult, like_best: bool) -> str:
    if row.mean is None:
        return "-"
    spread = "" if row.deviation is None else f" ± {100 * row.deviation:.2f}"
    missing = len(row.errors) - len(row.known)
    lost = f" ({missing} missing)" if missing else ""
    return f"{100 * row.mean:.2f}{spread}{lost}{f' {LIKE_BEST}' if like_best else ''}"


def _difference(against: Against | None) -> str:
    if against is None:
        return "-"
    found = against.difference
    return f"{100 * found.mean:+.2f} [{100 * found.low:+.2f}, {100 * found.high:+.2f}]"


def markdown(results: StudyResults) -> str:
    """Return the table as Markdown, caption and stamp below it."""
    ranks = ranking(results)
    parts = []
    for panel in panels(results):
        measured = results.config.latency is not None
        heads = columns(panel.control, measured)
        rows = [heads_line(heads), "|" + "|".join("--:" if h.right else "---" for h in heads) + "|"]
        for line in lines(panel, ranks, panel.control is not None, measured):
            cells = [_markdown_text(cell) for cell in line.cells]
            if line.bold is not None:
                cells[line.bold] = f"**{cells[line.bold]}**"
            rows.append("| " + " | ".join(cells) + " |")
        parts.append(f"{_markdown_text(panel.data)}, space `{panel.space}`:\n\n" + "\n".join(rows))
    parts.append(" ".join(_markdown_text(each) for each in caption(results)))
    parts.append(_markdown_text(stamp(results)))
    return "\n\n".join(parts) + "\n"


def heads_line(heads: Sequence[Column]) -> str:
    """Return the heading of a Markdown table."""
    return "| " + " | ".join(_markdown_text(head.title) for head in heads) + " |"


def _markdown_text(text: str) -> str:
    for sign in ("\\", "|", "*", "_", "`", "<"):
        text = text.replace(sign, f"\\{sign}")
    return text


def latex(results: StudyResults) -> str:
    """Return the table as LaTeX with booktabs, to be input where a table may stand."""
    ranks = ranking(results)
    measured = results.config.latency is not None
    body = []
    shown = panels(results)
    # One heading stands over all panels, also over one whose control has no figures.
    control = next((panel.control for panel in shown if panel.control is not None), None)
    heads = columns(control, measured)
    for panel in shown:
        title = f"{panel.data}, space {panel.space}"
        body.append(rf"\multicolumn{{{len(heads)}}}{{l}}{{\emph{{{tex_text(title)}}}}} \\")
        for line in lines(panel, ranks, control is not None, measured):
            cells = [tex_text(cell) for cell in line.cells]
            if line.bold is not None:
                cells[line.bold] = rf"\textbf{{{cells[line.bold]}}}"
            # What follows a line break in brackets, or as a star, would be its argument.
            guard = "{}" if cells[0].startswith(("[", "*")) else ""
            body.append(guard + " & ".join(cells) + r" \\")
        body.append(r"\midrule")
    alignment = "".join("r" if head.right else "l" for head in heads)
    text = " ".join([*caption(results), stamp(results)])
    return "\n".join(
        [
            "% needs \\usepackage{booktabs}",
            r"\begin{table}",
            r"\centering",
            r"\small",
            rf"\begin{{tabular}}{{{alignment}}}",
            r"\toprule",
            " & ".join(tex_text(head.title) for head in heads) + r" \\",
            r"\midrule",
            *body[:-1],
            r"\bottomrule",
            r"\end{tabular}",
            rf"\caption{{{tex_text(text)}}}",
            rf"\label{{tab:{results.name}}}",
            r"\end{table}",
            "",
        ]
    )


def tex_text(text: str) -> str:
    """Return text with everything escaped that LaTeX reads as a command."""
    kept = (" " if char in "\n\r\t" else char for char in text)
    return "".join(_TEX.get(char, char) for char in kept)


def csv_text(results: StudyResults) -> str:
    """Return the table as CSV: one line per row, plain numbers, percent as 0 to 100."""
    ranks = ranking(results)
    records = [
        _record(results, panel, row, ranks) for panel in panels(results) for row in panel.rows
    ]
    stream = io.StringIO()
    if records:
        writer = csv.DictWriter(stream, list(records[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)
    return stream.getvalue()


def _record(
    results: StudyResults, panel: Panel, row: RowResult, ranks: Ranking | None
) -> dict[str, Any]:
    beside = panel.beside(row.label)
    found = None if beside is None else beside.difference
    seeds = {
        f"test_error_percent_seed_{index}": _percent(each) for index, each in enumerate(row.errors)
    }
    return {
        "data": no_formula(row.data),
        "space": row.space,
        "method": no_formula(row.label),
        "kind": row.kind,
        "test_error_percent_mean": _percent(row.mean),
        "test_error_percent_std": _percent(row.deviation),
        "seeds": len(row.known),
        "mean_rank": None if ranks is None else ranks.rank(row.label),
        "best": row.label == panel.best,
        "told_apart_from_best": panel.apart_from_best(row.label),
        "control": None if panel.control is None else no_formula(panel.control),
        "difference_percent": None if found is None else _percent(found.mean),
        "difference_low_percent": None if found is None else _percent(found.low),
        "difference_high_percent": None if found is None else _percent(found.high),
        "difference_p_holm": None if beside is None else beside.p_holm,
        "signed_rank_p_holm": None if beside is None else beside.signed_rank_holm,
        "macs": round(row.typical("macs")),
        "parameters": round(row.typical("parameters")),
        "depth": row.typical("depth"),
        "size_within_tolerance": row.within,
        "latency_ms": row.latency_ms,
        "latency_unstable": row.unstable,
        "selection_s": row.selection_s,
        "train_s": round(row.train_s, 1),
        **_origin(results, row),
        **seeds,
    }


def _origin(results: StudyResults, row: RowResult) -> dict[str, Any]:
    """Return what a line depends on: a line that is copied elsewhere still says so."""
    return {
        "recipe_hash": results.config.recipe.recipe_hash,
        "data_fingerprint": results.data_facts(row)["fingerprint"],
        "root_seed": results.config.seed,
        "distillation": distillation(results),
        "device": device(results),
        "command": results.environment["command"],
    }


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 6)
