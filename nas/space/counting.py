"""Counts of members as text and JSON, however many digits they have.

A space of a few hundred open edges has more members than a float or Python's own way of writing
whole numbers (4,300 digits) can hold; `decimal` writes them all.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

MOST_DIGITS: Final = 4_300
"""Longest whole number that readers of JSON in Python take."""


def short_count(number: int) -> str:
    """Write a count in full where it is short, else as a power of ten."""
    if number < 10**9:
        return f"{number:,}"
    return f"{number:.2e}" if number < 10**300 else f"{Decimal(number):.2e}"


def exact_count(number: int) -> str:
    """Write all digits of a count, thousands separated."""
    return f"{Decimal(number):,f}"


def digits_of(number: int) -> str:
    """Write all digits of a count and nothing else."""
    return f"{Decimal(number):f}"


def json_count(number: int) -> int | str:
    """Return a count as JSON holds it: as text where its digits are too many for a number."""
    return number if number < 10**MOST_DIGITS else digits_of(number)
