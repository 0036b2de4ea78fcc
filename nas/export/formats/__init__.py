"""Formats that a network leaves in: one file per format, registered by name.

A format writes its files into a folder that is still nobody's, loads them back, and hands over a
function that runs them; what runs is then compared with torch on real images before the folder
gets its name.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final, final

from nas.export.parcel import Parcel
from nas.export.sessions import Images
from nas.registry import Registry

STEM: Final = "network"
"""Every file of an exported network is called so, with the ending of its kind."""

FORMATS: Final[Registry[type[AbstractFormat]]] = Registry(
    "export format", package="nas.export.formats"
)


@final
@dataclass(frozen=True)
class FormatOptions:
    """What a user may choose about a file.

    Args:
        fold: Fold batch norms into the convolutions in front of them.
        batch: Images of one call; None where any number is to fit.
    """

    fold: bool = False
    batch: int | None = None


@final
@dataclass(frozen=True, eq=False)
class Written:
    """What a format wrote.

    Args:
        main: Name of the file that runs.
        run: Runs what was written, loaded from there, on normalised images.
        usage: How to use it, in Markdown, for the model card.
        details: Values for `about.json`, such as the version of the format.
    """

    main: str
    run: Callable[[Images], Images]
    usage: str
    details: dict[str, Any] = field(default_factory=dict)


class AbstractFormat(abc.ABC):
    """One format.

    Attributes:
        summary: What it is, for the help.
        ending: Of its main file.
        alone: Whether its main file is all there is to it.
        plain: Whether it holds the network as it is, batch norms and all.
        traced: Whether it may be made for one size of batch.
        open_batch: Whether it may be made for any size of batch.
    """

    summary: ClassVar[str]
    ending: ClassVar[str]
    alone: ClassVar[bool] = True
    plain: ClassVar[bool] = False
    traced: ClassVar[bool] = True
    open_batch: ClassVar[bool] = True

    @abc.abstractmethod
    def check(self) -> None:
        """Find out before any work whether the format can be written here.

        Raises:
            EnvironmentFault: If a package is missing.
        """

    @abc.abstractmethod
    def write(self, parcel: Parcel, options: FormatOptions, folder: Path) -> Written:
        """Write the files of a network into an empty folder.

        Raises:
            ArchitectureError: If the network has a part that the format cannot hold.
        """


def export_format(name: str) -> Callable[[type[AbstractFormat]], type[AbstractFormat]]:
    """Return a decorator that registers a format under its name."""
    return FORMATS.register(name)
