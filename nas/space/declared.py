"""Declared spaces: from a name or a YAML file to a space.

A bare name is a space that comes with the package; anything with a path separator or a `.yaml`
ending is a file of the user's own. Plugins named in the file are imported first, so that their
patterns, operations and merges are known when the names are checked.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from nas.config_files import Document, load_document, validate_document
from nas.errors import ConfigError, NasError, NotFoundError, SpaceError
from nas.foreign_code import check_may_start
from nas.registry import suggest
from nas.space.base import AbstractSpace
from nas.space.cells import CellSpace, CellSpaceDeclaration
from nas.space.edited import EditedSpace, EditedSpaceDeclaration
from nas.space.staged import StagedDeclaration, StagedSpace

SCHEMA = "nas.space/1"


_KINDS: dict[str, Callable[[Document], AbstractSpace]] = {
    "stages": lambda document: StagedSpace(validate_document(document, StagedDeclaration)),
    "cells": lambda document: CellSpace(validate_document(document, CellSpaceDeclaration)),
    "edits": lambda document: EditedSpace(validate_document(document, EditedSpaceDeclaration)),
}
KINDS = tuple(_KINDS)


def spaces_folder() -> Path:
    """Return the folder of the spaces that come with the package (a wheel or a checkout)."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "_spaces"
    return installed if installed.is_dir() else package.parent / "search_spaces"


def space_names() -> list[str]:
    """Return the names of the spaces that come with the package, sorted."""
    return sorted(path.stem for path in spaces_folder().glob("*.yaml"))


def load_space(name_or_path: str | Path) -> AbstractSpace:
    """Load a space by name, or from a file of the user's own.

    Raises:
        NotFoundError: If there is no such space or file; the message lists the known names.
        ConfigError: If the file breaks the format, with line and key.
        SpaceError: If the space is empty, contradictory or cannot be built.
    """
    text = str(name_or_path)
    if "/" in text or text.endswith((".yaml", ".yml", ".json")):
        return space_from_document(load_document(Path(text).expanduser()))
    if text not in space_names():
        near = suggest(text, space_names())
        hint = f"Did you mean '{near}'? " if near else ""
        raise NotFoundError(
            f"Unknown space '{text}'.",
            fix=f"{hint}Known spaces: {', '.join(space_names())}; "
            "or give the path of a .yaml file.",
        )
    return space_from_document(load_document(spaces_folder() / f"{text}.yaml"))


def space_from_dict(data: Mapping[str, Any], name: str = "<space>") -> AbstractSpace:
    """Rebuild a space from `AbstractSpace.to_dict()`, as a run folder keeps it."""
    return space_from_document(Document(dict(data), name, ""))


def space_from_document(document: Document) -> AbstractSpace:
    """Check a parsed declaration and return its space."""
    data = document.data
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        found = data.get("schema") if isinstance(data, dict) else None
        raise ConfigError(
            f"{document.name} is not a search space: its schema is {found!r}.",
            where=document.where(("schema",)),
            fix=f"Start the file with 'schema: {SCHEMA}'.",
        )
    import_plugins(_plugins(data), document)
    kind = data.get("kind")
    if kind not in KINDS:
        raise ConfigError(
            f"Unknown kind of space {kind!r}.",
            where=document.where(("kind",)),
            fix=f"Known kinds: {', '.join(KINDS)}.",
        )
    try:
        space = _KINDS[kind](document)
        if space.count() < 1:
            raise SpaceError(
                f"The space '{space.name}' is empty.", fix="Offer an option somewhere."
            )
        space.check()
    except NotFoundError as error:
        error.where = document.where(_key_path(error.where or ""))
        raise
    except NasError as error:
        if error.where is None or not error.where.startswith(document.name):
            error.where = document.name + (f", {error.where}" if error.where else "")
        raise
    return space


def _key_path(text: str) -> tuple[str | int, ...]:
    """Return `stages.0.merge` as its parts."""
    return tuple(int(part) if part.isdigit() else part for part in text.split(".") if part)


def _plugins(data: Mapping[str, Any]) -> list[str]:
    plugins = data.get("plugins", [])
    return [name for name in plugins if isinstance(name, str)] if isinstance(plugins, list) else []


def import_plugins(modules: Iterable[str], document: Document | None = None) -> None:
    """Import modules that register operations, merges, patterns or objectives.

    Raises:
        NotFoundError: If there is no such module.
        ConfigError: If its import fails.
        RunError: If this process may start no code of others.
    """
    where = document.where(("plugins",)) if document is not None else "plugins"
    for name in modules:
        check_may_start(f"the plugin '{name}'", where)
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            raise NotFoundError(
                f"There is no plugin module '{name}'.",
                where=where,
                why=str(error),
                fix="Install it, or put its folder on PYTHONPATH.",
            ) from error
        except NasError:
            raise
        except Exception as error:
            raise ConfigError(
                f"The plugin module '{name}' fails on import: {type(error).__name__}: {error}",
                where=where,
                fix=f"Try 'python -c \"import {name}\"'.",
            ) from error
