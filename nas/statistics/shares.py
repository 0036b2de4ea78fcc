"""A share that was counted, with its interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from nas.errors import ConfigError


@final
@dataclass(frozen=True)
class Share:
    """How often something happened.

    Args:
        value: Share, from 0 to 1.
        low: Lower end of the interval.
        high: Its upper end.
    """

    value: float
    low: float
    high: float


def share(happened: int, of: int, confidence: float = 0.95) -> Share:
    """Return a share with its exact two-sided interval.

    Clopper and Pearson 1934, Biometrika 26, 404-413: it covers at least as often as it says.

    Raises:
        ConfigError: If nothing was counted, or more happened than was counted.
    """
    if not 0 <= happened <= of or of < 1:
        raise ConfigError(
            f"{happened} of {of} is no share: at least 1 is counted, and no more than all."
        )
    from scipy.special import betaincinv

    tail = (1 - confidence) / 2
    low = 0.0 if happened == 0 else float(betaincinv(happened, of - happened + 1, tail))
    high = 1.0 if happened == of else float(betaincinv(happened + 1, of - happened, 1 - tail))
    return Share(happened / of, low, high)
