"""Operations written as text: a row of layers joined by `+`, such as `bn+relu+conv3x3.g32`.

The stride of the node goes to the layer marked `.s`, else to the first convolution or pooling. The
last convolution gives the row the node's width. There is one accepted spelling per row: suffixes in
the order of `SUFFIXES`, defaults left out, `.s` only where it changes something; a convolution that
stands alone without a suffix keeps its `.s`, because `conv3x3` names the convolution with batch
norm and rectifier.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import final

from nas.errors import ConfigError, NotFoundError
from nas.topology.layers import AbstractLayer, AbstractWindow, Conv, DepthwiseConv
from nas.topology.operation_tokens import is_head, read_token, write_token

MAX_TEXT = 256
MAX_LAYERS = 32


@final
@dataclass(frozen=True)
class Row:
    """Layers, and the one accepted spelling of the row."""

    layers: tuple[AbstractLayer, ...]
    text: str


def looks_written(name: str) -> bool:
    """Tell whether a name is meant as a row of layers rather than as a registered name."""
    return "+" in name or "." in name or is_head(name[:MAX_TEXT])


def bad_row(text: str, what: str, fix: str | None) -> NotFoundError:
    """Build the error for a text that is no accepted row."""
    shown = text if len(text) <= 80 else f"{text[:77]}..."
    return NotFoundError(f"The operation '{shown}' {what}.", fix=fix)


@lru_cache(maxsize=4096)
def read_row(text: str) -> Row | NotFoundError:
    """Read a row in any spelling; return the error where the text is none."""
    if len(text) > MAX_TEXT:
        return bad_row(text, f"has more than {MAX_TEXT} characters", "Split it into nodes.")
    tokens = text.split("+")
    if len(tokens) > MAX_LAYERS:
        return bad_row(text, f"has more than {MAX_LAYERS} layers", "Split it into nodes.")
    layers = []
    for number, token in enumerate(tokens, start=1):
        try:
            layers.append(read_token(token))
        except ConfigError as error:
            return bad_row(text, f"is malformed at layer {number}: {error.what[:-1]}", error.fix)
    return _checked(text, layers)


def _checked(text: str, layers: list[AbstractLayer]) -> Row | NotFoundError:
    marked = [number for number, layer in enumerate(layers) if layer.strided]
    if len(marked) > 1:
        return bad_row(text, "carries the stride in two layers", "Keep one '.s'.")
    for layer in reversed(layers):
        if isinstance(layer, Conv):
            if layer.own_width is not None or layer.expand is not None:
                return bad_row(
                    text,
                    "gives its last convolution a width of its own",
                    "Leave '.w' and '.x' out there: the row ends with the width of its node.",
                )
            break
    default = _carrier(layers)
    if not marked and default is not None:
        layers[default] = replace(layers[default], strided=True)
        marked = [default]
    row = tuple(layers)
    return Row(row, _written(row, marked[0] if marked else None, default))


def _carrier(layers: list[AbstractLayer]) -> int | None:
    """Return the layer that carries the stride of a node where none is marked."""
    windows = (number for number, each in enumerate(layers) if isinstance(each, AbstractWindow))
    return next(windows, None)


def _written(layers: tuple[AbstractLayer, ...], marked: int | None, default: int | None) -> str:
    said = marked if marked != default else None
    words = [
        write_token(layer, carries_stride=number == said) for number, layer in enumerate(layers)
    ]
    if len(layers) == 1 and isinstance(layers[0], Conv | DepthwiseConv) and "." not in words[0]:
        return f"{words[0]}.s"
    return "+".join(words)
