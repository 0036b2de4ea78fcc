"""Studies with made-up figures: a folder as the runner leaves it, without training anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nas.run_store import Run
from nas.space import load_space
from nas.study.config import StudyConfig
from nas.study.methods.base import Choice
from nas.study.resolve import make_methods, resolve_study
from nas.study.results import CELL, CELL_FAILED, LATENCY, choice_fields, row_record

Figures = Mapping[str, Sequence[float | None]]

TWO = ({"kind": "wiring", "name": "chain"}, {"kind": "wiring", "name": "dense"})


def study(**keys: Any) -> StudyConfig:
    """Return a checked study of two wirings on digits, or what `keys` change of it."""
    given: dict[str, Any] = {
        "name": "made",
        "data": ["digits"],
        "spaces": ["tiny_exhaustive"],
        "methods": list(TWO),
        "seeds": 3,
        "recipe": {"epochs": 1},
    }
    return resolve_study({**given, **keys})


def labelled(*labels: str) -> list[dict[str, Any]]:
    """Return methods of these names; what they choose is made up anyway."""
    return [{"kind": "wiring", "name": "chain", "label": label} for label in labels]


def made_study(
    root: Path,
    figures: Figures | Mapping[tuple[str, str], Figures],
    *,
    within: bool = True,
    latency: bool = True,
    command: str = "nas study made.yaml",
    **keys: Any,
) -> Run:
    """Return a study's folder, owned, whose test errors are `figures`, a row per label.

    Args:
        root: Folder of studies.
        figures: Errors per seed, by label; None is a failed training. Or that by data set and
            space, for a study of several.
        within: Whether networks have the size asked for.
        latency: Whether they were measured.
        command: What was typed.
        keys: Keys of the study.
    """
    panels = figures if isinstance(next(iter(figures)), tuple) else {("digits", "tiny"): figures}
    labels = list(next(iter(panels.values())))
    data = list(dict.fromkeys(name for name, _ in panels))
    config = study(
        methods=labelled(*labels), seeds=len(next(iter(panels.values()))[labels[0]]), **keys
    )
    kept = {**config.to_dict(), "data": data, "spaces": config.spaces * len({s for _, s in panels})}
    run = Run.create(root, config.name, kept, environment(data, command))
    spaces = list(dict.fromkeys(space for _, space in panels))
    for (name, space), rows in panels.items():
        for place, label in enumerate(labels):
            key = f"d{data.index(name)}-s{spaces.index(space)}-m{place}"
            head = row_record(key, name, space, label, "wiring")
            _append_row(run, key, head, rows[label], within, latency)
    return run


def environment(data: Sequence[str], command: str) -> dict[str, Any]:
    facts = {
        name: {
            "name": name,
            "fingerprint": "f" * 64,
            "input_shape": [1, 8, 8],
            "num_classes": 10,
            "train_images": 1350,
            "test_images": 500,
        }
        for name in data
    }
    return {
        "versions": {"nas": "0"},
        "device": "cpu",
        "device_digest": "d" * 12,
        "data": facts,
        "spaces": [{"name": "tiny", "fingerprint": "s" * 16}],
        "command": command,
    }


def _append_row(
    run: Run,
    key: str,
    head: dict[str, Any],
    errors: Sequence[float | None],
    within: bool,
    latency: bool,
) -> None:
    space = load_space("tiny_exhaustive")
    network = space.build(space.known()["chain"])
    fact = {"macs": 1000, "parameters": 100, "depth": 5, "off": 0.3, "within": within}
    choice = Choice.same(network, len(errors), "made up")
    run.append({**head, **choice_fields(choice, [fact])})
    for index, error in enumerate(errors):
        cell = {"row": key, "network": 0, "seed_index": index, "seconds": 1.0}
        if error is None:
            failed = {"reason": "nonfinite", "message": "loss is inf_at 5 % & more"}
            run.append({"kind": CELL_FAILED, **cell, **failed})
        else:
            figure = {"error": error, "cross_entropy": 2 * error, "images": 500}
            run.append({"kind": CELL, **cell, **figure})
    if latency:
        flags = {"unstable": False, "busy": False, "device": "d" * 12}
        time = {"data": head["data"], "latency_ms": 1.5, "iqr_ms": 0.1, **flags}
        run.append({"kind": LATENCY, "row": key, "network": 0, **time})


__all__ = ["TWO", "environment", "labelled", "made_study", "make_methods", "study"]
