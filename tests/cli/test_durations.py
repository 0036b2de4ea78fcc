"""Time spans on the command line."""

from __future__ import annotations

import pytest

from nas.cli.durations import parse_duration
from nas.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("30m", 1800),
        ("5 min", 300),
        ("2h", 7200),
        ("1.5h", 5400),
        ("1h30m", 5400),
        ("1d 2h", 93_600),
        ("0.5", 0.5),
    ],
)
def test_time_spans_are_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "2 hours", "-5m", "1e3", "2h?", "nan", "1:30"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"is no time span[\s\S]*--time[\s\S]*1h30m"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["0", "0h", "1000d"])
def test_absurd_time_spans_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="not between 0 and 115 days"):
        parse_duration(text)
