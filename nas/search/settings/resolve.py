"""From what the user typed to a complete config: presets, names, contradictions.

Everything that can be known to be wrong before work begins is refused here: unknown names with
the list of known ones, constraints that no member can meet, numbers beyond reason. The result holds
the space's declaration, so it needs no file but the data.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from nas.config_files import Document, apply_overrides, load_document, validate_document
from nas.errors import ConfigError, NasError, NotFoundError
from nas.objectives.constraints import parse_constraints
from nas.objectives.names import resolve_objectives
from nas.registry import suggest
from nas.search.quantisation import check_quantisation
from nas.search.settings.config import SCHEMA, SearchConfig
from nas.search.settings.presets import PRESETS, layered, merge
from nas.space import AbstractSpace, load_space, space_from_dict
from nas.space.declared import SCHEMA as SPACE_SCHEMA
from nas.space.declared import import_plugins, space_names
from nas.space.quantised import QuantisedSpace


def read_search(source: str | Path) -> Document:
    """Return the document of a search: a config file, a space file, or the name of a space.

    Raises:
        NotFoundError: If there is neither such a file nor such a space.
        ConfigError: If the file is neither a search nor a space.
    """
    text = str(source)
    if not ("/" in text or text.endswith((".yaml", ".yml", ".json"))):
        if text not in space_names():
            raise _unknown_space(text)
        return Document({"schema": SCHEMA, "space": text}, f"space '{text}'")
    document = load_document(Path(text).expanduser())
    schema = document.data.get("schema") if isinstance(document.data, dict) else None
    if schema == SPACE_SCHEMA:
        return Document({"schema": SCHEMA, "space": text}, document.name)
    if schema != SCHEMA:
        raise ConfigError(
            f"{document.name} is neither a search nor a space: its schema is {schema!r}.",
            where=document.where(("schema",)),
            fix=f"Start the file with 'schema: {SCHEMA}' or 'schema: {SPACE_SCHEMA}'.",
        )
    return document


def _unknown_space(name: str) -> NotFoundError:
    near = suggest(name, space_names())
    hint = f"Did you mean '{near}'? " if near else ""
    return NotFoundError(
        f"There is neither a config file nor a space '{name}'.",
        fix=f"{hint}Known spaces: {', '.join(space_names())}; or give the path of a .yaml file.",
    )


def resolve_config(
    source: str | Path | Document | Mapping[str, Any],
    *,
    options: Mapping[str, Any] | None = None,
    overrides: Iterable[str] = (),
) -> SearchConfig:
    """Return the complete config of a search, checked.

    Args:
        source: A config file, a space (name or file), a parsed document, or plain keys.
        options: Keys that win over the source, by dotted path; None values are left out.
        overrides: `key.subkey=value` assignments that win over both.

    Raises:
        ConfigError: If a key, type, number or combination is wrong; the place is named.
        NotFoundError: If a space, sampler, objective, policy or plugin does not exist.
    """
    document = _document(source)
    for path, value in (options or {}).items():
        if value is not None:
            document = _with(document, path, value)
    document = apply_overrides(document, overrides)
    config = validate_document(_on_preset(document), SearchConfig)
    import_plugins(config.plugins, document)
    constraints = canonical_constraints(config.constraints, document)
    space = resolve_space(config)
    config = config.model_copy(update={"space": space.to_dict(), "constraints": constraints})
    check_names(config, document)
    check_path_sampler(config, space, document)
    check_relaxation(config, space, document)
    check_quantisation(config, document)
    return config


def resolve_space(config: SearchConfig) -> AbstractSpace:
    """Return the space of a config, whether named or declared inline."""
    if isinstance(config.space, str):
        return load_space(config.space)
    return _declared_space(json.dumps(config.space))


@lru_cache(maxsize=4)
def _declared_space(text: str) -> AbstractSpace:
    """Return the space of a declaration: checking it builds members, and many ask for the same."""
    return space_from_dict(json.loads(text), "space")


def searched_space(config: SearchConfig, space: AbstractSpace | None = None) -> AbstractSpace:
    """Return what the outer search proposes from: architectures, and number formats if it says.

    Args:
        config: A resolved config.
        space: Its space, where that was resolved already, which takes a while.
    """
    space, settings = space or resolve_space(config), config.quantisation
    return QuantisedSpace(space, settings.policies, settings.per) if settings else space


def _document(source: str | Path | Document | Mapping[str, Any]) -> Document:
    if isinstance(source, Document):
        return source
    if isinstance(source, Mapping):
        return Document({"schema": SCHEMA, **source}, "config")
    return read_search(source)


def _with(document: Document, path: str, value: Any) -> Document:
    keys = tuple(path.split("."))
    data: Any = value
    for key in reversed(keys):
        data = {key: data}
    overrides = {**document.overrides, keys: f"option {path}"}
    return replace(document, data=merge(document.data or {}, data), overrides=overrides)


def _on_preset(document: Document) -> Document:
    """Put the preset's budgets under what the user wrote."""
    data = document.data
    if not isinstance(data, dict):
        return document  # validation says what is wrong
    preset = data.get("preset", "small")
    if preset not in PRESETS:
        return document
    return replace(document, data=layered(preset, data))


def check_names(config: SearchConfig, document: Document) -> None:
    """Check every name of the config against what is registered.

    Raises:
        NotFoundError: If a name is unknown; the message lists what there is.
        ConfigError: If two objectives are the same.
    """
    from nas.search.samplers import SAMPLERS
    from nas.supernet.sharing_rule import SharingRule

    try:
        resolve_objectives(config.objectives)
    except NasError as error:
        error.where = error.where or document.where(("objectives",))
        raise
    if config.search.sampler not in SAMPLERS:
        raise SAMPLERS.unknown(config.search.sampler)
    _check_rivals(config, document)
    try:
        rule = SharingRule.of(config.supernet.sharing)
        if config.supernet.weights == "hypernetwork":
            rule.check_hypernetwork()
    except NasError as error:
        error.where = document.where(("supernet", "sharing"))
        raise


def _check_rivals(config: SearchConfig, document: Document) -> None:
    """Check that every rival of the confirmation exists, once, and is none of the searched."""
    from nas.search.confirm.arms import ARMS

    names = config.confirm.rivals
    where = document.where(("confirm", "rivals"))
    for name in names:
        if name not in ARMS:
            error = ARMS.unknown(name)
            error.where = where
            raise error
        if names.count(name) > 1 or ARMS.get(name).kind == "searched":
            raise ConfigError(
                f"'{name}' is {'named twice' if names.count(name) > 1 else 'no rival'}.",
                where=where,
                why="What the search found always takes part; rivals stand beside it, each once.",
                fix=f"Leave it out of confirm.rivals: {', '.join(names)}.",
            )


def check_path_sampler(config: SearchConfig, space: AbstractSpace, document: Document) -> None:
    """Check that the path sampler exists, that its options are right, and that it fits the space.

    Raises:
        NotFoundError: If there is no such sampler; the message lists the known ones.
        ConfigError: If an option is wrong.
        SpaceError: If the sampler does not fit the space.
    """
    from nas.supernet.declared_parts import make_part
    from nas.supernet.path_samplers import PATH_SAMPLERS, WHERE

    where = document.where(tuple(WHERE.split("."))) or WHERE
    try:
        make_part(PATH_SAMPLERS, config.supernet.training.sampler, where).check(space)
    except NasError as error:
        error.where = where
        raise


def check_relaxation(config: SearchConfig, space: AbstractSpace, document: Document) -> None:
    """Check that every part of the relaxation exists, and that it fits the space if it is used.

    Raises:
        NotFoundError: If a part is unknown; the message lists the known ones.
        ConfigError: If an option is wrong, or a part or preset does not fit the space.
    """
    from nas.supernet.relaxation_parts import check_fit, check_parts

    settings = config.supernet.relaxation
    try:
        check_parts(settings)
        if settings.enabled:
            check_fit(settings, space)
    except NasError as error:
        inner = (error.where or "relaxation").split(".")
        error.where = document.where(("supernet", *inner))
        raise


def canonical_constraints(given: Any, document: Document) -> dict[str, dict[str, float | str]]:
    """Return constraints by the full name of their objective, checked.

    A bound that was written with a unit keeps one, so that nobody doubts later what it means.

    Raises:
        ConfigError: If one is malformed, absurd, or contradicts another; both are named.
    """
    try:
        constraints = parse_constraints(given, say_doubts=True)
    except NasError as error:
        error.where = error.where or document.where(("constraints",))
        raise
    bounds: dict[str, dict[str, float | str]] = {}
    for each in constraints:
        upper = each.upper if each.bare else f"{each.upper!r} {each.unit}"
        bounds[each.objective] = {"max": upper}
        if each.lower is not None:
            bounds[each.objective]["min"] = each.lower
    return bounds
