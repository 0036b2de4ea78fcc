"""A document: parsed data, the file it came from, and the line of every key."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn, final

from nas.config_files.yaml_events import KeyPath, Position, YamlLimits, read_positions, read_yaml
from nas.errors import ConfigError, NotFoundError

MAXIMUM_BYTES = 1_000_000
MAXIMUM_DEPTH = 64
MAXIMUM_NODES = 20_000
"""Values and keys in one YAML file; more would take seconds to read and no config needs them."""

_LIMITS = YamlLimits(depth=MAXIMUM_DEPTH, nodes=MAXIMUM_NODES)
_OPEN_OR_CLOSE = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


@final
@dataclass(frozen=True)
class Document:
    """Plain data (mappings, lists, text, numbers, booleans, None) and where it was written.

    Args:
        data: The parsed content.
        name: File name, or what else to call the source in messages.
        text: The source, kept to find lines when something is wrong.
        overrides: The `--set` argument that wrote a key path, by key path.
    """

    data: Any
    name: str
    text: str = ""
    overrides: Mapping[KeyPath, str] = field(default_factory=dict)

    @cached_property
    def positions(self) -> Mapping[KeyPath, Position]:
        """Line and column, from 1, of every key and list item, by key path."""
        return read_positions(self.text, _LIMITS)

    def where(self, path: KeyPath) -> str:
        """Return `file:line, key a.b` of a key path, or of its nearest parent that was written."""
        key = f", key {show_path(path)}" if path else ""
        for length in range(len(path), -1, -1):
            prefix = path[:length]
            if prefix in self.overrides:
                return f"{self.overrides[prefix]}{key}"
            if prefix in self.positions:
                return f"{self.name}:{self.positions[prefix].line}{key}"
        return f"{self.name}{key}"


def show_path(path: KeyPath) -> str:
    """Write a key path as in `--set`: `search.objectives.0`."""
    return ".".join(str(part) for part in path)


def load_document(path: Path | str, *, maximum_bytes: int = MAXIMUM_BYTES) -> Document:
    """Read a `.json` file as strict JSON and any other as YAML.

    Args:
        path: The file.
        maximum_bytes: Size above which it is refused; more for JSON that holds measurements, whose
            lines are then not kept for messages.

    Raises:
        NotFoundError: If there is no such file.
        ConfigError: If it cannot be read, is too large, is not UTF-8, or breaks the syntax.
    """
    path = Path(path)
    text = _read_text(path, maximum_bytes)
    if maximum_bytes > MAXIMUM_BYTES:
        return replace(parse_json(text, str(path), maximum_bytes=maximum_bytes), text="")
    read = parse_json if path.suffix.lower() == ".json" else parse_document
    return read(text, str(path))


def parse_document(text: str, name: str = "<text>") -> Document:
    """Parse one YAML 1.2 document.

    Raises:
        ConfigError: With line and column, if the text is not valid or not plain data.
    """
    _refuse_nul_and_size(text, name)
    return Document(read_yaml(text, name, _LIMITS), name, text)


def parse_json(text: str, name: str = "<text>", *, maximum_bytes: int = MAXIMUM_BYTES) -> Document:
    """Parse strict JSON: no key twice, no NaN or infinity.

    Args:
        text: The source.
        name: What to call it in messages.
        maximum_bytes: Size above which it is refused, for files that hold measurements.

    Raises:
        ConfigError: With line and column where the parser knows them.
    """
    _refuse_nul_and_size(text, name, maximum_bytes)
    _refuse_deep_json(text, name)
    try:
        data = json.loads(
            text,
            object_pairs_hook=_unique_keys,
            parse_constant=_refuse_constant,
            parse_float=_finite_float,
        )
        json.dumps(data, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"{name} is not valid JSON: {error.msg}.",
            where=f"{name}:{error.lineno}:{error.colno}",
            fix="Correct it: JSON wants double quotes, and no comma behind the last item.",
        ) from None
    except UnicodeEncodeError:
        raise ConfigError(
            f"{name} holds half of a surrogate pair, which is no character.",
            where=name,
            fix="Write the character itself, or both halves.",
        ) from None
    except ConfigError as error:
        raise ConfigError(error.what, where=name, why=error.why, fix=error.fix) from None
    except ValueError as error:
        raise ConfigError(
            f"{name} is not valid JSON: {error}.",
            where=name,
            fix="Correct the text, or write it again with a program that writes JSON.",
        ) from None
    return Document(data, name, text)


def apply_overrides(document: Document, assignments: Iterable[str]) -> Document:
    """Return the document with `a.b=value` assignments written over it, in order.

    Values are YAML, so `objectives=[error, macs]` is a list. Whether a key exists is for the
    model to say.

    Raises:
        ConfigError: If an assignment is malformed or goes through a value that has no keys.
    """
    data = document.data
    overrides = dict(document.overrides)
    for assignment in assignments:
        path = _assignment_path(assignment)
        value = parse_document(assignment.partition("=")[2], f"--set {assignment}").data
        data = _assign(data, path, value, assignment)
        overrides[path] = f"--set {assignment}"
    return replace(document, data=data, overrides=overrides)


def _read_text(path: Path, maximum_bytes: int) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(maximum_bytes + 4)
    except FileNotFoundError:
        raise NotFoundError(f"There is no file {path}.", fix="Check the path.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(
            f"{path} cannot be read: {reason}.",
            where=str(path),
            fix="Give a text file that you may read.",
        ) from None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if len(raw) > maximum_bytes:
            _refuse_size(str(path), maximum_bytes)
        raise ConfigError(
            f"{path} is not UTF-8: byte 0x{raw[error.start]:02x} at offset {error.start}.",
            where=str(path),
            fix=f"Save it as UTF-8, for example: iconv -f latin1 -t utf-8 {path}",
        ) from None


def _refuse_size(name: str, maximum_bytes: int) -> NoReturn:
    raise ConfigError(
        f"{name} is larger than {maximum_bytes:,} bytes.",
        where=name,
        why="A configuration of that size is a mistake; data belongs in data files.",
        fix="Take out what is no setting, or name a file of data by its path.",
    )


def _refuse_nul_and_size(text: str, name: str, maximum_bytes: int = MAXIMUM_BYTES) -> None:
    if len(text) > maximum_bytes:
        _refuse_size(name, maximum_bytes)
    position = text.find("\0")
    if position >= 0:
        line = text.count("\n", 0, position) + 1
        raise ConfigError(
            f"{name} holds a NUL character at offset {position}.",
            where=f"{name}:{line}",
            why="A text file has none; this looks like binary data or UTF-16.",
            fix=f"Save it as plain UTF-8 text, for example: iconv -f utf-16 -t utf-8 {name}",
        )


def _refuse_deep_json(text: str, name: str) -> None:
    """Count brackets outside strings: Python's parser would run out of stack instead."""
    depth = 0
    for match in _OPEN_OR_CLOSE.finditer(text):
        sign = match.group()
        depth += (sign in "[{") - (sign in "]}")
        if depth > MAXIMUM_DEPTH:
            line = text.count("\n", 0, match.start()) + 1
            raise ConfigError(
                f"{name} nests deeper than {MAXIMUM_DEPTH} levels.",
                where=f"{name}:{line}",
                fix="Write the values out with fewer brackets inside one another.",
            )


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        twice = counts.most_common(1)[0][0]
        raise ConfigError(f"Key '{twice}' stands twice in one object.", fix="Remove one of them.")
    return result


def _refuse_constant(constant: str) -> NoReturn:
    raise ConfigError(f"{constant} is not a JSON number.", fix="Use a finite number or null.")


def _finite_float(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        _refuse_constant(text)
    return number


def _assignment_path(assignment: str) -> KeyPath:
    key, equals, _ = assignment.partition("=")
    path: KeyPath = tuple(key.strip().split("."))
    if not equals or not all(path):
        raise ConfigError(
            f"'{assignment}' is not an assignment.",
            where="--set",
            fix="Write --set key.subkey=value, for example --set search.trials=100.",
        )
    if len(path) > MAXIMUM_DEPTH:
        raise ConfigError(
            f"An assignment nests deeper than {MAXIMUM_DEPTH} levels.",
            where="--set",
            fix="Assign the whole value instead, for example --set key={subkey: value}.",
        )
    return path


def _assign(data: Any, path: KeyPath, value: Any, assignment: str) -> Any:
    """Return a copy of `data` with `value` at `path`, making the mappings on the way."""
    if not path:
        return value
    head, rest = path[0], path[1:]
    if data is None:
        return {head: _assign(None, rest, value, assignment)}
    if isinstance(data, dict):
        return {**data, head: _assign(data.get(head), rest, value, assignment)}
    if isinstance(data, list) and str(head).isdecimal() and int(head) < len(data):
        index = int(head)
        return [*data[:index], _assign(data[index], rest, value, assignment), *data[index + 1 :]]
    raise ConfigError(
        f"'{head}' cannot be set inside {data!r}: it has no such key.",
        where=f"--set {assignment}",
        fix="Assign the whole value instead, for example --set key={subkey: value}.",
    )
