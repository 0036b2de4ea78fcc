"""Time spans as people type them: `90`, `90s`, `30m`, `2h`, `1h30m`, `1.5h`, `1d`."""

from __future__ import annotations

import re

from nas.errors import ConfigError

_SECONDS = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "min": 60.0, "s": 1.0, "": 1.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(d|h|min|m|s|)\s*")
_LONGEST_S = 1e7


def parse_duration(text: str, option: str = "--time") -> float:
    """Return the seconds in a time span; a number alone is seconds.

    Args:
        text: What the user typed.
        option: Where, for the message.

    Raises:
        ConfigError: If it is no time span, is 0, or is longer than 115 days.
    """
    stripped = text.strip().lower()
    parts = _PART.findall(stripped)
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    whole = bool(parts) and _PART.sub("", stripped) == ""
    if not whole or not 0 < seconds <= _LONGEST_S:
        problem = "is no time span" if not whole else "is not between 0 and 115 days"
        raise ConfigError(
            f"'{text}' {problem}.",
            where=option,
            fix="Write for example 90s, 30m, 2h or 1h30m.",
        )
    return seconds
