"""Calls as text, and lines that are too long broken at their brackets."""

from __future__ import annotations

import re
from itertools import groupby
from textwrap import wrap as fill

from nas.export.source.pieces import Argument, Call, Raw, Value

WIDTH = 100
INDENT = "    "


def shown(value: Value) -> str:
    """Return a value as source text."""
    if isinstance(value, Call):
        return call_text(value)
    if isinstance(value, str):
        return f'"{value}"'
    return value.text if isinstance(value, Raw) else repr(value)


def call_text(call: Call) -> str:
    """Return a call on one line, without arguments that have their defaults."""
    texts: list[str] = []
    for entry, group in groupby(entry for entry in call.arguments if not _is_default(entry)):
        count = len(list(group))
        text = f"{entry.keyword}={shown(entry.value)}" if entry.keyword else shown(entry.value)
        many = count > 2 and isinstance(entry.value, Call)
        texts += [f"*[{text} for _ in range({count})]"] if many else [text] * count
    return f"{call.name}({', '.join(texts)})"


def _is_default(entry: Argument) -> bool:
    same_type = type(entry.value) is type(entry.default)
    return entry.default is not None and same_type and entry.value == entry.default


def broken(line: str, indent: str) -> list[str]:
    """Return a statement as lines of at most `WIDTH` signs, as far as its brackets allow."""
    if len(indent) + len(line) <= WIDTH:
        return [indent + line]
    target = re.match(r"(?:[\w., ]+ = |return )", line)
    if target and len(_split(line[target.end() :], " + ")) > 1:
        lines = _sum_lines(line[target.end() :], indent + INDENT)
        return [f"{indent}{target[0]}(", *lines, f"{indent})"]
    names = re.fullmatch(r"(return )?(\w+(?:, \w+)+)( = .*)?", line)
    if names and len(names[2]) > len(names[3] or ""):
        lines = _piece_lines(names[2].split(", "), indent + INDENT)
        return [f"{indent}{names[1] or ''}(", *lines, f"{indent}){names[3] or ''}"]
    start, end = _last_bracket(line)
    if start < 0:
        return [indent + line]
    head, body, tail = line[: start + 1], line[start + 1 : end], line[end:]
    inner = indent + INDENT
    pieces = _split(body, ", ")
    if len(pieces) == 1:
        return [indent + head, *_sum_lines(body, inner), indent + tail]
    if len(inner) + len(body) <= WIDTH:
        return [indent + head, inner + body, indent + tail]
    return [indent + head, *_piece_lines(pieces, inner), indent + tail]


def _piece_lines(pieces: list[str], indent: str) -> list[str]:
    """Return arguments on lines of their own; many plain names fill the lines."""
    if all(piece.isidentifier() for piece in pieces):
        return fill(", ".join(pieces) + ",", WIDTH, initial_indent=indent, subsequent_indent=indent)
    return [line for piece in pieces for line in broken(f"{piece},", indent)]


def _sum_lines(body: str, indent: str) -> list[str]:
    """Return one expression, a sum too long for a line with one term on each."""
    terms = _split(body, " + ")
    if len(indent) + len(body) <= WIDTH or len(terms) == 1:
        return broken(body, indent)
    lines = broken(terms[0], indent)
    for term in terms[1:]:
        lines += broken(f"+ {term}", indent)
    return lines


def _last_bracket(line: str) -> tuple[int, int]:
    """Return where the last outermost pair of brackets that is not empty opens and closes."""
    depth, start, found = 0, -1, (-1, -1)
    for place, letter in enumerate(line):
        if letter in "([{":
            start = place if depth == 0 else start
            depth += 1
        elif letter in ")]}":
            depth -= 1
            if depth == 0 and place > start + 1 and _is_list(line, start):
                found = (start, place)
    return found


def _is_list(line: str, start: int) -> bool:
    """Tell whether a bracket encloses arguments or a list, and is no index."""
    return line[start] != "[" or start == 0 or line[start - 1] in " ("


def _split(text: str, separator: str) -> list[str]:
    """Split at the separators outside of brackets."""
    pieces, depth, start, place = [], 0, 0, 0
    while place < len(text):
        depth += (text[place] in "([{") - (text[place] in ")]}")
        if depth == 0 and text.startswith(separator, place):
            pieces.append(text[start:place])
            start = place = place + len(separator)
            continue
        place += 1
    return [*pieces, text[start:]]
