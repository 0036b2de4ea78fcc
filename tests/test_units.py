"""Units: exact conversions, and no arithmetic between numbers that mean different things."""

from __future__ import annotations

import doctest
import json
import math
import operator
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas import units
from nas.errors import ConfigError
from nas.units import Dimension, Quantity, Unit, parse_quantity, parse_unit

FINITE = st.floats(-1e12, 1e12, allow_nan=False)
MS = Unit.MILLISECONDS


@pytest.mark.parametrize("unit", list(Unit))
def test_a_unit_has_a_dimension_reads_back_and_is_plain_text_in_records(unit: Unit) -> None:
    assert isinstance(unit.dimension, Dimension)
    assert unit.scale > 0
    assert parse_unit(unit.value) is unit
    assert parse_quantity(f"3 {unit}") == Quantity(3.0, unit)
    assert json.dumps({"unit": unit}) == f'{{"unit": "{unit.value}"}}'
    assert unit.value in unit.fitting()


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("2 ms", MS, 2.0),
        ("2", MS, 2.0),
        ("2e-3 s", MS, 2.0),
        ("2000us", MS, 2.0),
        ("2000 µs", MS, 2.0),
        ("20 %", Unit.FRACTION, 0.2),
        ("7 %", Unit.FRACTION, 0.07),
        ("0.3", Unit.FRACTION, 0.3),
        ("5M", Unit.PARAMETERS, 5e6),
        ("300_000", Unit.MACS, 3e5),
        ("2 MiB", Unit.BYTES, 2.0**21),
        ("2 kB", Unit.BYTES, 2000.0),
        ("4 B", Unit.BYTES, 4.0),
        (".5 nats", Unit.NATS, 0.5),
        ("90 images/s", Unit.IMAGES_PER_SECOND, 90.0),
        ("1.5 J", Unit.MILLIJOULES, 1500.0),
    ],
)
def test_a_quantity_is_read_into_the_unit_expected(text: str, unit: Unit, value: float) -> None:
    assert parse_quantity(text, unit) == Quantity(value, unit)


@pytest.mark.parametrize("text", ["1_ ms", "1__0 ms", "_1 ms"])
def test_thousands_stand_between_digits(text: str) -> None:
    with pytest.raises(ConfigError, match=r"is no number with a unit"):
        parse_quantity(text, MS)


def test_beyond_the_largest_number_lies_infinity() -> None:
    assert Quantity(1e308, Unit.SECONDS).to(MS) == Quantity(math.inf, MS)
    assert Quantity(-1e308, Unit.SECONDS).to(MS) == Quantity(-math.inf, MS)


@given(value=FINITE, unit=st.sampled_from(list(Unit)), other=st.sampled_from(list(Unit)))
def test_a_conversion_there_and_back_changes_nothing_but_the_last_bit(
    value: float, unit: Unit, other: Unit
) -> None:
    quantity = Quantity(value, unit)
    if unit.dimension is other.dimension:
        back = quantity.to(other).to(unit)
        assert back.unit is unit
        assert math.isclose(back.value, value, rel_tol=1e-15, abs_tol=1e-300)
    else:
        with pytest.raises(ConfigError, match=r"cannot be given in[\s\S]*Units that fit"):
            quantity.to(other)


@given(one=FINITE, two=FINITE)
def test_quantities_of_one_unit_calculate_like_numbers(one: float, two: float) -> None:
    first, second = Quantity(one, MS), Quantity(two, MS)
    assert first + second == Quantity(one + two, MS)
    assert first - second == Quantity(one - two, MS)
    assert 2 * first == first * 2 == Quantity(2 * one, MS)
    assert (first < second, first <= second) == (one < two, one <= two)
    assert (first > second, first >= second) == (one > two, one >= two)
    assert two == 0 or first / second == one / two


@pytest.mark.parametrize(
    "meet",
    [
        operator.add,
        operator.sub,
        operator.truediv,
        operator.lt,
        operator.le,
        operator.gt,
        operator.ge,
    ],
)
def test_seconds_and_milliseconds_never_meet_unconverted(meet: Callable[[Any, Any], Any]) -> None:
    milliseconds, seconds = Quantity(2.0, MS), Quantity(2.0, Unit.SECONDS)
    with pytest.raises(ConfigError, match=r"2 ms cannot be .* 2 s: their units differ"):
        meet(milliseconds, seconds)
    with pytest.raises(ConfigError, match="a number without a unit"):
        meet(milliseconds, 3.0)


@pytest.mark.parametrize(
    ("text", "unit", "message"),
    [
        ("2", None, "'2' has no unit"),
        ("two ms", None, "no number with a unit"),
        ("2 parsecs", None, "'parsecs' is no unit"),
        ("2 MB", MS, r"the unit 'MB', where ms is expected[\s\S]*us, ms, s"),
        ("2 M", MS, "the unit 'M', where ms is expected"),
        ("2 MACs", Unit.PARAMETERS, "the unit 'MACs', where parameters is expected"),
    ],
)
def test_what_is_no_quantity_is_refused_with_the_way_out(
    text: str, unit: Unit | None, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_quantity(text, unit)


@pytest.mark.parametrize(
    ("quantity", "text"),
    [
        (Quantity(0.0021, Unit.SECONDS), "2.1 ms"),
        (Quantity(1999.6, MS), "2 s"),
        (Quantity(640, Unit.BYTES), "640 bytes"),
        (Quantity(2.0**21, Unit.BYTES), "2.097 MB"),
        (Quantity(3072, Unit.KIBIBYTES), "3 MiB"),
        (Quantity(0.25, Unit.FRACTION), "25 %"),
        (Quantity(0, MS), "0 ms"),
        (Quantity(5e-324, Unit.MILLISECONDS), "4.941e-318 ns"),
    ],
)
def test_a_readable_quantity_has_a_number_one_can_take_in(quantity: Quantity, text: str) -> None:
    assert quantity.readable() == text


def test_a_quantity_is_shown_with_its_unit() -> None:
    assert str(Quantity(0.125, MS)) == "0.125 ms"
    assert f"{Quantity(1 / 3, MS):.2f}" == "0.33 ms"


def test_numbers_that_are_not_finite_convert_and_stay_so() -> None:
    assert math.isnan(parse_quantity("nan s", MS).value)
    assert parse_quantity("inf s", MS).value == math.inf
    assert Quantity(math.inf, MS).readable() == "inf ms"


def test_the_examples_in_the_documentation_hold() -> None:
    assert doctest.testmod(units).failed == 0
