"""Connection patterns: named rules that wire `size` operations between an input and an output.

A pattern returns a `Topology` and declares the sizes it exists for; a depth choice of a space
offers only those. The size counts the operations a space chooses: fixed nodes (poolings, gates,
1x1 convolutions) come on top, and operations with one tie count once. Every pattern file registers
itself, and the contract suite tests it unasked. Patterns with parameters are named by their text,
`csp(inner=dense)`: `PATTERNS.get` returns them bound, under their canonical spelling.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, final

from nas.errors import ConfigError, NasError, NotFoundError, TopologyError
from nas.registry import Paper, Registry, suggest
from nas.topology.graph import Topology
from nas.topology.pattern_parameters import (
    MAX_TEXT,
    Inner,
    Parameter,
    Whole,
    Word,
    read_pattern_text,
)

__all__ = [
    "MAX_SIZE",
    "PATTERNS",
    "Inner",
    "Parameter",
    "Pattern",
    "PatternRegistry",
    "Whole",
    "Word",
    "connection_pattern",
]

MAX_SIZE = 512
_NEAREST_SHOWN = 6


@final
@dataclass(frozen=True)
class Pattern:
    """A registered wiring rule with values for its parameters.

    Args:
        name: Canonical spelling: the registered name, and in brackets what is not the default.
        rule: Function from the number of operations, and the arguments by name, to a topology.
        condition: Tells whether the pattern exists for a size and arguments.
        size_rule: The condition in words, of the arguments by name.
        summary: First line of the rule's docstring.
        formula: What the wiring computes, or how many edges it has, in one line.
        parameters: What may be written in brackets.
        arguments: The value of every parameter; patterns are bound themselves.
    """

    name: str
    rule: Callable[..., Topology]
    condition: Callable[..., bool]
    size_rule: Callable[..., str]
    summary: str = ""
    formula: str = ""
    parameters: tuple[Parameter, ...] = ()
    arguments: tuple[tuple[str, int | str | Pattern], ...] = field(default=())

    @property
    def base(self) -> str:
        """The registered name, without arguments."""
        return self.name.partition("(")[0]

    @property
    def sizes(self) -> str:
        """The sizes it exists for, in words."""
        return self.size_rule(**dict(self.arguments))

    def exists(self, size: int) -> bool:
        """Tell whether the pattern exists for `size` operations."""
        return 1 <= size <= MAX_SIZE and self.condition(size, **dict(self.arguments))

    def smallest(self, at_least: int = 1) -> int:
        """Return the smallest size from `at_least` on.

        Raises:
            TopologyError: If there is none up to the largest size of all.
        """
        found = next((n for n in range(at_least, MAX_SIZE + 1) if self.exists(n)), None)
        if found is None:
            raise TopologyError(
                f"The pattern '{self.name}' exists for no size from {at_least} to {MAX_SIZE}.",
                why=f"It exists for {self.sizes}.",
                fix="Use smaller parameters, or another inner pattern.",
            )
        return found

    def wire(self, size: int) -> Topology:
        """Wire `size` operations.

        Raises:
            TopologyError: If the pattern does not exist for this size; the nearest are named.
        """
        if not self.exists(size):
            known = [other for other in range(1, MAX_SIZE + 1) if self.exists(other)]
            near = sorted(sorted(known, key=lambda n: (abs(n - size), n))[:_NEAREST_SHOWN])
            raise TopologyError(
                f"The pattern '{self.name}' does not exist for {size} operations.",
                why=f"It exists for {self.sizes}, up to {MAX_SIZE}.",
                fix=f"The nearest sizes are {', '.join(map(str, near))}."
                if near
                else "Use smaller parameters, or another inner pattern.",
            )
        return _wire(self, size)


@lru_cache(maxsize=512)
def _wire(pattern: Pattern, size: int) -> Topology:
    return pattern.rule(size, **dict(pattern.arguments))


@final
class PatternRegistry(Registry[Pattern]):
    """The patterns; names may carry parameters in brackets."""

    def get(self, name: str) -> Pattern:
        """Return the pattern a text spells.

        Raises:
            NotFoundError: If there is none of that name; the message lists what there is.
            ConfigError: If the text is malformed or a parameter is unknown or out of range.
        """
        if "(" not in name and len(name) <= MAX_TEXT:
            return self._with_defaults(super().get(name))
        base, values = read_pattern_text(name)
        return self.bind(base, values)

    def _with_defaults(self, pattern: Pattern) -> Pattern:
        """Bind default inner patterns, which stand in files that register later."""
        inner = {each.name for each in pattern.parameters if isinstance(each, Inner)}
        if not inner:
            return pattern
        arguments = tuple(
            (key, self.get(str(value)) if key in inner else value)
            for key, value in pattern.arguments
        )
        return replace(pattern, arguments=arguments)

    def bind(self, name: str, values: Mapping[str, str]) -> Pattern:
        """Return the pattern `name` with the parameters that `values` write.

        Raises:
            NotFoundError: If there is no such pattern.
            ConfigError: If a parameter is unknown or out of range.
        """
        pattern = self.get(name)
        known = {parameter.name: parameter for parameter in pattern.parameters}
        for key in values:
            if key not in known:
                raise _unknown_parameter(name, key, list(known))
        arguments = dict(pattern.arguments)
        for key, text in values.items():
            parameter = known[key]
            where = f"{name}({key}={text})"
            if isinstance(parameter, Inner):
                arguments[key] = self._inner(parameter, text, where)
            else:
                arguments[key] = parameter.read(text, where)
        return replace(
            pattern,
            name=_spelling(pattern.base, known, arguments),
            arguments=tuple(arguments.items()),
        )

    def _inner(self, parameter: Inner, text: str, where: str) -> Pattern:
        try:
            inner = self.get(text)
        except NasError as error:
            raise type(error)(
                f"The parameter '{parameter.name}' names no pattern: {error.what}",
                where=error.where or where,
                why=error.why,
                fix=error.fix,
            ) from None
        if parameter.fixed and inner.wire(inner.smallest()).optional:
            raise ConfigError(
                f"The parameter '{parameter.name}' is '{text}', whose edges are choices.",
                where=where,
                fix=f"Choose a pattern with fixed edges, such as {parameter.default}.",
            )
        return inner

    def paper(self, name: str) -> Paper | None:
        """Return the source of the pattern, if it has one."""
        return super().paper(self.get(name).base)

    def __contains__(self, name: object) -> bool:
        """Tell whether a text spells a pattern."""
        if not isinstance(name, str) or "(" not in name:
            return super().__contains__(name)
        try:
            self.get(name)
        except (ConfigError, NotFoundError, TopologyError):
            return False
        return True


def _unknown_parameter(name: str, key: str, known: list[str]) -> ConfigError:
    if not known:
        return ConfigError(
            f"The pattern '{name}' has no parameter '{key}'.", fix=f"It has none: write {name}."
        )
    near = suggest(key, known)
    hint = f"Did you mean '{near}'? " if near else ""
    return ConfigError(
        f"The pattern '{name}' has no parameter '{key}'.",
        fix=f"{hint}Its parameters are: {', '.join(known)}.",
    )


def _spelling(
    base: str, known: Mapping[str, Parameter], arguments: Mapping[str, int | str | Pattern]
) -> str:
    """Return the one text of a bound pattern: parameters in their order, defaults left out."""
    written = []
    for name, parameter in known.items():
        value = arguments[name]
        text = value.name if isinstance(value, Pattern) else str(value)
        if text != str(parameter.default):
            written.append(f"{name}={text}")
    return f"{base}({','.join(written)})" if written else base


PATTERNS = PatternRegistry("pattern", package=__name__)


def connection_pattern(
    name: str,
    paper: Paper | None = None,
    *,
    formula: str = "",
    parameters: tuple[Parameter, ...] = (),
    exists: Callable[..., bool] = lambda size, **arguments: True,
    sizes: str | Callable[..., str] = "any size from 1",
) -> Callable[[Callable[..., Topology]], Callable[..., Topology]]:
    """Register the decorated rule under `name`.

    Args:
        name: Registered name.
        paper: Where it is from.
        formula: What the wiring computes or how large it is, in one line.
        parameters: What may be written in brackets; the rule takes each by keyword.
        exists: Tells whether the pattern exists for a size of at least 1 and all parameters.
        sizes: The same in words, or a function of the parameters to words.
    """

    def words(**arguments: Any) -> str:
        return sizes if isinstance(sizes, str) else sizes(**arguments)

    def decorate(rule: Callable[..., Topology]) -> Callable[..., Topology]:
        summary = (rule.__doc__ or "").strip().splitlines()[0] if rule.__doc__ else ""
        arguments = tuple((each.name, each.default) for each in parameters)
        PATTERNS.add(
            name, Pattern(name, rule, exists, words, summary, formula, parameters, arguments), paper
        )
        return rule

    return decorate
