"""YAML 1.2 from the parser's events, so that limits hold before anything is built.

ruamel.yaml splits the text into events; this module builds plain data from them without
recursion, and refuses what makes YAML dangerous or surprising: tags, anchors and aliases, keys
that stand twice, several documents, infinite numbers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn, final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceStartEvent,
)

from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent, Event  # isort: skip

from nas.errors import ConfigError

KeyPath = tuple[str | int, ...]

# The core schema of YAML 1.2.2, section 10.3.2.
_NULLS = {"", "~", "null", "Null", "NULL"}
_BOOLEANS = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_BASED_INTEGER = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_MAXIMUM_DIGITS = 400
_SURROGATE = re.compile("[\ud800-\udfff]")


class Position(NamedTuple):
    """Line and column, both from 1."""

    line: int
    column: int


class YamlLimits(NamedTuple):
    """Caps on one text: nesting `depth` and count of `nodes` (values and keys)."""

    depth: int
    nodes: int


def read_yaml(text: str, name: str, limits: YamlLimits) -> Any:
    """Return the plain data of one document; `name` stands for the source in messages.

    Raises:
        ConfigError: With line and column.
    """
    return _Builder(name, limits).run(text)


def read_positions(text: str, limits: YamlLimits) -> dict[KeyPath, Position]:
    """Return the place of every key and list item; JSON text works, being YAML.

    Text that YAML refuses has no positions: this only serves messages about sound documents.
    """
    builder = _Builder("", limits)
    try:
        builder.run(text)
    except ConfigError:
        return {}
    return builder.positions


def resolve_plain(text: str) -> Any:
    """Return what an unquoted scalar means: None, a boolean, a number, or the text itself.

    Raises:
        ConfigError: If it is a number that is infinite, not a number, or absurdly long.
    """
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _NOT_FINITE.fullmatch(text):
        raise ConfigError(f"{text} is not a finite number.", fix="Use a finite number.")
    if _INTEGER.fullmatch(text) or _BASED_INTEGER.fullmatch(text):
        return _integer(text)
    if _FLOAT.fullmatch(text):
        return _finite(text)
    return text


def _integer(text: str) -> int:
    if len(text) > _MAXIMUM_DIGITS:
        raise ConfigError(
            f"A number of {len(text)} digits is no setting.",
            fix="Use a number that a person would write.",
        )
    return int(text, 0 if text[:2] in ("0o", "0x") else 10)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ConfigError(f"{text[:40]} is too large for a number.", fix="Use a finite number.")
    return number


@final
@dataclass
class _Frame:
    """One open mapping or list."""

    container: dict[str, Any] | list[Any]
    path: KeyPath
    key: str | None = None


@final
@dataclass
class _Builder:
    name: str
    limits: YamlLimits
    positions: dict[KeyPath, Position] = field(default_factory=dict)
    stack: list[_Frame] = field(default_factory=list)
    root: Any = None
    documents: int = 0
    nodes: int = 0

    def run(self, text: str) -> Any:
        try:
            for event in self._events(text):
                self._take(event)
        except MarkedYAMLError as error:
            self._refuse_syntax(error, text)
        except YAMLError as error:
            reason = " ".join(str(error).split())
            raise ConfigError(
                f"{self.name} is not valid YAML: {reason}.",
                where=self.name,
                fix="Correct the text; an editor with YAML highlighting shows where.",
            ) from None
        return self.root

    @staticmethod
    def _events(text: str) -> Iterator[Event]:
        parser = YAML(typ="safe", pure=True)
        try:
            yield from parser.parse(text)
        except (ValueError, IndexError, AttributeError, AssertionError, OverflowError) as error:
            # The scanner trips over a few malformed escapes with builtin errors.
            raise YAMLError(str(error) or type(error).__name__) from None

    def _take(self, event: Event) -> None:
        if isinstance(event, DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                self._refuse("A second document starts", event, fix="One file, one document.")
        elif isinstance(event, CollectionEndEvent):
            self.stack.pop()
        elif isinstance(event, NodeEvent):
            self._refuse_tricks(event)
            self._take_node(event)

    def _take_node(self, event: NodeEvent) -> None:
        frame = self.stack[-1] if self.stack else None
        if frame is not None and isinstance(frame.container, dict) and frame.key is None:
            self._take_key(frame, event)
            return
        path = self._next_path(frame, event)
        value = self._value(event)
        if frame is None:
            self.root = value
            self.positions[()] = _position(event)
        elif isinstance(frame.container, dict):
            assert frame.key is not None
            frame.container[frame.key] = value
            frame.key = None
        else:
            frame.container.append(value)
        if isinstance(event, CollectionStartEvent):
            if len(self.stack) >= self.limits.depth:
                self._refuse(f"The file nests deeper than {self.limits.depth} levels", event)
            self.stack.append(_Frame(value, path))

    def _next_path(self, frame: _Frame | None, event: NodeEvent) -> KeyPath:
        if frame is None:
            return ()
        if isinstance(frame.container, dict):
            assert frame.key is not None
            return (*frame.path, frame.key)
        path: KeyPath = (*frame.path, len(frame.container))
        self.positions[path] = _position(event)
        return path

    def _take_key(self, frame: _Frame, event: NodeEvent) -> None:
        if not isinstance(event, ScalarEvent):
            self._refuse("A key is a list or mapping", event, fix="Keys are single words.")
        key = self._text(event)
        assert isinstance(frame.container, dict)
        if key in frame.container:
            first = self.positions[(*frame.path, key)].line
            self._refuse(
                f"Key '{key}' stands twice in one mapping",
                event,
                why=f"It was given in line {first} already; one of the two would be lost.",
                fix="Remove one of them.",
            )
        frame.key = key
        self.positions[(*frame.path, key)] = _position(event)

    def _value(self, event: NodeEvent) -> Any:
        if isinstance(event, MappingStartEvent):
            return {}
        if isinstance(event, SequenceStartEvent):
            return []
        assert isinstance(event, ScalarEvent)
        text = self._text(event)
        if event.style:  # quoted or a block: always text
            return text
        try:
            return resolve_plain(text)
        except ConfigError as error:
            self._refuse(error.what.rstrip("."), event, why=error.why, fix=error.fix)

    def _text(self, event: ScalarEvent) -> str:
        text = str(event.value)
        if _SURROGATE.search(text):
            self._refuse("Half of a surrogate pair is no character", event)
        return text

    def _refuse_tricks(self, event: NodeEvent) -> None:
        self.nodes += 1
        if self.nodes > self.limits.nodes:
            self._refuse(f"The file holds more than {self.limits.nodes:,} values", event)
        if isinstance(event, AliasEvent) or event.anchor is not None:
            sign = "*" if isinstance(event, AliasEvent) else "&"
            self._refuse(
                f"Anchors and aliases are not allowed: {sign}{event.anchor}",
                event,
                why="A few of them can unfold to more than memory holds.",
                fix="Write the value out, or quote text that starts with & or *.",
            )
        tag = getattr(event, "tag", None)
        if tag is not None:
            self._refuse(
                f"Tags are not allowed: {tag}", event, fix="Remove it, or quote text with a '!'."
            )

    def _refuse(
        self, what: str, event: Event, why: str | None = None, fix: str | None = None
    ) -> NoReturn:
        line, column = _position(event)
        raise ConfigError(f"{what}.", where=f"{self.name}:{line}:{column}", why=why, fix=fix)

    def _refuse_syntax(self, error: MarkedYAMLError, text: str) -> NoReturn:
        mark = error.problem_mark or error.context_mark
        reason = " ".join(str(part) for part in (error.context, error.problem) if part)
        where, caret = self.name, None
        if mark is not None:
            where = f"{self.name}:{mark.line + 1}:{mark.column + 1}"
            caret = _caret(text, mark.line, mark.column)
        raise ConfigError(
            f"{self.name or 'The text'} is not valid YAML: {' '.join(reason.split())}.",
            where=where,
            why=caret,
            fix="Put quotes around a text that holds [ ] { } , or ': ', as in ['error[ort,int8]'].",
        ) from None


def _position(event: Event) -> Position:
    mark = event.start_mark
    return Position(mark.line + 1, mark.column + 1) if mark is not None else Position(1, 1)


def _caret(text: str, line: int, column: int) -> str | None:
    """Return the offending line with a mark below, cut to the width of a terminal."""
    lines = text.splitlines()
    if line >= len(lines):
        return "The text ends too early."
    start = max(0, column - 60)
    return f"{lines[line][start : start + 90]}\n{' ' * (column - start)}^"
