"""The critical-difference diagram of Demsar (2006), as text and as SVG.

Methods stand on an axis of mean ranks, the best at the left; a bar joins those that are not told
apart. Made by arithmetic alone, so that the same study gives the same bytes.
"""

from __future__ import annotations

from typing import Final
from xml.sax.saxutils import escape

from nas.study.comparison import Ranking

WIDTH: Final = 720
MARGIN: Final = 190
AXIS_Y: Final = 60
STEP: Final = 22
BAR_STEP: Final = 9


def diagram_text(ranks: Ranking) -> str:
    """Return the diagram as lines: mean rank, method, and one column of bars per clique."""
    order = _order(ranks)
    width = max(len(label) for label in ranks.labels)
    lines = [f"mean rank  {'method'.ljust(width)}  joined: not told apart"]
    for label, rank in order:
        bars = " ".join("|" if label in group else " " for group in ranks.groups)
        lines.append(f"{rank:9.2f}  {label.ljust(width)}  {bars}".rstrip())
    lines.append(f"critical difference {ranks.difference:.2f} over {len(ranks.blocks)} blocks")
    return "\n".join(lines)


def diagram_svg(ranks: Ranking | None, note: str = "") -> str:
    """Return the diagram as one SVG document, without scripts or links; empty without ranks.

    Args:
        ranks: What it shows.
        note: What the ranks depend on; kept inside as the description.
    """
    if ranks is None:
        return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} 10"/>\n'
    order = _order(ranks)
    half = (len(order) + 1) // 2
    bars_end = AXIS_Y + 16 + BAR_STEP * len(ranks.groups)
    height = bars_end + STEP * half + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="sans-serif" font-size="13" role="img">',
        f"<title>Critical-difference diagram, {escape(', '.join(ranks.labels))}</title>",
        f"<desc>{escape(note)}</desc>",
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        *_axis(ranks),
    ]
    for place, group in enumerate(ranks.groups):
        held = [_x(ranks, rank) for label, rank in order if label in group]
        parts.append(_line(held[0] - 3, AXIS_Y + 14 + place * BAR_STEP, held[-1] + 3, None, 4))
    for place, (label, rank) in enumerate(order):
        parts += _method(ranks, label, rank, place, half, bars_end)
    return "\n".join([*parts, "</svg>", ""])


def _order(ranks: Ranking) -> list[tuple[str, float]]:
    pairs = list(zip(ranks.labels, ranks.ranks, strict=True))
    return sorted(pairs, key=lambda each: (each[1], ranks.labels.index(each[0])))


def _x(ranks: Ranking, rank: float) -> float:
    return MARGIN + (rank - 1) / (len(ranks.labels) - 1) * (WIDTH - 2 * MARGIN)


def _axis(ranks: Ranking) -> list[str]:
    parts = [_line(_x(ranks, 1), AXIS_Y, _x(ranks, len(ranks.labels)), None, 1)]
    for tick in range(1, len(ranks.labels) + 1):
        x = _x(ranks, tick)
        parts += [_line(x, AXIS_Y - 6, x, AXIS_Y, 1), _text(x, AXIS_Y - 10, str(tick), "middle")]
    start = _x(ranks, 1)
    end = min(start + ranks.difference * (_x(ranks, 2) - start), WIDTH - 10.0)
    label = f"critical difference {ranks.difference:.2f}"
    return [*parts, _line(start, 26, end, None, 2), _text(start, 18, label, "start")]


def _method(ranks: Ranking, label: str, rank: float, place: int, half: int, top: int) -> list[str]:
    """Draw one method: the better half at the left, the others at the right."""
    left = place < half
    row = place if left else len(ranks.labels) - 1 - place
    x, y = _x(ranks, rank), top + STEP * row + 10
    edge = MARGIN - 12 if left else WIDTH - MARGIN + 12
    text = f"{label}  {rank:.2f}" if left else f"{rank:.2f}  {label}"
    return [
        _line(x, AXIS_Y, x, y, 1),
        _line(min(x, edge), y, max(x, edge), None, 1),
        _text(edge - 6 if left else edge + 6, y + 4, text, "end" if left else "start"),
    ]


def _line(x1: float, y1: float, x2: float, y2: float | None, width: int) -> str:
    end = y1 if y2 is None else y2
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{end:.1f}" stroke="black" '
        f'stroke-width="{width}"/>'
    )


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
