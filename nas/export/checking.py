"""What an exported file answers beside torch, on real images.

Zeros or noise would not do: a pooling that rounds differently, or a norm that lost its statistics,
shows on images like those the network is for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final, final

import numpy as np

from nas.errors import ArchitectureError
from nas.export.parcel import RealImages
from nas.export.sessions import Images

TOLERANCE: Final = 1e-4
"""Largest difference that is called the same, relative to the largest logit: float32 sums that are
added up in another order differ by about a hundredth of it."""


@final
@dataclass(frozen=True)
class Agreement:
    """How near an exported network is to torch.

    Args:
        images: How many images were compared.
        told: Which ones.
        max_difference: Largest difference of two logits.
        relative_difference: The same over the largest logit.
        same_answers: Share of images with the same first class.
        accuracy: Share of right answers of the exported network; None without labels.
        accuracy_torch: That of torch.
    """

    images: int
    told: str
    max_difference: float
    relative_difference: float
    same_answers: float
    accuracy: float | None
    accuracy_torch: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    def describe(self) -> str:
        """Return the comparison in a sentence."""
        text = (
            f"checked on {self.images:,} {self.told}: largest difference {self.max_difference:.2g} "
            f"({self.relative_difference:.1g} of the largest logit)"
        )
        if self.accuracy is None or self.accuracy_torch is None:
            return f"{text}, the same answer for {100 * self.same_answers:.4g} %"
        return (
            f"{text}, accuracy {100 * self.accuracy:.2f} %, "
            f"that of torch {100 * self.accuracy_torch:.2f} %"
        )


def compare(
    run: Callable[[Images], Images], reference: Images, real: RealImages, what: str
) -> Agreement:
    """Compare an exported network with torch.

    Args:
        run: The exported network.
        reference: What torch answers on the images.
        real: The images.
        what: The format, for the message.

    Raises:
        ArchitectureError: If they differ beyond rounding: such a file is not handed over.
    """
    found = np.asarray(run(real.images), dtype=np.float32)
    difference = float(np.abs(found - reference).max())
    relative = difference / (float(np.abs(reference).max()) or 1.0)
    if not relative <= TOLERANCE:  # a NaN is refused, too
        raise ArchitectureError(
            f"The exported network differs from torch by {relative:.2g} of the largest logit on "
            f"{real.told}; up to {TOLERANCE:g} is rounding.",
            where=what,
            why="Whatever wrote it changed what the network computes, so nothing was kept.",
            fix="Try it without --fold, or take another format.",
        )
    first, second = _answers(found), _answers(reference)
    return Agreement(
        images=len(real.images),
        told=real.told,
        max_difference=difference,
        relative_difference=relative,
        same_answers=float((first == second).mean()),
        accuracy=None if real.labels is None else float((first == real.labels).mean()),
        accuracy_torch=None if real.labels is None else float((second == real.labels).mean()),
    )


def _answers(logits: Images) -> Any:
    return logits.reshape(len(logits), logits.shape[1], -1).mean(axis=2).argmax(axis=1)
