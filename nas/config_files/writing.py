"""YAML out: what `nas.config_files` writes, it reads back equal."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from nas.config_files.yaml_events import resolve_plain
from nas.errors import ConfigError

_PLAIN = re.compile(r"[A-Za-z_/][\w./+-]*( [\w./+-]+)*", re.ASCII)
# Characters that YAML wants escaped although JSON does not.
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def dump_yaml(data: Any) -> str:
    """Write plain data as YAML 1.2, keys in their order, lists of scalars on one line.

    Raises:
        ConfigError: If something in it is not plain data or not a finite number.
    """
    lines = [f"{_scalar(data)}"] if _fits_one_line(data) else list(_block(data, ""))
    return "\n".join(lines) + "\n"


def _block(data: Any, indent: str) -> Iterator[str]:
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield from _entry(f"{indent}{_scalar(str(key))}:", value, indent)
    else:
        for value in data:
            yield from _entry(f"{indent}-", value, indent)


def _entry(head: str, value: Any, indent: str) -> Iterator[str]:
    if _fits_one_line(value):
        yield f"{head} {_scalar(value)}"
    else:
        yield head
        yield from _block(value, indent + "  ")


def _fits_one_line(value: Any) -> bool:
    if isinstance(value, Mapping):
        return not value
    if isinstance(value, (list, tuple)):
        return not any(isinstance(item, (Mapping, list, tuple)) for item in value)
    return True


def _scalar(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_scalar(item) for item in value) + "]"
    if isinstance(value, str):
        return _text(value)
    if value is None or isinstance(value, (bool, int)):
        return json.dumps(value)
    if isinstance(value, float) and math.isfinite(value):
        return repr(value)
    raise ConfigError(
        f"{value!r} cannot be written as YAML: it is not plain, finite data.",
        fix="Use text, finite numbers, booleans, lists and mappings only.",
    )


def _text(value: str) -> str:
    if _PLAIN.fullmatch(value) and isinstance(resolve_plain(value), str):
        return value
    quoted = json.dumps(value, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match.group()):04x}", quoted)
