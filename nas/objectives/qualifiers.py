"""The words in brackets behind a name: runtime, batch, number format."""

from __future__ import annotations

import re
from typing import Any, get_args

from nas.errors import ConfigError
from nas.objectives.deployment import POLICY
from nas.objectives.latency_config import Dtype
from nas.objectives.runtimes import RUNTIMES

_BATCH = re.compile(r"b([1-9][0-9]{0,4})")
LARGEST_BATCH = 65_536


def read_qualifiers(words: tuple[str, ...], form: str, *, batch: bool) -> dict[str, Any]:
    """Return what the words say: `runtime`, `batch` and `dtype`, in any order.

    Args:
        words: The words.
        form: How they are written, for messages.
        batch: Whether a batch may be among them.

    Raises:
        ConfigError: If a word is none of them, or two are of one kind.
    """
    fields: dict[str, Any] = {}
    for word in words:
        field, value = _read(word, form, batch)
        if field in fields:
            raise ConfigError(
                f"[{','.join(words)}] names two values for {field}: {fields[field]} and {value}.",
                fix=f"Keep one; the form is {form}.",
            )
        fields[field] = value
    return fields


def check_formats(runtime: str, dtype: str) -> None:
    """Refuse a number format that the runtime does not execute; `policy` is checked elsewhere.

    Raises:
        ConfigError: Then.
    """
    if dtype != POLICY:
        RUNTIMES.get(runtime).check_dtype(dtype)


def _read(word: str, form: str, batch: bool) -> tuple[str, str | int]:
    if word in RUNTIMES:
        return "runtime", word
    if word == POLICY or word in get_args(Dtype):
        return "dtype", word
    size = _BATCH.fullmatch(word) if batch else None
    if size and int(size[1]) <= LARGEST_BATCH:
        return "batch", int(size[1])
    kinds = "runtime, batch or number format" if batch else "runtime or number format"
    batches = f" batches: b1 to b{LARGEST_BATCH};" if batch else ""
    raise ConfigError(
        f"'{word}' is no {kinds}.",
        fix=(
            f"The form is {form}; runtimes: {', '.join(RUNTIMES)};{batches} number formats: "
            f"{', '.join(get_args(Dtype))}, or {POLICY}, the one a search decides."
        ),
    )
