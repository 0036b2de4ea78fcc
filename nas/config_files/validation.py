"""Data against a pydantic model, and pydantic's complaints in the words of this project.

Validation is strict and goes through JSON: text is never a number, a boolean never an integer,
while lists still become tuples and text becomes paths or enum members.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from nas.config_files.documents import Document, show_path
from nas.config_files.yaml_events import KeyPath
from nas.errors import ConfigError, NasError

Model = TypeVar("Model", bound=BaseModel)

_WANTED = {
    "bool_type": "true or false",
    "dict_type": "a mapping of keys to values",
    "finite_number": "a finite number",
    "float_type": "a number",
    "int_from_float": "a whole number",
    "int_type": "a whole number",
    "list_type": "a list",
    "model_attributes_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "set_type": "a list",
    "string_type": "text",
    "tuple_type": "a list",
}
_BOUNDS = {
    "ge": "at least {}",
    "gt": "greater than {}",
    "le": "at most {}",
    "lt": "less than {}",
    "multiple_of": "a multiple of {}",
    "min_length": "of length {} or more",
    "max_length": "of length {} or less",
}
_KINDS = {dict: "a mapping", list: "a list", str: "text", bool: "true or false"}


def validate_document(
    document: Document,
    model: type[Model],
    *,
    context: dict[str, Any] | None = None,
    error: type[NasError] = ConfigError,
) -> Model:
    """Return `document.data` as a `model`.

    Args:
        document: Data with its lines.
        model: What it has to be; unknown keys are refused where the model forbids extras.
        context: Passed to the model's validators.
        error: Class to raise, such as `SpaceError`.

    Raises:
        ConfigError: Or `error`: what is wrong with the first bad key, where, and the way out;
            further faults are listed after it. An error of ours that a validator raises keeps
            its own class.
    """
    data = {} if document.data is None else document.data
    if not isinstance(data, dict):
        raise error(
            f"{document.name} holds {_show(data)} where a mapping of keys to values is expected.",
            where=document.where(()),
            fix="Write lines of the form 'key: value'.",
        )
    try:
        return model.model_validate_json(json.dumps(data), strict=True, context=context)
    except ValidationError as refused:
        faults = list(_faults(refused, data, document, model, error))
    first, rest = faults[0], faults[1:]
    if rest:
        others = "\n".join(f"also {fault.where}: {fault.what}" for fault in rest[:5])
        more = f"\nand {len(rest) - 5} more" if len(rest) > 5 else ""
        first.what = f"{first.what}\n{others}{more}"
        first.args = (first.what,)
    raise first


def _faults(
    refused: ValidationError,
    data: Any,
    document: Document,
    model: type[BaseModel],
    kind: type[NasError],
) -> Iterator[NasError]:
    """One error per bad key, misspelt keys first, for they explain the missing ones.

    A union complains once per member, of which the deepest counts.
    """
    by_path: dict[KeyPath, ErrorDetails] = {}
    details = refused.errors(include_url=False)
    for detail in sorted(details, key=lambda each: each["type"] != "extra_forbidden"):
        by_path.setdefault(_key_path(data, detail), detail)
    for path, detail in by_path.items():
        if any(len(other) > len(path) and other[: len(path)] == path for other in by_path):
            continue
        yield _fault(detail, path, document, model, kind)


def _fault(
    detail: ErrorDetails,
    path: KeyPath,
    document: Document,
    model: type[BaseModel],
    kind: type[NasError],
) -> NasError:
    where = document.where(path)
    cause = detail.get("ctx", {}).get("error")
    if isinstance(cause, NasError):
        return type(cause)(cause.what, where=cause.where or where, why=cause.why, fix=cause.fix)
    name = show_path(path)
    if detail["type"] == "extra_forbidden":
        return kind(f"Unknown key '{name}'.", where=where, fix=_near_key(model, path))
    if detail["type"] == "missing":
        return kind(f"Key '{name}' is missing.", where=where, fix=f"Add '{path[-1]}: ...'.")
    got = _show(detail["input"])
    if detail["type"] in ("literal_error", "enum"):
        what = f"Key '{name}' is {got}, which is no choice."
        return kind(what, where=where, fix=_choices(detail))
    subject = f"Key '{name}' is {got}" if path else f"{document.name} breaks a rule"
    fix = _default(model, path) if path else "Change the file."
    return kind(f"{subject}; {_rule(detail, model, path)}.", where=where, fix=fix)


def _default(model: type[BaseModel], path: KeyPath) -> str:
    for field in _fields_at(model, path[:-1], path[-1]):
        if isinstance(field.default, (bool, int, float, str)):
            # Without its value: a preset may lay another one under the model's own.
            return "Leave it out for the default."
    return "Change the value."


def _rule(detail: ErrorDetails, model: type[BaseModel], path: KeyPath) -> str:
    wanted = _WANTED.get(detail["type"])
    bounds = _bounds(model, path)
    if wanted or any(bound in detail.get("ctx", {}) for bound in _BOUNDS):
        in_bounds = " and ".join(bounds or _own_bounds(detail))
        return "it must be " + ", ".join(part for part in (wanted, in_bounds) if part)
    if detail["type"] == "value_error":
        return str(detail.get("ctx", {}).get("error", detail["msg"])).rstrip(".")
    return detail["msg"][:1].lower() + detail["msg"][1:].rstrip(".")


def _own_bounds(detail: ErrorDetails) -> list[str]:
    context = detail.get("ctx", {})
    return [text.format(context[key]) for key, text in _BOUNDS.items() if key in context]


def _bounds(model: type[BaseModel], path: KeyPath) -> list[str]:
    """Name the whole range of a field, not only the end that was overrun."""
    found: list[str] = []
    for field in _fields_at(model, path[:-1], path[-1] if path else None):
        for constraint in _constraints(field):
            for key, text in _BOUNDS.items():
                limit = getattr(constraint, key, None)
                sentence = text.format(limit)
                if limit is not None and sentence not in found:
                    found.append(sentence)
    return found


def _constraints(field: FieldInfo) -> Iterator[Any]:
    yield from field.metadata
    for argument in get_args(field.annotation):
        yield from getattr(argument, "__metadata__", ())


def _choices(detail: ErrorDetails) -> str:
    expected = str(detail.get("ctx", {}).get("expected", ""))
    names = [name.strip(" '\"") for name in expected.replace(" or ", ", ").split(",")]
    hint = _did_you_mean(str(detail["input"]), names)
    return f"{hint}Choose one of: {', '.join(names)}."


def _near_key(model: type[BaseModel], path: KeyPath) -> str:
    known = sorted({name for each in _models_at(model, path[:-1]) for name in _names(each)})
    return f"{_did_you_mean(str(path[-1]), known)}Known keys: {', '.join(known)}."


def _did_you_mean(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"Did you mean '{near[0]}'? " if near else ""


def _names(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _models_at(model: type[BaseModel], path: KeyPath) -> list[type[BaseModel]]:
    """Every model that may stand at a key path, through unions, lists and mappings."""
    models = [model]
    for part in path:
        if isinstance(part, int):
            continue
        fields = [field for each in models for field in _fields(each, part)]
        if fields:
            models = [found for field in fields for found in _models_in(field.annotation)]
    return models


def _fields_at(model: type[BaseModel], parent: KeyPath, name: str | int | None) -> list[FieldInfo]:
    return [field for each in _models_at(model, parent) for field in _fields(each, name)]


def _fields(model: type[BaseModel], name: str | int | None) -> list[FieldInfo]:
    return [field for own, field in model.model_fields.items() if name in (own, field.alias)]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for argument in get_args(annotation) for found in _models_in(argument)]


def _key_path(data: Any, detail: ErrorDetails) -> KeyPath:
    """Drop what pydantic adds to a location, such as the name of a union's member."""
    path: KeyPath = ()
    for part in detail["loc"]:
        if _holds(data, part):
            data = data[part]
        elif not (detail["type"] == "missing" and part == detail["loc"][-1]):
            continue
        path = (*path, part)
    return path


def _holds(data: Any, part: str | int) -> bool:
    if isinstance(data, list):
        return isinstance(part, int) and part < len(data)
    return isinstance(data, dict) and part in data


def _show(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "empty"}[value]
    if isinstance(value, str):
        return f"'{value[:60]}…'" if len(value) > 60 else f"'{value}'"
    if isinstance(value, list) and not value:
        return "an empty list"
    if isinstance(value, (dict, list)):
        return _KINDS[type(value)]
    return str(value)[:60]
