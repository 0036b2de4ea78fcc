"""The gates of a relaxation as it noted them, and the edges and nodes of a drawing they act on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

from .plain import items, mapping, number, text, whole


@final
@dataclass(frozen=True)
class Gates:
    """What a relaxation's gates were over its training.

    Args:
        steps: Epochs that were noted.
        kinds: Per choice `one_of` or `subset_of`.
        options: Per choice its answers.
        values: Per choice the probabilities, by step, then by answer.
    """

    steps: tuple[int, ...]
    kinds: Mapping[str, str]
    options: Mapping[str, tuple[str, ...]]
    values: Mapping[str, tuple[tuple[float, ...], ...]]

    @classmethod
    def read(cls, notes: Iterable[Mapping[str, Any]]) -> Gates | None:
        """Read the notes of a run, oldest first; None where there are none that fit together."""
        told: dict[str, Any] = {}
        noted: dict[int, Mapping[str, Any]] = {}
        for note in notes:
            if note.get("kind") == "gate_options":
                told.update(mapping(note.get("choices")))
            elif note.get("kind") == "gates" and whole(note.get("epoch")) is not None:
                # An epoch noted again, by a later owner, replaces the first.
                noted[int(note["epoch"])] = mapping(note.get("gates"))
        steps = tuple(sorted(noted))
        options = {
            str(name): tuple(str(each) for each in items(mapping(choice).get("options")))
            for name, choice in told.items()
        }
        values = {
            name: found
            for name, labels in options.items()
            if (found := _values([noted[step].get(name) for step in steps], len(labels)))
        }
        if not values:
            return None
        kinds = {name: _kind(mapping(told[name])) for name in values}
        return cls(steps, kinds, {name: options[name] for name in values}, values)

    def last(self, choice: str, option: str) -> float | None:
        """Return the probability of an answer at the end; None where no gate has it."""
        labels = self.options.get(choice, ())
        return self.values[choice][-1][labels.index(option)] if option in labels else None

    def likeliest(self, choice: str) -> str | None:
        """Return the answer of highest probability at the end."""
        if choice not in self.values:
            return None
        last = self.values[choice][-1]
        return self.options[choice][max(range(len(last)), key=last.__getitem__)]

    def to_dict(self) -> dict[str, Any]:
        """Return the gates as the page reads them."""
        return {
            "steps": [{"epoch": step} for step in self.steps],
            "choices": [
                {
                    "name": name,
                    "kind": self.kinds[name],
                    "stage": stage_of(name),
                    "options": list(self.options[name]),
                    "values": [list(row) for row in self.values[name]],
                }
                for name in self.values
            ],
        }


def _kind(choice: Mapping[str, Any]) -> str:
    return "subset_of" if text(choice.get("kind")) == "subset_of" else "one_of"


def _values(rows: list[Any], width: int) -> tuple[tuple[float, ...], ...]:
    """Return rows of probabilities; nothing where a row is missing or has another length."""
    found = []
    for row in rows:
        known = [number(value) for value in items(row)]
        if len(known) != width or not width or None in known:
            return ()
        found.append(tuple(value for value in known if value is not None))
    return tuple(found)


def stage_of(choice: str) -> str | None:
    """Return the stage that a choice is about: `stage2` of `stage2.op3.inputs`."""
    parts = choice.removeprefix("cross.").split(".")
    return parts[0] if len(parts) > 1 else None


@final
@dataclass(frozen=True)
class GatedEdge:
    """An edge of a drawing that an answer switches on.

    Args:
        edge: Id of the edge.
        source: Id of the node it leaves.
        target: Id of the node it enters.
        choice: The question.
        option: The answer.
    """

    edge: str
    source: str
    target: str
    choice: str
    option: str


def gated_edges(document: Mapping[str, Any], decisions: Mapping[str, Any]) -> Iterator[GatedEdge]:
    """Yield the edges of a drawing that answers of its decisions switched on.

    Args:
        document: An architecture, as it is drawn.
        decisions: What it was built from.
    """
    into: dict[str, list[Mapping[str, Any]]] = {}
    for edge in document["edges"]:
        into.setdefault(edge["target"], []).append(edge)
    for choice, answer in decisions.items():
        place, _, question = choice.rpartition(".")
        if question in ("inputs", "parent"):
            chosen = [str(each) for each in (answer if isinstance(answer, list) else [answer])]
            yield from _chosen_inputs(place, choice, chosen, into)
        elif question.startswith("edge") and "-" in question:
            yield from _cell_edges(place, question, choice, str(answer), into)


def _chosen_inputs(
    place: str, choice: str, chosen: list[str], into: Mapping[str, list[Mapping[str, Any]]]
) -> Iterator[GatedEdge]:
    """Yield the edges into one node, or into a stage's entry from earlier stages."""
    target = f"{place.removeprefix('cross.')}.in" if place.startswith("cross.") else place
    for edge in into.get(target, []):
        for option in chosen:
            if _is_source(str(edge["source"]), option, place):
                yield GatedEdge(edge["id"], edge["source"], target, choice, option)
                break


def _is_source(source: str, option: str, place: str) -> bool:
    """Tell whether an item of a choice, a name within its stage or a whole one, is a node."""
    if place.startswith("cross."):
        return source == option or source.startswith(f"{option}.")
    stage = place.rpartition(".")[0]
    entry = option == "in" and source in ("stem", f"{stage}.in")
    return entry or source in (option, f"{stage}.{option}")


def _cell_edges(
    owner: str, question: str, choice: str, option: str, into: Mapping[str, list[Mapping[str, Any]]]
) -> Iterator[GatedEdge]:
    """Yield an edge of all cells that a choice is about: of one, of a stage's, or of all."""
    source, _, target = question.removeprefix("edge").partition("-")
    for node, edges in into.items():
        cell, slash, name = node.rpartition("/")
        if not slash or name != f"node{target}":
            continue
        if owner != "cell" and cell != owner and not cell.startswith(f"{owner}."):
            continue
        for edge in edges:
            if edge["source"] == f"{cell}/node{source}":
                yield GatedEdge(edge["id"], edge["source"], node, choice, option)


def node_choices(document: Mapping[str, Any], names: Iterable[str]) -> dict[str, str]:
    """Return, per node of a drawing, the choice of what it computes, or of how it merges.

    Args:
        document: An architecture, as it is drawn.
        names: Choices that may be about a node.
    """
    known = set(names)
    found = {}
    for node in document["nodes"]:
        name, stage = str(node["id"]), str(node["id"]).rpartition(".")[0]
        asked = [f"{name}.operation", f"{name}.merge"]
        if name.startswith(f"{stage}.op"):  # a stage's entry has the operation of transitions
            asked.insert(1, f"{stage}.operation")
        choice = next((each for each in asked if each in known), None)
        if choice is not None:
            found[name] = choice
    return found
