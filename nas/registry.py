"""Registries: a name, an entry, the paper it comes from, and an error that lists what there is.

Patterns, operations, merges, sharing policies, samplers, objectives and executors all live in one
of these. A new entry is one new file; the contract suites iterate over the registry, so it is
tested by existing. `Registry.load` imports the modules of a package so that files register
themselves without a list to keep in step.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Iterator
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
