"""Seeds: one run seed becomes one independent seed per draw, H(run seed, purpose, index).

Every random draw of a run names what it is for and which one it is, so a draw never depends on
how many came before it: a resumed run, another number of workers or a skipped stage give the same
numbers. Nothing here keeps state, and no stream is ever shared between two purposes.
"""

from __future__ import annotations

import hashlib

from nas.errors import ConfigError

_LARGEST_BITS = 63


def derive_seed(run_seed: int, purpose: str, index: int, *, bits: int = _LARGEST_BITS) -> int:
    """Return the seed of draw number `index` for `purpose` in the run with `run_seed`.

    SHA-256 rather than arithmetic on the numbers: neighbouring seeds and indices must give
    unrelated streams.

    Args:
        run_seed: Seed of the whole run, at least 0.
        purpose: What the draw is for, such as `split` or `proposal`.
        index: Which draw of this purpose, at least 0.
        bits: Width of the result: 63 suits torch and numpy generators, 32 suits optuna and
            scikit-learn.

    Raises:
        ConfigError: If a number is negative, the purpose is empty or the width is not 1 to 63.
    """
    if run_seed < 0 or index < 0:
        raise ConfigError(
            f"Seed {run_seed} with index {index} is negative: seeds and indices start at 0.",
            fix="Choose a seed of 0 or more.",
        )
    if not purpose:
        raise ConfigError("The purpose of a seed is empty.", fix="Name what the draw is for.")
    if not 1 <= bits <= _LARGEST_BITS:
        raise ConfigError(f"A seed of {bits} bits is not possible: 1 to {_LARGEST_BITS} bits.")
    # The length of the purpose keeps (1, "a", ...) and (1, "a/2", ...) apart.
    message = f"nas.seed/1|{run_seed}|{len(purpose)}|{purpose}|{index}"
    digest = hashlib.sha256(message.encode("utf-8")).digest()
    return int.from_bytes(digest[:8], "big") >> (64 - bits)
