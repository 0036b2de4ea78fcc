"""The words of written operations: from `conv3x3.g32` to a layer, and back.

A word is a head (`conv3x3`, `bn`, `se`) and suffixes behind dots (`.g32`, `.bias`). The table
`SUFFIXES` says which head takes which suffix and which field it fills. Writing a layer down is the
inverse of reading one, and gives the one accepted spelling.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, final

from nas.errors import ConfigError
from nas.registry import suggest
from nas.topology.layers import (
    GELU,
    AbstractLayer,
    Affine,
    BatchNorm,
    ChannelShuffle,
    Conv,
    DepthwiseConv,
    Dropout,
    EffectiveSqueezeExcite,
    GlobalPool,
    Hardsigmoid,
    Hardswish,
    LayerNorm,
    LeakyReLU,
    Mish,
    Pool,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    SqueezeExcite,
    TokenLinear,
    Upsample,
)

Fields = dict[str, Any]

WORDS: dict[str, type[AbstractLayer]] = {
    "affine": Affine,
    "bn": BatchNorm,
    "ese": EffectiveSqueezeExcite,
    "gelu": GELU,
    "globalpool": GlobalPool,
    "hardsigmoid": Hardsigmoid,
    "hardswish": Hardswish,
    "ln": LayerNorm,
    "mish": Mish,
    "relu": ReLU,
    "relu6": ReLU6,
    "se": SqueezeExcite,
    "sigmoid": Sigmoid,
    "silu": SiLU,
    "tokenlinear": TokenLinear,
}
"""Heads that stand alone."""

COUNTED: dict[str, tuple[type[AbstractLayer], str, float]] = {
    "dropout": (Dropout, "rate", 0.01),
    "leakyrelu": (LeakyReLU, "slope", 0.01),
    "shuffle": (ChannelShuffle, "groups", 1),
    "up": (Upsample, "factor", 1),
}
"""Heads with a number: the field it fills, and the unit of the number."""

WINDOWS: dict[str, tuple[type[AbstractLayer], Fields]] = {
    "avgpool": (Pool, {"kind": "average"}),
    "conv": (Conv, {}),
    "dwconv": (DepthwiseConv, {}),
    "maxpool": (Pool, {"kind": "max"}),
}
"""Heads with a window, `HEIGHTxWIDTH`."""

_NUMBER = r"[1-9][0-9]{0,4}"
_WINDOW = re.compile(r"([a-z]+)([1-9][0-9]{0,2})x([1-9][0-9]{0,2})")
_COUNT = re.compile(rf"([a-z]+)({_NUMBER})")


@final
@dataclass(frozen=True)
class Suffix:
    """What may stand behind a dot: its pattern, the fields it fills, and how it is written."""

    pattern: str
    example: str
    field: str
    read: Callable[[str], Any]
    write: Callable[[AbstractLayer], str | None]


def _counted(letter: str, name: str) -> Suffix:
    def write(layer: AbstractLayer) -> str | None:
        value = getattr(layer, name)
        return None if value == _default(type(layer), name) else f"{letter}{value}"

    return Suffix(f"{letter}({_NUMBER})", f".{letter}8", name, int, write)


def _flag(word: str, name: str, value: Any = True) -> Suffix:
    def write(layer: AbstractLayer) -> str | None:
        return word if getattr(layer, name) == value else None

    return Suffix(f"({word})", f".{word}", name, lambda _: value, write)


def _write_rows(layer: AbstractLayer) -> str | None:
    padding = getattr(layer, "padding", "same")
    if isinstance(padding, str):
        return None
    return f"p{padding}" if isinstance(padding, int) else f"p{padding[0]}x{padding[1]}"


def _read_rows(text: str) -> int | tuple[int, int]:
    numbers = [int(number) for number in text.split("x")]
    return numbers[0] if len(numbers) == 1 else (numbers[0], numbers[1])


def _write_valid(layer: AbstractLayer) -> str | None:
    if getattr(layer, "padding", "same") != "valid":
        return None
    even = isinstance(layer, Pool) and any(side % 2 == 0 for side in layer.sides)
    return None if even else "valid"  # an even pooling has no padding unless it says so


def _write_eps(layer: AbstractLayer) -> str | None:
    eps = getattr(layer, "eps")  # noqa: B009
    if eps == _default(type(layer), "eps"):
        return None
    digits, exponent = f"{eps:.0e}".split("e-")
    return f"eps{digits}e-{int(exponent)}"


_PADDING = (
    Suffix("(valid)", ".valid", "padding", str, _write_valid),
    Suffix(r"p([0-9]{1,3}(?:x[0-9]{1,3})?)", ".p1", "padding", _read_rows, _write_rows),
)
_EPS = Suffix(r"eps([1-9]e-[1-9][0-9]?)", ".eps1e-3", "eps", float, _write_eps)

SUFFIXES: dict[str, tuple[Suffix, ...]] = {
    "conv": (
        _counted("g", "groups"),
        _counted("d", "dilation"),
        _counted("x", "expand"),
        _counted("w", "own_width"),
        *_PADDING,
        _flag("bias", "bias"),
        _flag("s", "strided"),
    ),
    "dwconv": (
        _counted("d", "dilation"),
        *_PADDING,
        _flag("bias", "bias"),
        _flag("s", "strided"),
    ),
    "maxpool": (*_PADDING, _flag("ceil", "ceil"), _flag("s", "strided")),
    "avgpool": (
        *_PADDING,
        _flag("ceil", "ceil"),
        _flag("counted", "count_padding"),
        _flag("s", "strided"),
    ),
    "bn": (_EPS, _flag("fixed", "affine", False)),
    "ln": (_EPS,),
    "se": (
        _counted("r", "reduction"),
        _counted("w", "own_width"),
        _flag("hard", "gate", "hardsigmoid"),
    ),
    "up": (_flag("nearest", "mode", "nearest"),),
}
"""Suffixes by head, in the order in which they are written."""


@final
class TokenError(ConfigError):
    """A word that is no layer."""


@cache
def _default(kind: type[AbstractLayer], name: str) -> Any:
    return next(field.default for field in fields(kind) if field.name == name)


def read_token(token: str) -> AbstractLayer:
    """Return the layer of one word; without `.s` it carries no stride.

    Raises:
        ConfigError: If the head or a suffix is unknown, or a number is out of range.
    """
    head, *suffixes = token.split(".")
    name, kind, arguments = _read_head(head)
    known = SUFFIXES.get(name, ())
    for text in suffixes:
        for suffix in known:
            match = re.fullmatch(suffix.pattern, text)
            if match is not None:
                break
        else:
            raise _unknown_suffix(name, text)
        if suffix.field in arguments:
            raise TokenError(f"'.{text}' says twice what '{suffix.field}' is.", fix="Keep one.")
        arguments[suffix.field] = suffix.read(match[1])
    return kind(**arguments)


def is_head(text: str) -> bool:
    """Tell whether a text is the head of a word."""
    return _match_head(text) is not None


def _read_head(head: str) -> tuple[str, type[AbstractLayer], Fields]:
    found = _match_head(head)
    if found is None:
        raise _unknown_head(head)
    return found


def _match_head(head: str) -> tuple[str, type[AbstractLayer], Fields] | None:
    if head in WORDS:
        return head, WORDS[head], {}
    match = _WINDOW.fullmatch(head)
    if match is not None and match[1] in WINDOWS:
        kind, arguments = WINDOWS[match[1]]
        return match[1], kind, {**arguments, "kernel": (int(match[2]), int(match[3]))}
    match = _COUNT.fullmatch(head)
    if match is not None and match[1] in COUNTED:
        kind, field, unit = COUNTED[match[1]]
        value = int(match[2]) if unit == 1 else int(match[2]) / 100
        return match[1], kind, {field: value}
    return None


def _unknown_head(head: str) -> TokenError:
    known = [f"{name}3x3" for name in WINDOWS] + [*WORDS] + [f"{name}2" for name in COUNTED]
    near = suggest(head, known)
    hint = f"Did you mean '{near}'? " if near else ""
    return TokenError(
        f"'{head[:40]}' is no layer.", fix=f"{hint}Known layers: {', '.join(sorted(known))}."
    )


def _unknown_suffix(name: str, text: str) -> TokenError:
    known = [suffix.example for suffix in SUFFIXES.get(name, ())]
    wanted = f"It takes: {', '.join(known)}." if known else "It takes none."
    return TokenError(f"'.{text[:40]}' is no suffix of '{name}'.", fix=wanted)


def write_token(layer: AbstractLayer, *, carries_stride: bool) -> str:
    """Return the word of a layer.

    Args:
        layer: The layer.
        carries_stride: Whether to write `.s`.
    """
    name, head = _write_head(layer)
    written = [
        suffix.write(layer) for suffix in SUFFIXES.get(name, ()) if suffix.field != "strided"
    ]
    parts = [head, *(text for text in written if text is not None)]
    return ".".join([*parts, "s"] if carries_stride else parts)


def _write_head(layer: AbstractLayer) -> tuple[str, str]:
    for name, (kind, arguments) in WINDOWS.items():
        if type(layer) is kind and arguments.items() <= vars(layer).items():
            sides = getattr(layer, "sides")  # noqa: B009
            return name, f"{name}{sides[0]}x{sides[1]}"
    for name, (kind, field, unit) in COUNTED.items():
        if type(layer) is kind:
            return name, f"{name}{round(getattr(layer, field) / unit)}"
    name = next(name for name, kind in WORDS.items() if type(layer) is kind)
    return name, name
