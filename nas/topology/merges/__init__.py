"""How a node combines its inputs, as data: one file per merge, registered by name.

Every merge here is linear in its inputs: `scale * sum_e M_e x_e`, with `M_e` the identity, a
learned scalar, or a learned 1x1 projection (a slice of the convolution behind a concatenation).
That one form is what the compiler builds, what the supernet relaxes and what the costs count.
A merge of one input is the identity for every rule here, so that a node with a single edge means
the same under each of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

from nas.registry import Paper, Registry

EdgeWeight = Literal["identity", "scalar", "projection", "stacked"]


@final
@dataclass(frozen=True)
class Merge:
    """A merge rule.

    Args:
        name: Registered name.
        weight: What each input is multiplied with: `identity` (nothing), `scalar` (one learned
            number), `projection` (a learned C x C matrix: concatenation followed by a 1x1
            convolution, written as a sum of slices), or `stacked` (plain concatenation: channels
            add up and nothing is learned).
        default_scale: The factor used where a node says `auto`: `none`, `rsqrt` or `mean`.
        fixed_scale: True if a node cannot choose another one (the mean is a mean).
    """

    name: str
    weight: EdgeWeight = "identity"
    default_scale: str = "none"
    fixed_scale: bool = False

    def resolve_scale(self, scale: str) -> str:
        """Return the scale in force for a node that asks for `scale`."""
        return self.default_scale if scale == "auto" or self.fixed_scale else scale


SCALE_POWER = {"none": 0.0, "rsqrt": -0.5, "mean": -1.0}
"""Power of the in-degree d in the factor of each scale."""

MERGES: Registry[Merge] = Registry("merge", package=__name__)


def merge(entry: Merge, paper: Paper | None = None) -> Merge:
    """Register and return a merge.

    Raises:
        ConfigError: If the name is taken.
    """
    MERGES.add(entry.name, entry, paper)
    return entry
