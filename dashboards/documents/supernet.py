"""The training of the shared weights: losses, alarms, gates over time, and the ranking's report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nas.errors import NasError
from nas.space import Choice, OneOf, SubsetOf
from nas.space.choices import Answer
from nas.topology.layers import Shape

from .architecture import architecture_document
from .gates import Gates, gated_edges, node_choices
from .networks import images_of
from .plain import items, mapping, number, text, whole
from .reading import Reading

SCHEMA = "nas.dash.supernet/1"
TRAININGS = ("relax", "supernet", "random_supernet")
MOST_EPOCHS = 2000
RANK_VIEW = "rank.json"


def supernet_document(reading: Reading) -> dict[str, Any]:
    """Return what is known of the supernet of a run; empty lists where it was not trained."""
    gates = reading.gates
    graph, edges, nodes = _graph(reading, gates)
    begun = [name for name in reading.table.stages if name in TRAININGS]
    epochs = _epochs(reading)
    return {
        "schema": SCHEMA,
        "seq": reading.seq,
        "stages": list(dict.fromkeys([*begun, *(each["stage"] for each in epochs)])),
        "epochs": epochs,
        "alarms": _alarms(reading),
        "diagnoses": _diagnoses(reading),
        "gates": gates.to_dict() if gates else None,
        "graph": graph,
        "edge_choices": edges,
        "node_choices": nodes,
        "rank": _rank(reading),
    }


_NOT_NUMBERS = ("time", "kind", "stage", "epoch", "loss")


def _epochs(reading: Reading) -> list[dict[str, Any]]:
    """Return loss and health of every epoch; one trained again after a crash counts once."""
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for note in reading.notes:
        stage, epoch, loss = (
            text(note.get("stage")),
            whole(note.get("epoch")),
            number(note.get("loss")),
        )
        if note.get("kind") != "epoch" or stage is None or epoch is None or loss is None:
            continue
        others = {name: number(value) for name, value in note.items() if name not in _NOT_NUMBERS}
        found[stage, epoch] = {
            "stage": stage,
            "epoch": epoch,
            "loss": loss,
            "numbers": {name: value for name, value in others.items() if value is not None},
        }
    return list(found.values())[-MOST_EPOCHS:]


def _alarms(reading: Reading) -> list[dict[str, Any]]:
    found: dict[tuple[str, int, str], dict[str, Any]] = {}
    for note in reading.notes:
        stage, epoch, name = (
            text(note.get("stage")),
            whole(note.get("epoch")),
            text(note.get("alarm")),
        )
        if note.get("kind") != "alarm" or stage is None or epoch is None or name is None:
            continue
        value, limit = (_shown(note.get(key)) for key in ("value", "limit"))
        taken = "remedy taken" if note.get("taken") is True else "remedy not taken"
        found[stage, epoch, name] = {
            "stage": stage,
            "epoch": epoch,
            "name": name,
            "message": f"{name}: {value}, limit {limit}; {taken}",
            "remedy": text(note.get("remedy")),
        }
    return list(found.values())


def _shown(value: object) -> str:
    known = number(value)
    return str(value)[:20] if known is None else f"{known:.3g}"


def _diagnoses(reading: Reading) -> list[str]:
    """Return why trainings went wrong: divergences, lost checkpoints, failures."""
    found = [
        str(each)
        for stage in reading.table.stages.values()
        for each in items(stage.finish.get("diagnoses"))
    ]
    keys = {"training_failed": "diagnosis", "checkpoint_lost": "reason"}
    for note in reading.notes:
        told = text(note.get(keys.get(str(note.get("kind")), "")))
        if told:
            found.append(f"{note.get('stage')}: {told}")
    return list(dict.fromkeys(found))


def _rank(reading: Reading) -> dict[str, Any] | None:
    """Return the report of `nas supernet rank`, and the last verdict where only that is there."""
    try:
        data = reading.run.read_view(RANK_VIEW)
        found = json.loads(data) if data else None
    except (NasError, OSError, ValueError, RecursionError):
        found = None
    if isinstance(found, dict):
        return found
    verdicts = [each for each in reading.table.verdicts if each.get("about") == "ranking"]
    if not verdicts:
        return None
    keys = ("verdict", "why", "within", "across", "members", "recipe")
    return {key: verdicts[-1].get(key) for key in keys}


# ---------------------------------------------------------------- the graph


def _graph(
    reading: Reading, gates: Gates | None
) -> tuple[dict[str, Any] | None, dict[str, Any], dict[str, str]]:
    """Return the preferred wiring with every optional edge, and whose edges and nodes they are."""
    decisions = _preferred(reading, gates)
    if decisions is None or reading.space is None:
        return None, {}, {}
    shape, classes = images_of(reading)
    try:
        document = _drawn(reading, decisions, shape, classes)
    except NasError:
        return None, {}, {}
    tied = list(gated_edges(document, decisions))
    edges = {each.edge: {"choice": each.choice, "option": each.option} for each in tied}
    probabilities = {each.edge: gates.last(each.choice, each.option) for each in tied if gates}
    for edge in document["edges"]:
        edge["gate"] = probabilities.get(edge["id"])
    return document, edges, node_choices(document, decisions)


def _drawn(
    reading: Reading, decisions: Mapping[str, Answer], shape: Shape, classes: int
) -> dict[str, Any]:
    assert reading.space is not None
    return architecture_document(reading.space.build(decisions), shape, classes)


def _preferred(reading: Reading, gates: Gates | None) -> dict[str, Answer] | None:
    """Return a member with all optional edges: what the relaxation prefers, as far as it is known.

    None where there was no relaxation, so that nothing is preferred.
    """
    stage = reading.table.stages.get("relax")
    if stage is None or reading.space is None:
        return None
    first = mapping(next(iter(items(stage.finish.get("preferred"))), None))

    def ask(choice: Choice) -> Answer:
        if isinstance(choice, SubsetOf):
            return list(choice.items)
        return _answer(choice, first.get(choice.name), gates)

    return reading.space.walk(ask)


def _answer(choice: OneOf, preferred: object, gates: Gates | None) -> Answer:
    """Return the preferred option, else the likeliest, else the first; an edge that is there."""
    likeliest = gates.likeliest(choice.name) if gates else None
    values = [option.value for option in choice.options]
    if choice.valid(preferred) and preferred != "none":
        return next(value for value in values if value == preferred)
    named = [value for value in values if str(value) == likeliest and value != "none"]
    return next(iter([*named, *(value for value in values if value != "none")]), values[0])
