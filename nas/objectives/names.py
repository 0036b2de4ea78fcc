"""The registry of objectives, and how a name such as `latency_ms[eager,b1,fp32]` is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from nas.errors import ConfigError
from nas.objectives.base import AbstractObjective
from nas.objectives.elsewhere import AT, elsewhere
from nas.registry import Paper, Registry
from nas.units import parse_unit

OBJECTIVES: Registry[type[AbstractObjective]] = Registry(
    "objective", package="nas.objectives.kinds"
)

Kind = TypeVar("Kind", bound=AbstractObjective)

_FORM = re.compile(r"\s*(?P<family>[^\[\]]*?)\s*(?:\[(?P<inside>[^\[\]]*)\])?\s*")


def objective(paper: Paper | None = None) -> Callable[[type[Kind]], type[Kind]]:
    """Return a decorator that registers an objective class under its `family`.

    Raises:
        ConfigError: If the name is taken, or the unit is none of `nas.units`.
    """

    def decorate(kind: type[Kind]) -> type[Kind]:
        kind.unit = parse_unit(kind.unit)
        OBJECTIVES.add(kind.family, kind, paper)
        return kind

    return decorate


def resolve_objective(name: str) -> AbstractObjective:
    """Return the objective called `name`.

    Args:
        name: A registered name or an alias, with qualifiers in brackets where it takes some:
            `error`, `latency`, `latency_ms[eager,b8,fp32]`. What is left out has its default.
            Behind an `@` a latency takes the name of another device.

    Raises:
        NotFoundError: If there is no such objective; the message lists what there is.
        ConfigError: If the name is malformed or the qualifiers do not fit.
    """
    base, at, column = name.partition(AT)
    if at:
        return elsewhere(resolve_objective(base), column.strip())
    form = _FORM.fullmatch(name)
    if form is None or not form["family"]:
        raise ConfigError(
            f"'{name}' is no name of an objective.",
            fix=f"Write NAME or NAME[a,b], NAME one of: {', '.join(OBJECTIVES.names())}.",
        )
    family = _aliases().get(form["family"], form["family"])
    inside = form["inside"]
    if inside is None:
        return OBJECTIVES.get(family).qualified(())
    words = tuple(word.strip() for word in inside.split(","))
    if not all(words):
        raise ConfigError(
            f"The brackets of '{name}' are empty or hold an empty word.",
            fix=f"Write '{form['family']}' for the defaults.",
        )
    return OBJECTIVES.get(family).qualified(words)


def resolve_objectives(names: Sequence[str]) -> tuple[AbstractObjective, ...]:
    """Return the objectives of a search, in order.

    Raises:
        NotFoundError: If one does not exist.
        ConfigError: If there are none, or two names mean the same one.
    """
    if not names:
        raise ConfigError(
            "A search needs at least one objective; got none.",
            fix=f"Choose among: {', '.join(OBJECTIVES.names())}.",
        )
    found: dict[AbstractObjective, str] = {}
    for name in names:
        resolved = resolve_objective(name)
        if resolved in found:
            raise ConfigError(
                f"The objectives '{found[resolved]}' and '{name}' are the same, {resolved.name}.",
                fix="Keep one of them.",
            )
        found[resolved] = name
    return tuple(found)


def _aliases() -> dict[str, str]:
    return {alias: family for family in OBJECTIVES for alias in OBJECTIVES.get(family).aliases}
