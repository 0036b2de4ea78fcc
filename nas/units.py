"""Units: the closed set in which numbers of this package are given, and quantities typed by them.

A bare number is where seconds are taken for milliseconds. So whatever declares a unit declares one
of these, and a number read from a user becomes a `Quantity`: it converts between units of one
dimension, exactly, and refuses to be added to or compared with a quantity of another unit. A unit
is also its own name as text, so that records hold plain strings. No torch here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from fractions import Fraction
from types import MappingProxyType
from typing import Final, Self, final

from nas.errors import ConfigError


@final
class Dimension(Enum):
    """What is measured; only units of one dimension convert into each other."""

    TIME = "time"
    RATE = "rate"
    DATA = "data"
    ENERGY = "energy"
    POWER = "power"
    RATIO = "ratio"
    INFORMATION = "information"
    COUNT = "count"
    OPERATIONS = "operations"
    PARAMETERS = "parameters"
    MACS = "multiply-adds"


@final
class Unit(StrEnum):
    """A unit; its value is its name in records, configs and messages."""

    NANOSECONDS = "ns"
    MICROSECONDS = "us"
    MILLISECONDS = "ms"
    SECONDS = "s"
    IMAGES_PER_SECOND = "images/s"
    BYTES = "bytes"
    KILOBYTES = "kB"
    MEGABYTES = "MB"
    GIGABYTES = "GB"
    KIBIBYTES = "KiB"
    MEBIBYTES = "MiB"
    GIBIBYTES = "GiB"
    MILLIJOULES = "mJ"
    JOULES = "J"
    WATTS = "W"
    PERCENT = "%"
    FRACTION = "fraction"
    NATS = "nats"
    COUNT = "count"
    OPERATIONS = "operations"
    PARAMETERS = "parameters"
    MACS = "MACs"

    @property
    def dimension(self) -> Dimension:
        """What it measures."""
        return _SCALES[self][0]

    @property
    def scale(self) -> Fraction:
        """How many of the dimension's smallest or plain unit it is."""
        return _SCALES[self][1]

    @property
    def is_counted(self) -> bool:
        """Whether its numbers count things, so that k, M and G stand for thousands and more."""
        return self.dimension in _COUNTED

    def fitting(self) -> tuple[str, ...]:
        """Return what may stand behind a number that is meant in this unit."""
        own = [unit.value for unit in Unit if unit.dimension is self.dimension]
        aliases = [name for name, unit in _ALIASES.items() if unit.dimension is self.dimension]
        return (*own, *aliases, *(_PREFIXES if self.is_counted else ()))


_COUNTED: Final = frozenset(
    {Dimension.COUNT, Dimension.OPERATIONS, Dimension.PARAMETERS, Dimension.MACS}
)
_SCALES: Final[Mapping[Unit, tuple[Dimension, Fraction]]] = MappingProxyType(
    {
        Unit.NANOSECONDS: (Dimension.TIME, Fraction(1)),
        Unit.MICROSECONDS: (Dimension.TIME, Fraction(10**3)),
        Unit.MILLISECONDS: (Dimension.TIME, Fraction(10**6)),
        Unit.SECONDS: (Dimension.TIME, Fraction(10**9)),
        Unit.IMAGES_PER_SECOND: (Dimension.RATE, Fraction(1)),
        Unit.BYTES: (Dimension.DATA, Fraction(1)),
        Unit.KILOBYTES: (Dimension.DATA, Fraction(10**3)),
        Unit.MEGABYTES: (Dimension.DATA, Fraction(10**6)),
        Unit.GIGABYTES: (Dimension.DATA, Fraction(10**9)),
        Unit.KIBIBYTES: (Dimension.DATA, Fraction(2**10)),
        Unit.MEBIBYTES: (Dimension.DATA, Fraction(2**20)),
        Unit.GIBIBYTES: (Dimension.DATA, Fraction(2**30)),
        Unit.MILLIJOULES: (Dimension.ENERGY, Fraction(1)),
        Unit.JOULES: (Dimension.ENERGY, Fraction(10**3)),
        Unit.WATTS: (Dimension.POWER, Fraction(1)),
        Unit.PERCENT: (Dimension.RATIO, Fraction(1)),
        Unit.FRACTION: (Dimension.RATIO, Fraction(100)),
        Unit.NATS: (Dimension.INFORMATION, Fraction(1)),
        Unit.COUNT: (Dimension.COUNT, Fraction(1)),
        Unit.OPERATIONS: (Dimension.OPERATIONS, Fraction(1)),
        Unit.PARAMETERS: (Dimension.PARAMETERS, Fraction(1)),
        Unit.MACS: (Dimension.MACS, Fraction(1)),
    }
)
_ALIASES: Final[Mapping[str, Unit]] = MappingProxyType(
    {"µs": Unit.MICROSECONDS, "μs": Unit.MICROSECONDS, "B": Unit.BYTES}
)
_PREFIXES: Final[Mapping[str, int]] = MappingProxyType({"k": 10**3, "M": 10**6, "G": 10**9})

_DIGITS: Final = "[0-9]+(?:_[0-9]+)*"
NUMBER: Final = rf"[-+]?(?:{_DIGITS}\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?nan|[-+]?inf"
"""A number as users write it; what is read is still to be checked for being finite."""

SUFFIX: Final = r"[A-Za-zµμ%/]*"
"""What may stand behind it."""

_QUANTITY: Final = re.compile(rf"\s*(?P<number>{NUMBER})\s*(?P<suffix>{SUFFIX})\s*")


@final
@dataclass(frozen=True)
class Quantity:
    """A number with its unit.

    Args:
        value: The number, in `unit`.
        unit: The unit.
    """

    value: float
    unit: Unit

    def to(self, unit: Unit) -> Quantity:
        """Return the same quantity in another unit of its dimension, rounded once.

        Raises:
            ConfigError: If that unit measures something else.
        """
        if unit is self.unit:
            return self
        if unit.dimension is not self.unit.dimension:
            raise ConfigError(
                f"{self} is a {self.unit.dimension.value} and cannot be given in {unit}.",
                why=f"{unit} measures {unit.dimension.value}.",
                fix=f"Units that fit: {', '.join(self.unit.fitting())}.",
            )
        if not math.isfinite(self.value):
            return Quantity(self.value, unit)
        exact = Fraction(self.value) * self.unit.scale / unit.scale
        try:
            return Quantity(float(exact), unit)
        except OverflowError:  # as floats do: beyond the largest lies infinity
            return Quantity(math.inf if exact > 0 else -math.inf, unit)

    def __add__(self, other: Self) -> Quantity:
        return Quantity(self.value + self._same(other, "added to"), self.unit)

    def __sub__(self, other: Self) -> Quantity:
        return Quantity(self.value - self._same(other, "subtracted from"), self.unit)

    def __mul__(self, factor: float) -> Quantity:
        return Quantity(self.value * factor, self.unit)

    __rmul__ = __mul__

    def __truediv__(self, other: Self) -> float:
        """Return how many times `other` it is."""
        return self.value / self._same(other, "divided by")

    def __lt__(self, other: Self) -> bool:
        return self.value < self._same(other, "compared with")

    def __le__(self, other: Self) -> bool:
        return self.value <= self._same(other, "compared with")

    def __gt__(self, other: Self) -> bool:
        return self.value > self._same(other, "compared with")

    def __ge__(self, other: Self) -> bool:
        return self.value >= self._same(other, "compared with")

    def __str__(self) -> str:
        return f"{self:g}"

    def __format__(self, spec: str) -> str:
        return f"{self.value:{spec or 'g'}} {self.unit}"

    def readable(self) -> str:
        """Return it in the unit of its dimension in which its number is easiest to read.

        >>> Quantity(0.0021, Unit.SECONDS).readable()
        '2.1 ms'
        >>> Quantity(3_500_000, Unit.BYTES).readable()
        '3.5 MB'
        """
        if self.value == 0 or not math.isfinite(self.value):
            return str(self)
        best = min((self.to(unit) for unit in _readable_units(self.unit)), key=_clumsiness)
        return f"{best:.4g}"

    def _same(self, other: object, verb: str) -> float:
        if not isinstance(other, Quantity):
            raise ConfigError(
                f"{self} cannot be {verb} {other!r}, a number without a unit.",
                fix=f"Say the unit: Quantity({other!r}, Unit.{self.unit.name}).",
            )
        if other.unit is not self.unit:
            raise ConfigError(
                f"{self} cannot be {verb} {other}: their units differ.",
                why="A sum of numbers in two units means nothing.",
                fix=f"Convert one of them first, as with .to(Unit.{self.unit.name}).",
            )
        return other.value


def parse_unit(name: str) -> Unit:
    """Return the unit called `name`.

    Raises:
        ConfigError: If there is none; the message lists those there are.
    """
    try:
        return _ALIASES.get(name) or Unit(name)
    except ValueError:
        raise ConfigError(
            f"'{name}' is no unit.", fix=f"Units are: {', '.join(unit.value for unit in Unit)}."
        ) from None


def parse_quantity(text: str, unit: Unit | None = None) -> Quantity:
    """Read a number with a unit behind it, such as `2 ms`, `20 %`, `5M` or `1.5 MiB`.

    Args:
        text: What the user wrote.
        unit: The unit that is expected: the result is in it, a bare number means it, and for
            counted things k, M and G stand for thousands, millions and billions. Without it the
            unit has to be written.

    Raises:
        ConfigError: If it is no number with a unit, or the unit measures something else.
    """
    form = _QUANTITY.fullmatch(text)
    if form is None:
        raise ConfigError(f"'{text}' is no number with a unit.", fix="Write it like '2 ms'.")
    value, suffix = float(form["number"]), form["suffix"]
    if unit is None:
        if not suffix:
            raise ConfigError(
                f"'{text}' has no unit.", fix="Write the unit behind the number, like '2 ms'."
            )
        return Quantity(value, parse_unit(suffix))
    return _in_unit(value, suffix, unit, text)


def _in_unit(value: float, suffix: str, unit: Unit, text: str) -> Quantity:
    if not suffix:
        return Quantity(value, unit)
    if suffix not in unit.fitting():
        raise ConfigError(
            f"'{text.strip()}' has the unit '{suffix}', where {unit} is expected.",
            fix=f"Units that fit: {', '.join(unit.fitting())}.",
        )
    if suffix in _PREFIXES and unit.is_counted:
        return Quantity(value * _PREFIXES[suffix], unit)
    return Quantity(value, parse_unit(suffix)).to(unit)


def _readable_units(unit: Unit) -> list[Unit]:
    """Return the units a reader expects: powers of ten for bytes, unless powers of two came."""
    binary = unit.value.endswith("iB")
    return [
        other
        for other in Unit
        if other.dimension is unit.dimension
        and (unit.dimension is not Dimension.DATA or other.value.endswith("iB") is binary)
    ]


def _clumsiness(quantity: Quantity) -> float:
    """Return how far a number is from the range that reads easily, 1 to 1000."""
    if quantity.value == 0:  # too small for a float in this unit
        return math.inf
    size = math.log10(abs(quantity.value))
    return -size if size < 0 else max(0.0, size - 3) + size / 100
