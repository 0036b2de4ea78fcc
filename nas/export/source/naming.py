"""Names of Python from names of nodes, which may be any text."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Collection

from torch import nn

_TAKEN = frozenset(
    {"torch", "nn", "F", "Tensor", "math", "json", "sys", "Path", "self", "x", "y", "load_weights"}
)
_SPOKEN = {"in": "entry"}
"""Names of nodes that Python keeps for itself."""

MAX_NAME = 40


def identifier(text: str, usual: str = "part") -> str:
    """Return text as an identifier in lower case, `usual` where nothing of it is left."""
    plain = text.encode("ascii", "ignore").decode().lower()
    plain = re.sub(r"[^0-9a-z]+", "_", plain).strip("_")[:MAX_NAME].strip("_")
    if not plain:
        return usual
    plain = _SPOKEN.get(plain, plain)
    return f"{usual}{plain}" if plain[0].isdigit() else plain


def free_attribute(wish: str, taken: Collection[str]) -> str:
    """Return a name for an attribute of a module that is neither taken nor torch's own."""
    if hasattr(nn.Module, wish) or keyword.iskeyword(wish) or wish in ("training", "forward"):
        wish = f"{wish}_"
    return numbered(wish, taken)


def free_variable(wish: str, taken: Collection[str]) -> str:
    """Return a name for a local variable that hides nothing."""
    if keyword.iskeyword(wish) or hasattr(builtins, wish) or wish in _TAKEN:
        wish = f"{wish}_"
    return numbered(wish, taken)


def numbered(wish: str, taken: Collection[str]) -> str:
    """Return the name itself, or with the first number behind it that makes it free."""
    name, number = wish, 2
    while name in taken:
        name = f"{wish}_{number}" if wish[-1].isdigit() else f"{wish}{number}"
        number += 1
    return name


def class_name(text: str) -> str:
    """Return an identifier as the name of a class: `stage1` gives `Stage1`."""
    return "".join(piece[:1].upper() + piece[1:] for piece in text.split("_"))


def plain_text(text: str) -> str:
    """Return text that may stand in a docstring or a comment: one line, nothing to escape."""
    kept = "".join(letter if letter.isprintable() else " " for letter in text)
    return kept.replace("\\", "/").replace('"', "'")
