"""Registries: a name, an entry, the paper it comes from, and an error that lists what there is.

Patterns, operations, merges, sharing policies, samplers, objectives and executors all live in one
of these. A new entry is one new file; the contract suites iterate over the registry, so it is
tested by existing. `Registry.load` imports the modules of a package so that files register
themselves without a list to keep in step.
"""

from __future__ import annotations

import difflib
import importlib
import math
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from nas.errors import ConfigError, NotFoundError

Entry = TypeVar("Entry")


@dataclass(frozen=True)
class Paper:
    """Source of an entry: authors, year, arXiv id (or `doi`)."""

    authors: str
    year: int
    arxiv: str | None = None
    title: str | None = None

    def __str__(self) -> str:
        link = f", arXiv:{self.arxiv}" if self.arxiv else ""
        return f"{self.authors} {self.year}{link}"


def suggest(name: str, known: list[str]) -> str | None:
    """Return the known name closest to `name`, or None when nothing is near."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return near[0] if near else None


class Registry(Generic[Entry]):
    """Named entries of one kind, kept in order of registration name.

    Args:
        kind: Singular noun for messages, such as `pattern`.
        package: Dotted name of the package whose modules register entries on first use.
        plural: Plural noun, by default `kind + "s"`.
    """

    def __init__(self, kind: str, package: str | None = None, plural: str | None = None) -> None:
        self.kind = kind
        self.plural = plural or f"{kind}s"
        self._package = package
        self._loaded = package is None
        self._entries: dict[str, Entry] = {}
        self._papers: dict[str, Paper | None] = {}

    def register(self, name: str, paper: Paper | None = None) -> Callable[[Entry], Entry]:
        """Return a decorator that files its argument under `name`.

        Raises:
            ConfigError: If the name is taken.
        """

        def decorate(entry: Entry) -> Entry:
            self.add(name, entry, paper)
            return entry

        return decorate

    def add(self, name: str, entry: Entry, paper: Paper | None = None) -> None:
        """File `entry` under `name`; a taken name is an error."""
        if name in self._entries:
            raise ConfigError(
                f"The {self.kind} '{name}' is registered already.",
                fix=f"Choose another name; taken are: {', '.join(sorted(self._entries))}.",
            )
        self._entries[name] = entry
        self._papers[name] = paper

    def load(self) -> None:
        """Import every module of the registry's package once."""
        if self._loaded or self._package is None:
            return
        self._loaded = True
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self._package}.{module.name}")

    def get(self, name: str) -> Entry:
        """Return the entry called `name`.

        Raises:
            NotFoundError: If there is none; the message lists what there is.
        """
        self.load()
        try:
            return self._entries[name]
        except KeyError:
            raise self.unknown(name) from None

    def unknown(self, name: str) -> NotFoundError:
        """Build the error for a name that is not here."""
        near = suggest(name, self.names())
        hint = f"Did you mean '{near}'? " if near else ""
        return NotFoundError(
            f"Unknown {self.kind} '{name}'.",
            fix=f"{hint}Known {self.plural}: {', '.join(self.names())}.",
        )

    def paper(self, name: str) -> Paper | None:
        """Return the source of the entry, if it has one."""
        self.get(name)
        return self._papers[name]

    def names(self) -> list[str]:
        """Return all names, sorted."""
        self.load()
        return sorted(self._entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __contains__(self, name: object) -> bool:
        self.load()
        return name in self._entries

    def __len__(self) -> int:
        self.load()
        return len(self._entries)


@dataclass(frozen=True)
class Parameter:
    """A number that an entry takes in brackets, as in `decayed_identity(a_min=0.6)`.

    Args:
        default: Its value where nothing is written.
        low: Smallest value allowed.
        high: Largest value allowed.
        meaning: What it is, in a few words.
    """

    default: float
    low: float
    high: float
    meaning: str


def read_written(text: str) -> tuple[str, dict[str, float]]:
    """Split `NAME` or `NAME(key=number,...)` into the name and its numbers.

    Raises:
        ConfigError: If the text is not of that form, or a number is written twice.
    """
    name, bracket, rest = text.strip().partition("(")
    if bracket and not rest.endswith(")"):
        raise ConfigError(
            f"'{text}' has a bracket that is not closed.", fix=f"Write {name}(key=number)."
        )
    numbers: dict[str, float] = {}
    for piece in filter(None, rest[:-1].split(",")):
        key, _, written = (part.strip() for part in piece.partition("="))
        try:
            number = float(written)
        except ValueError:
            number = math.nan
        if not key or not math.isfinite(number):
            raise ConfigError(
                f"'{piece}' is no parameter of the form key=number.",
                where=text,
                fix=f"Write {name.strip()}(key=number).",
            )
        if key in numbers:
            raise ConfigError(f"The parameter '{key}' is there twice.", where=text, fix="Keep one.")
        numbers[key] = number
    return name.strip(), numbers


def complete_parameters(
    text: str, known: Mapping[str, Parameter], given: Mapping[str, float]
) -> dict[str, float]:
    """Return all numbers of an entry, the written ones over the defaults.

    Args:
        text: What was written, for messages.
        known: The entry's parameters.
        given: The numbers that were written.

    Raises:
        ConfigError: If a parameter is unknown or out of range; the nearest is named.
    """
    for key, value in given.items():
        if key not in known:
            near = suggest(key, list(known))
            names = ", ".join(known) or "none"
            raise ConfigError(
                f"There is no parameter '{key}'.",
                where=text,
                fix=(f"Did you mean '{near}'? " if near else "") + f"Its parameters are: {names}.",
            )
        low, high = known[key].low, known[key].high
        if not low <= value <= high:
            raise ConfigError(
                f"'{key}' is {value:g}; it must be {low:g} to {high:g}.",
                where=text,
                fix=f"The nearest is {key}={min(max(value, low), high):g}.",
            )
    return {key: given.get(key, parameter.default) for key, parameter in known.items()}
