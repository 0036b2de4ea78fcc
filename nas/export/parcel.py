"""A network with everything that leaves with it: classes, preprocessing, origin of its weights.

The formats write parcels, the model card tells of them, and predictions are made with them. A
parcel is put together by whoever knows where the network comes from; nothing here reads a run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self, final

import numpy as np
from numpy.typing import NDArray

from nas.export.sessions import Images
from nas.model.network import Network
from nas.training.data.preprocessing import Preprocessing

Origin = Literal["trained", "confirmed", "inherited", "untrained"]


@final
@dataclass(frozen=True)
class Weights:
    """Where the weights of a network come from.

    Args:
        origin: `trained` by `nas arch train`, `confirmed` (kept by the confirmation of a search),
            `inherited` from a supernet, or `untrained`.
        told: That in one sentence, with what identifies them.
        sha256: Of the file they were read from, if there is one.
    """

    origin: Origin
    told: str
    sha256: str | None = None


@final
@dataclass(frozen=True, eq=False)
class RealImages:
    """Images that an export is checked on.

    Args:
        images: Normalised, `(count, channels, height, width)`.
        labels: Class numbers; None where nothing is known about the images.
        told: Which images these are, in a few words.
    """

    images: Images
    labels: NDArray[np.int64] | None
    told: str


@final
@dataclass(frozen=True)
class Figure:
    """One line of figures of a model card.

    Args:
        name: What was measured.
        value: Its value with its spread and its unit, as text.
        source: How it came about.
    """

    name: str
    value: str
    source: str


@final
@dataclass(frozen=True)
class Facts:
    """What a model card tells beside the network itself.

    Args:
        task: What the network does.
        data: Name, size and fingerprint of the data, in words.
        figures: Measured and counted numbers.
        device: Where latencies were measured; empty where none were.
        commands: What to type to get this network again.
        remarks: What a reader has to know, such as the stamp of a smoke run.
        recipe: Settings that the commands read from `recipe.yaml`, as YAML; empty for none.
    """

    task: str
    data: str
    figures: tuple[Figure, ...] = ()
    device: str = ""
    commands: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    recipe: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """Return what `to_dict` described, as far as it can be read: it is talk, not data."""
        rows = [each for each in _list(given.get("figures")) if isinstance(each, dict)]
        parts = ("name", "value", "source")
        return cls(
            task=str(given.get("task", "")),
            data=str(given.get("data", "")),
            figures=tuple(Figure(*(str(row.get(part, "")) for part in parts)) for row in rows),
            device=str(given.get("device", "")),
            commands=tuple(map(str, _list(given.get("commands")))),
            remarks=tuple(map(str, _list(given.get("remarks")))),
            recipe=str(given.get("recipe", "")),
        )


def _list(given: object) -> list[Any]:
    return list(given) if isinstance(given, (list, tuple)) else []


@final
@dataclass(frozen=True, eq=False)
class Parcel:
    """A network and what travels with it.

    Args:
        title: What it is called, such as `trial 12 of run first`.
        network: The network with its weights, in eval mode, on the CPU.
        num_classes: Numbers it answers with per image.
        preprocessing: From a picture to its input; None where it belongs to no data.
        weights: Where its weights come from.
        facts: For the model card.
        identity: Structural id of its architecture, None where it has none.
    """

    title: str
    network: Network
    num_classes: int
    preprocessing: Preprocessing | None
    weights: Weights
    facts: Facts
    identity: str | None = None

    @property
    def classes(self) -> Sequence[str] | None:
        """Names of the classes, None where they are not known."""
        return None if self.preprocessing is None else self.preprocessing.classes
