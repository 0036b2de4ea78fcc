"""Quiet surroundings for third-party converters: no warnings, no log lines, no root handler.

`torch.onnx` and the quantiser of ONNX Runtime warn of things that are no concern of a user, print
progress, and call `logging.warning`, which would install a handler on the root logger for good.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def silence() -> Iterator[None]:
    """Run the block without warnings and log lines; both are as before afterwards."""
    root = logging.getLogger()
    handler = logging.NullHandler()
    before = logging.root.manager.disable
    root.addHandler(handler)  # with a handler there, `logging.warning` installs none
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
        root.removeHandler(handler)
