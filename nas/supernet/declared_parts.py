"""Parts by declaration: a registered name with its options, as one line of a config.

A part is a class in a registry with a frozen `Options` model. A config names it as `softmax`, or
with options as `{name: hard_concrete, stretch: 0.1}`. Options are checked here, once for all
registries, and the error says which key is wrong and which there are.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, final

from pydantic import BaseModel, ValidationError

from nas.errors import ConfigError, NotFoundError
from nas.registry import Registry

if TYPE_CHECKING:
    from nas.supernet.fitting import Fitting

PartDeclaration = str | dict[str, Any]
"""A registered name, or a mapping with `name` and options."""


@final
class NoOptions(BaseModel, frozen=True, extra="forbid"):
    """Options of a part that has none."""


@final
@dataclass(frozen=True)
class Misfit:
    """Why a part says nothing about a space, and the way out.

    Args:
        why: What the space or the other parts lack, as half a sentence.
        fix: What to change.
    """

    why: str
    fix: str


class AbstractPart(abc.ABC):
    """What is chosen by one line of a config.

    Args:
        options: An instance of the class's own `Options`.
    """

    Options: ClassVar[type[BaseModel]] = NoOptions
    options: Any

    def __init__(self, options: Any = None) -> None:
        self.options = self.Options() if options is None else options

    def misfit(self, fitting: Fitting) -> Misfit | None:
        """Return why this part does not fit a space and the other parts; None if it does."""
        return None


Part = TypeVar("Part", bound=AbstractPart)


def make_part(registry: Registry[type[Part]], declared: PartDeclaration, where: str) -> Part:
    """Return the part a config line declares.

    Args:
        registry: Where its name is registered.
        declared: The line.
        where: Path of the line's key, for errors.

    Raises:
        NotFoundError: If the name is unknown; the message lists what there is.
        ConfigError: If the line has no name, or an option is unknown or wrong.
    """
    options = dict(declared) if isinstance(declared, Mapping) else {"name": declared}
    name = options.pop("name", None)
    if not isinstance(name, str):
        raise ConfigError(
            f"The {registry.kind} has no name.",
            where=where,
            fix=f"Write `name: NAME`; there are: {', '.join(registry.names())}.",
        )
    try:
        kind = registry.get(name)
    except NotFoundError as error:
        error.where = where
        raise
    try:
        return kind(kind.Options(**options))
    except ValidationError as error:
        raise _bad_options(registry.kind, name, kind.Options, error, where) from None


def _bad_options(
    kind: str, name: str, options: type[BaseModel], error: ValidationError, where: str
) -> ConfigError:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    known = ", ".join(options.model_fields) or "none"
    if first["type"] == "extra_forbidden":
        what = f"The {kind} '{name}' has no option '{key}'."
    else:
        what = f"The option '{key}' of the {kind} '{name}': {first['msg']}."
        what = what.replace("..", ".")
    return ConfigError(what, where=where, fix=f"Its options are: {known}.")
