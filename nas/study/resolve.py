"""From a study's file to a checked config and its methods.

Everything that can be known to be wrong before work begins is refused here: names, options,
labels that stand twice, wirings a space lacks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nas.config_files import Document, apply_overrides, load_document, validate_document
from nas.errors import ConfigError, NasError, RunError
from nas.search.settings.presets import RECIPE, merge
from nas.space import load_space, space_from_dict
from nas.space.declared import import_plugins
from nas.study.config import SCHEMA, StudyConfig
from nas.study.methods.base import METHODS, AbstractMethod
from nas.study.session import spaces_of


def read_study(path: Path | str) -> Document:
    """Return the document of a study.

    Raises:
        NotFoundError: If there is no such file.
        ConfigError: If it is no study.
    """
    document = load_document(Path(path).expanduser())
    schema = document.data.get("schema") if isinstance(document.data, dict) else None
    if schema != SCHEMA:
        raise ConfigError(
            f"{document.name} is no study: its schema is {schema!r}.",
            where=document.where(("schema",)),
            fix=f"Start the file with 'schema: {SCHEMA}'.",
        )
    return document


def resolve_study(
    source: Path | str | Document | Mapping[str, Any], overrides: Iterable[str] = ()
) -> StudyConfig:
    """Return the complete config of a study, checked, its spaces declared in full.

    Args:
        source: A file, a parsed document, or plain keys.
        overrides: `key.subkey=value` assignments that win over it.

    Raises:
        ConfigError: If a key, type, number or combination is wrong; the place is named.
        NotFoundError: If a space, method, wiring or plugin does not exist.
    """
    document = _document(source)
    document = apply_overrides(document, overrides)
    if isinstance(document.data, dict):
        given = document.data.get("recipe")
        if given is None or isinstance(given, dict):
            layered = {**document.data, "recipe": merge(RECIPE, given or {})}
            document = replace(document, data=layered)
    config = validate_document(document, StudyConfig)
    import_plugins(config.plugins, document)
    config = config.model_copy(update={"spaces": _declared(config, document)})
    methods = make_methods(config, document)
    _check_methods(config, methods, document)
    return config


def make_methods(config: StudyConfig, document: Document | None = None) -> list[AbstractMethod]:
    """Return the methods of a study.

    Args:
        config: The study; its plugins are imported.
        document: Where it was written, for errors.

    Raises:
        NotFoundError: If a kind is unknown; the message lists the known ones.
        ConfigError: If a method has no kind, or an option is unknown or wrong.
    """
    document = document or Document(config.to_dict(), "study")
    return [_method(each, place, document) for place, each in enumerate(config.methods)]


def check_same_study(kept: Mapping[str, Any], config: StudyConfig, where: str) -> None:
    """Refuse to go on with a folder that was made from another file.

    Args:
        kept: The config of the folder.
        config: What the file says now.
        where: The folder.

    Raises:
        RunError: Naming the first key that differs.
    """
    try:
        # A newer version may know more keys: what the old file left open has its default.
        before = StudyConfig.model_validate(kept).to_dict()
    except ValidationError:
        before = dict(kept)
    difference = _difference(before, config.to_dict())
    if difference is None:
        return
    key, before, now = difference
    raise RunError(
        f"The study's file has changed: {key} is {_short(now)}, the folder was made with "
        f"{_short(before)}.",
        where=where,
        why="Its cells were trained with the old settings; mixing both is no study.",
        fix="Put the old value back, or give the study another name.",
    )


def _document(source: Path | str | Document | Mapping[str, Any]) -> Document:
    if isinstance(source, Document):
        return source
    if isinstance(source, Mapping):
        return Document({"schema": SCHEMA, **source}, "study")
    return read_study(source)


def _declared(config: StudyConfig, document: Document) -> list[dict[str, Any]]:
    """Return every space declared in full, so that a folder needs no file but the data."""
    found: list[dict[str, Any]] = []
    known: dict[str, int] = {}
    for place, each in enumerate(config.spaces):
        try:
            space = load_space(each) if isinstance(each, str) else space_from_dict(each, "space")
        except NasError as error:
            error.where = document.where(("spaces", place))
            raise
        if known.setdefault(space.fingerprint, place) != place:
            raise ConfigError(
                f"The space '{space.name}' stands twice.",
                where=document.where(("spaces", place)),
                why="The same networks would count as two blocks of the comparison.",
                fix="Name it once.",
            )
        found.append(space.to_dict())
    return found


def _method(declared: Mapping[str, Any], place: int, document: Document) -> AbstractMethod:
    where = document.where(("methods", place))
    options = {key: value for key, value in declared.items() if key != "kind"}
    kind = declared.get("kind")
    if not isinstance(kind, str):
        raise ConfigError(
            "A method of the study has no kind.",
            where=where,
            fix=f"Write {{kind: NAME, ...}}; there are: {', '.join(METHODS.names())}.",
        )
    try:
        found = METHODS.get(kind)
        checked = validate_document(Document(options, f"method '{kind}'"), found.Options)
    except NasError as error:
        error.where = where
        raise
    return found(checked)


def _check_methods(config: StudyConfig, methods: list[AbstractMethod], document: Document) -> None:
    labels = [method.label for method in methods]
    for place, method in enumerate(methods):
        if method.label in labels[:place]:
            raise ConfigError(
                f"Two methods of the study are called '{method.label}'.",
                where=document.where(("methods", place)),
                fix="Give one of them a label: {..., label: another name}.",
            )
        for space in spaces_of(config):
            try:
                method.check(space)
            except NasError as error:
                error.where = document.where(("methods", place))
                raise
    if config.control is not None and config.control not in labels:
        raise ConfigError(
            f"The control '{config.control}' is no method of the study.",
            where=document.where(("control",)),
            fix=f"Its methods are: {', '.join(labels)}.",
        )


def _difference(before: Any, now: Any, path: str = "") -> tuple[str, Any, Any] | None:
    """Return the first key whose value differs, with both values."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        pairs = [(str(key), before.get(key), now.get(key)) for key in {**before, **now}]
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        pairs = [(str(place), *both) for place, both in enumerate(zip(before, now, strict=True))]
    else:
        return None if before == now else (path or "the file", before, now)
    for key, old, new in pairs:
        found = _difference(old, new, f"{path}.{key}" if path else key)
        if found is not None:
            return found
    return None


def _short(value: Any) -> str:
    text = "empty" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
