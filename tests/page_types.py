"""The types of the page's documents, read from its TypeScript, and what in a document breaks them.

Reads the plain part of the language that `documents.ts` is written in: interfaces, unions, arrays,
object types, `Record`, `Partial`, `Omit`, literals. So the suite needs no Node to hold the Python
that makes documents to the types that the page reads them by.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parents[1] / "dashboards" / "page" / "src" / "documents.ts"
_TOKEN = re.compile(r'\s*("[^"]*"|[A-Za-z_][A-Za-z0-9_]*|-?\d+|[^\sA-Za-z0-9_])')

Check = Callable[[Any, str, bool], Iterator[str]]
"""Yields what is wrong with a value: the value, its place, whether unknown keys are wrong too."""


@dataclass(frozen=True)
class Type:
    """A type: its check, and its fields where it is an object."""

    check: Check
    fields: dict[str, tuple[bool, Type]] | None = None


def _wrong(value: Any, place: str, wanted: str) -> str:
    return f"{place}: {value!r:.80} is no {wanted}"


def _plain(name: str, test: Callable[[Any], bool]) -> Type:
    def check(value: Any, place: str, exact: bool) -> Iterator[str]:
        if not test(value):
            yield _wrong(value, place, name)

    return Type(check)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


PLAIN = {
    "number": _plain("number", _is_number),
    "string": _plain("string", lambda value: isinstance(value, str)),
    "boolean": _plain("boolean", lambda value: isinstance(value, bool)),
    "null": _plain("null", lambda value: value is None),
    "unknown": _plain("unknown", lambda value: True),
}


def _object(fields: dict[str, tuple[bool, Type]]) -> Type:
    def check(value: Any, place: str, exact: bool) -> Iterator[str]:
        if not isinstance(value, dict):
            yield _wrong(value, place, "object")
            return
        for name, (optional, kind) in fields.items():
            if name in value:
                yield from kind.check(value[name], f"{place}.{name}", exact)
            elif not optional:
                yield f"{place}.{name} is missing"
        if exact:
            yield from (f"{place}.{name} is not declared" for name in value.keys() - fields.keys())

    return Type(check, fields)


def _array(kind: Type) -> Type:
    def check(value: Any, place: str, exact: bool) -> Iterator[str]:
        if not isinstance(value, list):
            yield _wrong(value, place, "array")
            return
        for index, each in enumerate(value):
            yield from kind.check(each, f"{place}[{index}]", exact)

    return Type(check)


def _record(kind: Type) -> Type:
    def check(value: Any, place: str, exact: bool) -> Iterator[str]:
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            yield _wrong(value, place, "record")
            return
        for key, each in value.items():
            yield from kind.check(each, f"{place}.{key}", exact)

    return Type(check)


def _union(kinds: list[Type]) -> Type:
    def check(value: Any, place: str, exact: bool) -> Iterator[str]:
        told = [list(kind.check(value, place, exact)) for kind in kinds]
        if all(told):
            yield from min(told, key=len)

    return kinds[0] if len(kinds) == 1 else Type(check)


class Types:
    """The interfaces of `documents.ts`.

    Args:
        text: The TypeScript.
    """

    def __init__(self, text: str) -> None:
        self.paths = dict(re.findall(r"^ \*   (/api/\S+)\s+(\w+)", text, re.MULTILINE))
        code = re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.DOTALL)
        self._tokens = _TOKEN.findall(code)
        self._place = 0
        self.named: dict[str, Type] = {}
        while self._place < len(self._tokens):
            self._declaration()

    def problems(self, name: str, value: Any, *, exact: bool = True) -> list[str]:
        """Return what in a value breaks an interface."""
        return list(self.named[name].check(value, name, exact))

    def _next(self, *wanted: str) -> str:
        token = self._tokens[self._place]
        assert not wanted or token in wanted, f"{token} where one of {wanted} is read"
        self._place += 1
        return str(token)

    def _peek(self) -> str:
        return str(self._tokens[self._place]) if self._place < len(self._tokens) else ""

    def _take(self, token: str) -> bool:
        found = self._peek() == token
        self._place += found
        return found

    def _declaration(self) -> None:
        self._next("export")
        what, name = self._next("interface", "type"), self._next()
        if what == "type":
            self._next("=")
            self.named[name] = self._type()
            self._next(";")
            return
        base = self._type() if self._take("extends") else None
        own = self._braces()
        self.named[name] = _object({**(base.fields or {} if base else {}), **(own.fields or {})})

    def _braces(self) -> Type:
        self._next("{")
        fields: dict[str, tuple[bool, Type]] = {}
        while not self._take("}"):
            name = self._next().strip('"')
            optional = self._take("?")
            self._next(":")
            fields[name] = (optional, self._type())
            self._take(";")
        return _object(fields)

    def _type(self) -> Type:
        self._take("|")
        kinds = [self._intersection()]
        while self._take("|"):
            kinds.append(self._intersection())
        return _union(kinds)

    def _intersection(self) -> Type:
        found = self._postfix()
        while self._take("&"):
            other = self._postfix()
            found = _object({**(found.fields or {}), **(other.fields or {})})
        return found

    def _postfix(self) -> Type:
        found = self._primary()
        while self._take("["):
            self._next("]")
            found = _array(found)
        return found

    def _primary(self) -> Type:
        if self._peek() == "{":
            return self._braces()
        if self._take("("):
            found = self._type()
            self._next(")")
            return found
        name = self._next()
        if name.startswith('"'):
            literal = name.strip('"')
            return _plain(name, lambda value: value == literal)
        if name in PLAIN:
            return PLAIN[name]
        if name in ("Record", "Partial", "Omit"):
            return self._generic(name)
        return self.named[name]

    def _generic(self, name: str) -> Type:
        self._next("<")
        first = self._type()
        second: Type | None = None
        left_out: set[str] = set()
        if self._take(","):
            if name == "Omit":
                left_out = {self._next().strip('"')}
                while self._take("|"):
                    left_out.add(self._next().strip('"'))
            else:
                second = self._type()
        self._next(">")
        if name == "Record":
            assert second is not None
            return _record(second)
        fields = first.fields or {}
        if name == "Partial":
            return _object({key: (True, kind) for key, (_, kind) in fields.items()})
        return _object({key: field for key, field in fields.items() if key not in left_out})


def page_types() -> Types:
    """Return the types of the page's documents."""
    return Types(SOURCE.read_text(encoding="utf-8"))
