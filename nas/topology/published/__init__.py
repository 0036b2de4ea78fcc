"""Published networks as architectures: one file per family, built from a few named options.

They are baselines and oracles: their parameter counts are known exactly, so every compiler is held
to them. A family is a function with default options that returns an `Architecture`; the options of
`build_published` may come as text, as the command line gives them (`resnet:depth=18`).
"""

from __future__ import annotations

import contextlib
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, final

from nas.errors import ConfigError
from nas.registry import Paper, Registry, suggest
from nas.topology.graph import Architecture
from nas.topology.layers import Shape

Value = int | float | bool | str
CIFAR: Shape = (3, 32, 32)
IMAGENET: Shape = (3, 224, 224)
Depths = Callable[[Shape], tuple[Mapping[str, Value], ...]]


@final
@dataclass(frozen=True)
class PublishedNetwork:
    """A family of published networks.

    Args:
        name: Registered name.
        build: Function from options to an architecture.
        width_option: Option that scales the width; None for a family that is not fitted to sizes.
        widths: Smallest and largest value of it when a network is fitted to a size.
        depths: Function from the input shape to the depths worth trying, the published one first.
        smallest: Smallest side of the images that its members can read.
        images: Shape of the images it was published for; others change no network.
        classes: Classes it was published for.
        summary: First line of the function's docstring.
    """

    name: str
    build: Callable[..., Architecture]
    width_option: str | None
    widths: tuple[int, int]
    depths: Depths
    smallest: int
    images: Shape
    classes: int
    summary: str

    @property
    def options(self) -> dict[str, Value]:
        """Return the options with their defaults, in order of declaration."""
        parameters = inspect.signature(self.build).parameters.values()
        return {parameter.name: parameter.default for parameter in parameters}


PUBLISHED: Registry[PublishedNetwork] = Registry("published network", package=__name__)


def published_network(
    name: str,
    paper: Paper,
    *,
    width_option: str | None = None,
    widths: tuple[int, int] = (1, 1),
    depths: Depths = lambda _: (),
    smallest: int = 1,
    images: Shape = CIFAR,
    classes: int = 10,
) -> Callable[[Callable[..., Architecture]], Callable[..., Architecture]]:
    """Register the decorated family under `name`; every option of it needs a default.

    A family with a `width_option` can stand beside a search as a network of similar size.
    """

    def decorate(build: Callable[..., Architecture]) -> Callable[..., Architecture]:
        summary = (build.__doc__ or "").strip().splitlines()[0] if build.__doc__ else ""
        entry = PublishedNetwork(
            name, build, width_option, widths, depths, smallest, images, classes, summary
        )
        PUBLISHED.add(name, entry, paper)
        return build

    return decorate


def build_published(name: str, **options: Any) -> Architecture:
    """Build a published network.

    Args:
        name: Family, such as `resnet`.
        options: Options of the family; a value may be text (`"20"`, `"true"`).

    Returns:
        The architecture, without its head.

    Raises:
        NotFoundError: If there is no such family; the message lists them.
        ConfigError: If an option is unknown or its value is not allowed.
    """
    family = PUBLISHED.get(name)
    defaults = family.options
    values: dict[str, Value] = {}
    for option, value in options.items():
        if option not in defaults:
            near = suggest(option, list(defaults))
            hint = f"Did you mean '{near}'? " if near else ""
            known = ", ".join(f"{key}={_text(default)}" for key, default in defaults.items())
            raise ConfigError(
                f"'{name}' has no option '{option}'.", fix=f"{hint}Its options are: {known}."
            )
        values[option] = _convert(name, option, value, type(defaults[option]))
    return family.build(**values)


def build_published_text(text: str) -> Architecture:
    """Build a published network from `NAME[:key=value,...]`.

    Raises:
        NotFoundError: If there is no such family.
        ConfigError: If the text or an option is malformed.
    """
    name, options = parse_published(text)
    return build_published(name, **options)


def usual_images(text: str) -> tuple[Shape, int]:
    """Return the images and classes that a published network was made for.

    Args:
        text: `NAME[:key=value,...]`; any other name gets those of CIFAR-10.
    """
    name = text.partition(":")[0].strip()
    if name not in PUBLISHED:
        return CIFAR, 10
    family = PUBLISHED.get(name)
    return family.images, family.classes


def parse_published(text: str) -> tuple[str, dict[str, str]]:
    """Split `NAME[:key=value,...]` into the name and the options, still as text.

    Raises:
        ConfigError: If an option is not written `key=value`, or is there twice.
    """
    name, _, rest = text.partition(":")
    options: dict[str, str] = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not (key and equals and value):
            raise ConfigError(
                f"'{part}' is no option of the form key=value.",
                where=text,
                fix="Write for example resnet-cifar:depth=20,skip=projection.",
            )
        if key in options:
            raise ConfigError(f"The option '{key}' is there twice.", where=text, fix="Keep one.")
        options[key] = value
    return name.strip(), options


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _convert(name: str, option: str, value: object, kind: type) -> Value:
    """Turn text into the type of the option's default, and refuse any other type."""
    if isinstance(value, str) and kind is not str:
        value = _read(value, kind)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        wanted = _WANTED[kind]
        usual = PUBLISHED.get(name).options[option]
        raise ConfigError(
            f"{name}: '{option}' is {value!r}, but must be {wanted}.",
            fix=f"Write for example {option}={_text(usual)}.",
        )
    assert isinstance(value, int | float | str)
    return value


_WANTED = {
    int: "a whole number",
    float: "a finite number",
    bool: "true or false",
    str: "a word",
}


def _read(text: str, kind: type) -> Value:
    """Return the number or the truth value that a text spells, else the text."""
    known = {"true": True, "false": False}.get(text.lower())
    if known is not None:
        return known
    if text.lstrip("-").isdecimal() and len(text) < 10:
        return int(text)
    if kind is float and len(text) <= 32:
        with contextlib.suppress(ValueError):
            number = float(text)
            return number if math.isfinite(number) else text
    return text
