"""The report of a run as one HTML file: front, table, drawings, failures and provenance.

The page is plain: no script, no network, works from `file://`, light and dark. It is made from a
run folder alone, so it can be made again on any machine the folder is copied to. All names are
escaped, and the page's own policy allows nothing but its style sheet.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from nas.config_files import dump_yaml
from nas.errors import NasError
from nas.run_store.run import Run
from nas.topology.serial import load_architecture
from nas.topology.svg_drawing import draw_architecture

from .charts import SHAPES, Bar, Mark, draw_front
from .verdicts import verdict_section

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'"
SMOKE_STAMP = "smoke, not evidence"

Front = Mapping[str, Any]

STYLE = """
:root{color-scheme:light dark;--ink:#1b1b1b;--soft:#5a5a5a;--line:#d8d8d8;--paper:#fff;
--skip:#0072b2}
@media (prefers-color-scheme:dark){:root{--ink:#ececec;--soft:#b4b4b4;--line:#444;--paper:#161616;
--skip:#56b4e9}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);margin:0 auto;
padding:1.5rem;max-width:1180px}
h1{margin:0 0 .2rem}h2{margin-top:2.2rem}p.soft,.legend,td.soft{color:var(--soft)}
.stamp{display:inline-block;border:2px solid #d55e00;color:#d55e00;padding:.1rem .6rem;
font-weight:600;border-radius:.3rem}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .8rem .25rem 0;text-align:left;border-bottom:1px solid var(--line)}
td.number,th.number{text-align:right;white-space:nowrap}
.scroll{overflow-x:auto}svg text{fill:var(--ink);font:11px system-ui,sans-serif;text-anchor:middle}
.wiring .edge{fill:none;stroke:var(--soft);stroke-width:1.3}.wiring .skip{stroke:var(--skip)}
.wiring .node rect,.wiring .join circle{stroke:var(--ink)}.wiring .join circle{fill:var(--paper)}
.wiring .node text{fill:#111}.chart{width:100%;max-width:820px;height:auto}
.chart .axis{fill:none;stroke:var(--ink)}.chart .grid{stroke:var(--line)}
.chart .tick.y{text-anchor:end}.chart circle.trial{opacity:.4}
.chart .bar{fill:none;stroke:var(--soft);stroke-width:1.2}
.chart .knee{fill:none;stroke:var(--ink);stroke-width:1.5}
.chart .front-line{fill:none;stroke:var(--ink);stroke-width:1.5}
.legend span{margin-right:1rem}.legend i{display:inline-block;width:.8em;height:.8em;
margin-right:.35em;border-radius:50%}
figure{margin:1rem 0 1.6rem}figcaption{font-weight:600}pre{overflow-x:auto;font-size:13px}
"""


def report_page(run: Run, front: Front) -> str:
    """Return the report of a run as HTML.

    Args:
        run: The run, opened to read.
        front: The document of `nas front RUN --json`.
    """
    sections = [
        _head(run, front),
        "<h2>Front</h2>",
        _chart(run, front),
        _points_table(front),
        _whole(front),
        _best_per_pattern(front),
        _confirmed_chart(front),
        verdict_section(front),
        _baselines_table(front),
        _classifiers(front),
        "<h2>Wirings on the front</h2>",
        *(_figure(run, point) for point in front.get("points", [])),
        _failures(run),
        _provenance(run),
    ]
    title = escape(f"{run.name} - nas")
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width,initial-scale=1'>"
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<title>{title}</title><style>{STYLE}</style></head><body>{''.join(sections)}"
        "</body></html>\n"
    )


def _head(run: Run, front: Front) -> str:
    table = run.table()
    smoke = run.config.get("preset") == "smoke"
    stamp = f"<p><span class='stamp'>{SMOKE_STAMP}</span></p>" if smoke else ""
    counts = f"{len(table.finished())} finished, {len(table.failed())} failed"
    verdict = _trust(front)
    created = run.created[:19].replace("T", " ")
    # From the log alone: whoever owns the run while the page is made must not show in it.
    state = table.state(owned=False)
    return (
        f"<h1>{escape(run.name)}</h1><p class='soft'>created {escape(created)} UTC, "
        f"{escape(state)}; trials: {counts}.</p>{verdict}{stamp}"
    )


def _trust(front: Front) -> str:
    """Tell how far the ranking can be trusted and what the front therefore compares."""
    trust = front.get("trust") or {"verdict": "unverified", "front": None}
    verdict, basis, why = (trust.get(key) for key in ("verdict", "front", "why"))
    parts = [f"Ranking: <b>{escape(str(verdict))}</b>"]
    parts += [escape(f"the front compares {basis}")] if basis else []
    parts += [escape(str(why))] if why else []
    if trust.get("left_out"):
        parts.append(f"{int(trust['left_out'])} trials without a calibrated score are left out")
    return f"<p class='trust'>{'; '.join(parts)}.</p>"


def _axes(front: Front) -> tuple[str, str]:
    """Return the objectives of the horizontal and vertical axis: cost and error."""
    points = front.get("points", [])
    names = list(points[0]["objectives"]) if points else []
    if len(names) < 2:
        return ("macs", names[0] if names else "error")
    return names[1], names[0]


def _unit(front: Front, name: str) -> str:
    for point in front.get("points", []):
        unit = point["objectives"].get(name, {}).get("unit")
        if unit:
            return f"{name} ({unit})"
    return name


def _chart(run: Run, front: Front) -> str:
    x_name, y_name = _axes(front)
    on_front = {point["trial"]: point for point in front.get("points", [])}
    marks = []
    for trial in run.table().finished():
        x, y = (_value(trial.values, name) for name in (x_name, y_name))
        if x is None or y is None:
            continue
        wiring = str(trial.extra.get("wiring", ""))
        kind = "front" if trial.number in on_front else "trial"
        label = f"trial {trial.number}, {wiring}: {x_name} {x:.4g}, {y_name} {y:.4g}"
        target = f"trial-{trial.number}" if kind == "front" else ""
        point = on_front.get(trial.number, {})
        bars = [_bar(point, name) for name in (x_name, y_name)]
        knee = bool(point.get("knee"))
        marks.append(Mark(x, y, label, _family(wiring), kind, target, *bars, knee))
    return draw_front(marks, _unit(front, x_name), _unit(front, y_name))


def _confirmed_chart(front: Front) -> str:
    """Draw what was trained from scratch: the front's points beside hand-made and random ones."""
    cost_name = _axes(front)[0]
    entries = [(entry, "confirmed") for entry in front.get("points", [])]
    entries += [(entry, str(entry.get("kind"))) for entry in front.get("baselines", [])]
    marks = []
    for entry, kind in entries:
        x, y = _value(entry.get("objectives", {}), cost_name), entry.get("error_confirmed_mean")
        x = entry.get("macs") if x is None and cost_name == "macs" else x
        if x is None or y is None or kind not in SHAPES:
            continue
        name = entry.get("name") or f"trial {entry['trial']}"
        wiring = str(entry.get("wiring", ""))
        label = f"{name}, {wiring}: {cost_name} {x:.4g}, test error {_confirmed(entry)}"
        target = f"trial-{entry['trial']}" if kind == "confirmed" else ""
        marks.append(Mark(float(x), float(y), label, _family(wiring), kind, target))
    if not marks:
        return ""
    chart = draw_front(marks, _unit(front, cost_name), "test error (fraction), retrained")
    return f"<h2>Retrained from scratch, on test images</h2>{chart}"


def _family(wiring: str) -> str:
    patterns = set(wiring.split("-"))
    return patterns.pop() if len(patterns) == 1 else "mixed"


def _value(values: Mapping[str, Mapping[str, Any]], name: str) -> float | None:
    value = values.get(name, {}).get("value")
    return float(value) if isinstance(value, int | float) else None


def _bar(point: Mapping[str, Any], name: str) -> Bar | None:
    """Return the ends of an objective's error bar, None where it is exact or unknown."""
    value = point.get("objectives", {}).get(name, {})
    low, high = value.get("low"), value.get("high")
    return None if low is None or high is None or low == high else (float(low), float(high))


def _number(value: object, digits: int = 4) -> str:
    if value is None:
        return "-"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:.{digits}g}" if isinstance(value, float) else escape(str(value))


def _percent(value: object) -> str:
    return "-" if not isinstance(value, int | float) else f"{100 * value:.2f} %"


def _confirmed(entry: Mapping[str, Any]) -> str:
    mean, std = entry.get("error_confirmed_mean"), entry.get("error_confirmed_std")
    if mean is None:
        return "-"
    return _percent(mean) + (f" ± {100 * std:.2f}" if isinstance(std, int | float) else "")


COLUMNS = (
    "wiring",
    "error, inherited",
    "error, retrained",
    "latency ms",
    "MACs",
    "parameters",
    "P(front)",
    "remarks",
)


def _row(label: str, entry: Mapping[str, Any]) -> str:
    latency = _number(entry.get("latency_ms"))
    if entry.get("latency_bar_ms") is not None:
        latency += f" ± {_number(entry['latency_bar_ms'], 2)}"
    inherited = _percent(entry.get("error_inherited"))
    if entry.get("error_inherited_bar") is not None:
        inherited += f" ± {100 * entry['error_inherited_bar']:.2f}"
    numbers = (
        inherited,
        _confirmed(entry),
        latency,
        _number(entry.get("macs")),
        _number(entry.get("parameters")),
        _number(entry.get("probability_front"), 2),
        _remarks(entry),
    )
    cells = "".join(f"<td class='number'>{number}</td>" for number in numbers)
    return f"<tr><td>{label}</td><td>{escape(str(entry.get('wiring', '-')))}</td>{cells}</tr>"


def _remarks(entry: Mapping[str, Any]) -> str:
    """Return what an entry has beside numbers: number formats, knee, ties, flags."""
    ties = ", ".join(str(int(trial)) for trial in entry.get("ties") or [])
    parts = [str(entry["quantisation"])] if entry.get("quantisation") else []
    parts += ["knee"] if entry.get("knee") else []
    parts += [f"ties: {ties}"] if ties else []
    return escape("; ".join([*parts, *map(str, entry.get("flags") or [])]) or "-")


def _table(first: str, rows: Sequence[str]) -> str:
    number = " class='number'"
    heads = "".join(
        f"<th{number if index else ''}>{column}</th>" for index, column in enumerate(COLUMNS)
    )
    return (
        f"<div class='scroll'><table><thead><tr><th>{first}</th>{heads}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _points_table(front: Front) -> str:
    rows = [
        _row(f"<a href='#trial-{int(point['trial'])}'>{int(point['trial'])}</a>", point)
        for point in front.get("points", [])
    ]
    if not rows:
        return "<p>No feasible trial has finished, so the front is empty.</p>"
    return _table("trial", rows)


def _whole(front: Front) -> str:
    """Tell what the front as a whole is, and who may be on it as well."""
    parts = []
    knee, volume = front.get("knee"), front.get("hypervolume")
    if knee:
        share = 100 * float(knee["probability"])
        parts.append(f"Knee: trial {int(knee['trial'])}, in {share:.0f} % of the draws.")
    near = [
        f"{int(each['trial'])} ({float(each['probability_front']):.2f})"
        for each in front.get("near_front") or []
    ]
    if near:
        parts.append(f"May be on the front as well, P(front) in brackets: {', '.join(near)}.")
    if volume:
        ends = " to ".join(_number(volume[end]) for end in ("low", "high"))
        parts.append(
            f"Hypervolume: {_number(volume['value'])} as recorded, "
            f"{_number(volume['shrunken'])} ({ends}) shrunken."
        )
    return f"<p class='soft'>{' '.join(parts)}</p>" if parts else ""


def _best_per_pattern(front: Front) -> str:
    rows = [_row(str(int(entry["trial"])), entry) for entry in front.get("best_per_pattern", [])]
    return "<h2>Best of each wiring</h2>" + _table("trial", rows) if rows else ""


def _baselines_table(front: Front) -> str:
    rows = [
        _row(escape(f"{entry.get('name', '-')} ({entry.get('kind', '-')})"), entry)
        for entry in front.get("baselines", [])
        if entry.get("on_family_front", True)  # other sizes of it are worse and no cheaper
    ]
    if not rows:
        return ""
    note = "<p class='soft'>Retrained with the recipe of the front; errors are on test images.</p>"
    return "<h2>Baselines</h2>" + note + _table("network", rows)


def _classifiers(front: Front) -> str:
    """Tell how far simple classifiers get: where they do as well, wiring is not the question."""
    rows = "".join(
        f"<tr><td>{escape(str(entry['name']))}</td>"
        f"<td class='number'>{_percent(1 - entry['accuracy'])}</td></tr>"
        for entry in front.get("simple_baselines") or []
    )
    if not rows:
        return ""
    head = "<tr><th>classifier on raw pixels</th><th class='number'>test error</th></tr>"
    return f"<div class='scroll'><table>{head}{rows}</table></div>"


def _figure(run: Run, point: Mapping[str, Any]) -> str:
    trial = int(point["trial"])
    caption = f"Trial {trial}: {point.get('wiring', '')}, error {_confirmed(point)} retrained"
    try:
        architecture = load_architecture(run.get_architecture(str(point["architecture"])))
        drawing = draw_architecture(architecture, f"wiring of trial {trial}")
    except NasError as error:  # a damaged file costs its drawing, not the report
        drawing = f"<p class='soft'>not drawn: {escape(error.what)}</p>"
    return (
        f"<figure id='trial-{trial}'><figcaption>{escape(caption)}</figcaption>"
        f"<div class='scroll'>{drawing}</div></figure>"
    )


def _failures(run: Run) -> str:
    failed = run.table().failed()
    if not failed:
        return ""
    rows = "".join(
        f"<tr><td>{trial.number}</td><td>{escape(str(trial.reason))}</td>"
        f"<td>{escape(str(trial.message))}</td></tr>"
        for trial in failed[:200]
    )
    head = "<tr><th>trial</th><th>reason</th><th>message</th></tr>"
    return f"<h2>Failed trials</h2><div class='scroll'><table>{head}{rows}</table></div>"


def _provenance(run: Run) -> str:
    environment = json.dumps(run.environment, indent=2, sort_keys=True)
    return (
        "<h2>Provenance</h2><details><summary>Configuration</summary>"
        f"<pre>{escape(dump_yaml(run.config))}</pre></details>"
        f"<details><summary>Environment</summary><pre>{escape(environment)}</pre></details>"
    )
