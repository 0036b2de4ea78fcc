"""Several runs side by side: their fronts, volumes under one reference, attainment surfaces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.pareto import attainment, hypervolume, reference_point

from .plain import mapping, text
from .reading import Reading

SCHEMA = "nas.dash.compare/1"
MOST_RUNS = 20
Fronts = dict[str, list[dict[str, Any]]]


def compare_document(readings: Sequence[Reading]) -> dict[str, Any]:
    """Return the fronts of several runs in the objectives they share.

    Values are as recorded. Runs on other data, or measured on another device, can be laid over one
    another, and the document says where the data differ.

    Args:
        readings: The runs.
    """
    why_not = _why_not(readings)
    shared = [] if why_not else _shared(readings)
    fronts = {each.name: _front(each, shared) for each in readings}
    arrays = {name: _array(front, len(shared)) for name, front in fronts.items()}
    known = [array for array in arrays.values() if len(array)]
    reference = reference_point(np.concatenate(known)) if known and shared else None
    volumes = {
        name: hypervolume(array, reference) if len(array) else 0.0
        for name, array in arrays.items()
        if reference is not None
    }
    return {
        "schema": SCHEMA,
        "runs": [each.name for each in readings],
        "objectives": shared or None,
        "why_not": why_not,
        "same_data": len({_data(each) for each in readings}) < 2,
        "fronts": fronts if shared else {},
        "hypervolume": volumes,
        "reference": reference.tolist() if reference is not None else [],
        "attainment": _attainment(list(arrays.values()), len(shared)),
    }


def _why_not(readings: Sequence[Reading]) -> str | None:
    """Return why the runs cannot be laid over one another, None where they can."""
    studies = [each.name for each in readings if each.is_study]
    if studies:
        return f"{', '.join(studies)}: a study has tables and no front."
    empty = [each.name for each in readings if not each.facts.objectives]
    if empty:
        return f"{', '.join(empty)}: no objective is known yet, the run has only begun."
    if len(_shared(readings)) < 2:
        told = "; ".join(f"{each.name}: {', '.join(each.facts.names)}" for each in readings)
        return f"The runs share no two objectives. {told}."
    return None


def _shared(readings: Sequence[Reading]) -> list[dict[str, Any]]:
    """Return the objectives that all runs have, as the first one orders them."""
    if not readings:
        return []
    others = [set(each.facts.names) for each in readings]
    return [
        each for each in readings[0].objectives if all(each["name"] in names for names in others)
    ]


def _data(reading: Reading) -> str | None:
    return text(mapping(reading.run.environment.get("data")).get("fingerprint"))


def _front(reading: Reading, shared: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    if not shared:
        return []
    finished = reading.facts.finished
    return [
        {
            "trial": finished[place].number,
            "values": [finished[place].value(each["name"]) for each in shared],
        }
        for place in reading.uncertainty.front
    ]


def _array(front: Sequence[dict[str, Any]], width: int) -> NDArray[np.float64]:
    return np.array([point["values"] for point in front], dtype=np.float64).reshape(-1, width or 1)


def _attainment(
    arrays: Sequence[NDArray[np.float64]], width: int
) -> dict[str, list[list[float]]] | None:
    """Return the surfaces over the runs; None for one run, or without exactly two objectives."""
    if width != 2 or len(arrays) < 2 or not all(len(array) for array in arrays):
        return None
    found = attainment(arrays)
    return {name: getattr(found, name).tolist() for name in ("best", "median", "worst")}
