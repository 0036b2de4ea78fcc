"""Searches of the preset `smoke` that take seconds, for tests of what goes on around a search.

The tests that type commands show that they work as they stand and one behind the other, not what
the networks they find are worth. The budgets of the preset itself, and worker processes behind
them, are what `.ci/run` types. As a script this is `nas` in a process of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from unittest.mock import patch

from nas.cli.main import main
from nas.search.settings.presets import PRESETS, merge

BRIEF: Final = {
    "max_train_megapixels": 0.03,
    "supernet": {"training": {"epochs": 2}, "relaxation": {"epochs": 2, "proposals": 2}},
    "latency": {"max_seconds": 0.02, "wait_s": 0, "retries": 0},
    "confirm": {
        "bins": 1,
        "shortlist": 1,
        "recipe": {"epochs": 2},
        "rivals": ["random_members"],
        "baselines": {"hand_made": 1, "random": 1},
    },
    "executor": {"kind": "inline"},
}
"""Laid over the preset; what a command line or a file says wins over it, as it does there."""


@contextmanager
def brief_searches() -> Iterator[None]:
    """Have the preset `smoke` make short searches, for the commands typed in this process."""
    with patch.dict(PRESETS, smoke=merge(PRESETS["smoke"], BRIEF)):
        yield


if __name__ == "__main__":
    with brief_searches():
        main()
