"""The files of a study, all made from its log: tables, diagram, one JSON document."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from nas.errors import ConfigError, NotFoundError
from nas.run_store import Run, rebuild_views, register_view
from nas.run_store.views import ViewFunction
from nas.study.caption import caption, device, distillation, stamp
from nas.study.comparison import panels, ranking
from nas.study.config import SCHEMA
from nas.study.diagram import diagram_svg, diagram_text
from nas.study.results import RowResult, StudyResults, read_results
from nas.study.tables import csv_text, latex, markdown

DOCUMENT: Final = "nas.study-result/1"
CSV: Final = "table.csv"
LATEX: Final = "table.tex"
MARKDOWN: Final = "table.md"
JSON: Final = "study.json"
SVG: Final = "cd.svg"


def register_views() -> None:
    """Make the files of a study known to the run store, so that they can be made again."""
    for name, function in _VIEWS.items():
        register_view(name, function, of=SCHEMA)


def write_outputs(run: Run) -> list[str]:
    """Make every file of the study again; return their names."""
    register_views()
    return rebuild_views(run)


def _json(run: Run) -> bytes:
    text = json.dumps(document(read_results(run)), indent=1, allow_nan=False)
    return f"{text}\n".encode()


def _csv(run: Run) -> bytes:
    return csv_text(read_results(run)).encode()


def _latex(run: Run) -> bytes:
    return latex(read_results(run)).encode()


def _markdown(run: Run) -> bytes:
    return markdown(read_results(run)).encode()


def _svg(run: Run) -> bytes:
    results = read_results(run)
    return diagram_svg(ranking(results), stamp(results)).encode()


_VIEWS: Final[dict[str, ViewFunction]] = {
    JSON: _json,
    CSV: _csv,
    LATEX: _latex,
    MARKDOWN: _markdown,
    SVG: _svg,
}


def document(results: StudyResults) -> dict[str, Any]:
    """Return the study as one JSON document, schema `nas.study-result/1`."""
    config, environment = results.config, results.environment
    ranks = ranking(results)
    return {
        "schema": DOCUMENT,
        "name": results.name,
        "complete": results.complete,
        "command": environment["command"],
        "data": list(environment["data"].values()),
        "spaces": environment["spaces"],
        "recipe": config.recipe.as_dict(),
        "recipe_hash": config.recipe.recipe_hash,
        "seeds": config.seeds,
        "seed": config.seed,
        "distillation": distillation(results),
        "device": device(results),
        "device_fingerprint": environment.get("fingerprint", {}),
        "versions": environment["versions"],
        "match": None if config.match is None else config.match.model_dump(mode="json"),
        "panels": [
            {
                "data": panel.data,
                "space": panel.space,
                "best": panel.best,
                "like_best": sorted(panel.like_best),
                "control": panel.control,
                "rows": [_row(row) for row in panel.rows],
                "against_control": [each.to_dict() for each in panel.against],
            }
            for panel in panels(results)
        ],
        "ranking": None if ranks is None else ranks.to_dict(),
        "diagram": None if ranks is None else diagram_text(ranks),
        "caption": [*caption(results), stamp(results)],
    }


def _row(row: RowResult) -> dict[str, Any]:
    networks = [
        {**asdict(each), "latency": None if each.latency is None else _latency(each.latency)}
        for each in row.networks
    ]
    return {
        "label": row.label,
        "kind": row.kind,
        "note": row.note,
        "test_errors": list(row.errors),
        "test_cross_entropies": list(row.cross_entropies),
        "test_error_mean": row.mean,
        "test_error_std": row.deviation,
        "test_images": row.images,
        "networks": networks,
        "failures": list(row.failures),
        "details": dict(row.details),
        "selection_s": row.selection_s,
        "train_s": row.train_s,
    }


def _latency(record: Any) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key not in ("kind", "row", "network")}


def write_markdown(run: Run, path: Path) -> None:
    """Put the study's table between its two marks in a document.

    Raises:
        NotFoundError: If there is no such document.
        ConfigError: If it cannot be read, or lacks the marks; they are named.
    """
    before, after = place_in(path, run.name)
    path.write_text(f"{before}\n{markdown(read_results(run))}{after}", encoding="utf-8")


def place_in(path: Path, name: str) -> tuple[str, str]:
    """Return a document up to where the table of the study `name` begins, and from where it ends.

    Raises:
        NotFoundError: If there is no such document.
        ConfigError: If it cannot be read, or lacks the marks; they are named.
    """
    first, last = f"<!-- begin study {name} -->", f"<!-- end study {name} -->"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFoundError(
            f"There is no document {path}.", fix=f"Make it, with the lines {first} and {last}."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} cannot be read as a text: {error}.", fix="Name a Markdown document in UTF-8."
        ) from None
    start, end = text.find(first), text.find(last)
    if start < 0 or end < start:
        raise ConfigError(
            f"{path} has no place for the table of the study '{name}'.",
            fix=f"Write these two lines where it should stand: {first} and {last}.",
        )
    return text[: start + len(first)], text[end:]
