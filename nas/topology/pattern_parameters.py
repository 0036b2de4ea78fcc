"""Parameters of connection patterns, and the one spelling in which they are written.

`res2net(scale=8)`, `csp(inner=dense)`, `watts_strogatz(neighbours=4,rewire=75,seed=1)`: whole
numbers, words, or patterns. Declarations, labels of architectures and the command line all hold
this text, so it is read strictly: no blanks, no repetition, capped in length and in nesting.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from nas.errors import ConfigError
from nas.registry import suggest

MAX_TEXT = 200
MAX_NESTING = 4

_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")


@final
@dataclass(frozen=True)
class Whole:
    """A whole number.

    Args:
        name: Its key.
        default: Value where nothing is written.
        low: Smallest value.
        high: Largest value.
        meaning: What it is, in a few words.
    """

    name: str
    default: int
    low: int
    high: int
    meaning: str

    @property
    def allowed(self) -> str:
        """The values in words."""
        return f"a whole number, {self.low} to {self.high}"

    def read(self, text: str, where: str) -> int:
        """Return the number a text holds.

        Raises:
            ConfigError: If it is no whole number in range; the nearest one is named.
        """
        plain = text.isascii() and text.isdecimal() and len(text) < 10 and str(int(text)) == text
        if plain and self.low <= int(text) <= self.high:
            return int(text)
        near = min(max(int(text), self.low), self.high) if plain else self.default
        raise _refused(self, text, where, f"Write {self.name}={near}.")


@final
@dataclass(frozen=True)
class Word:
    """One of a few words.

    Args:
        name: Its key.
        default: Value where nothing is written.
        choices: The words.
        meaning: What is chosen, in a few words.
    """

    name: str
    default: str
    choices: Sequence[str]
    meaning: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "choices", tuple(self.choices))

    @property
    def allowed(self) -> str:
        """The values in words."""
        return " or ".join(self.choices)

    def read(self, text: str, where: str) -> str:
        """Return the word.

        Raises:
            ConfigError: If it is none of the choices; the closest one is named.
        """
        if text in self.choices:
            return text
        near = suggest(text, list(self.choices))
        hint = f"Did you mean '{near}'? " if near else ""
        raise _refused(self, text, where, f"{hint}Choose one of: {', '.join(self.choices)}.")


@final
@dataclass(frozen=True)
class Inner:
    """A pattern that is wired inside this one.

    Args:
        name: Its key.
        default: Pattern where nothing is written, in its canonical spelling.
        meaning: What it wires, in a few words.
        fixed: Whether patterns whose edges are choices are refused.
    """

    name: str
    default: str
    meaning: str
    fixed: bool = False

    @property
    def allowed(self) -> str:
        """The values in words."""
        return "a pattern" + (", but none whose edges are choices" if self.fixed else "")


Parameter = Whole | Word | Inner


def _refused(parameter: Whole | Word, text: str, where: str, fix: str) -> ConfigError:
    return ConfigError(
        f"The parameter '{parameter.name}' is '{text[:40]}'; it must be {parameter.allowed}.",
        where=where,
        fix=fix,
    )


def split_top_level(text: str) -> list[str]:
    """Split at the commas that stand outside of all brackets.

    Examples:
        >>> split_top_level("inner=csp(inner=dense,parts=2),size=6")
        ['inner=csp(inner=dense,parts=2)', 'size=6']
    """
    pieces, depth = [""], 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            pieces.append("")
        else:
            pieces[-1] += letter
    return pieces


def read_pattern_text(text: str) -> tuple[str, dict[str, str]]:
    """Split `NAME` or `NAME(key=value,...)` into the name and its written values.

    Raises:
        ConfigError: If the text is too long, nested too deep, or not of that form.
    """
    _check_size(text)
    name, bracket, rest = text.partition("(")
    if not _NAME.match(name):
        raise _misspelt(text, "A name has small letters, digits and underscores, and no blanks.")
    if not bracket:
        return name, {}
    if not rest.endswith(")") or rest.count(")") != text.count("(") or rest == ")":
        raise _misspelt(text, "Every bracket is closed, and an empty one is left out.")
    values: dict[str, str] = {}
    for piece in split_top_level(rest[:-1]):
        key, equals, value = piece.partition("=")
        if not (equals and value and _NAME.match(key)):
            raise _misspelt(text, f"'{piece}' is not of the form key=value.")
        if key in values:
            raise ConfigError(
                f"The parameter '{key}' is there twice.", where=text, fix="Keep one of them."
            )
        values[key] = value
    return name, values


def _check_size(text: str) -> None:
    if len(text) > MAX_TEXT:
        raise ConfigError(
            f"The pattern '{text[:40]}...' takes {len(text)} characters.",
            fix=f"Write at most {MAX_TEXT}.",
        )
    if text.count("(") > MAX_NESTING:
        raise ConfigError(
            f"The pattern '{text}' has more than {MAX_NESTING} pairs of brackets.",
            fix="Leave defaults out, or nest fewer patterns.",
        )


def _misspelt(text: str, why: str) -> ConfigError:
    return ConfigError(
        f"'{text}' does not spell a pattern.",
        why=why,
        fix="Write NAME or NAME(key=value,key=value), as in csp(inner=dense,parts=2).",
    )
