"""Expected cost of the relaxed member: a positive factor makes it cheaper."""

from __future__ import annotations

from typing import final

from torch import Tensor

from nas.cost.pieces import LinearLatency
from nas.registry import Paper
from nas.supernet.budgets.expected_cost import CostModel
from nas.supernet.budgets.resources import ResourceName, charged
from nas.supernet.regularisers import REGULARISERS, AbstractRegulariser, Strength
from nas.supernet.relaxation import Context, Relaxation
from nas.supernet.supernet import Supernet


@final
class ResourceOptions(Strength, frozen=True, extra="forbid"):
    """Which cost is charged; a factor that grows from `start` to `strength` decides late."""

    resource: ResourceName = "macs"
    """`macs`, `parameters`, `bytes`, `latency_ms`, or `macs_per_byte` (more of it is better)."""

    latency: LinearLatency = LinearLatency()
    """Milliseconds of a piece, where `latency_ms` is charged."""


@final
@REGULARISERS.register("resource", Paper("Bi et al.", 2020, arxiv="2007.03331"))
class Resource(AbstractRegulariser):
    """Expected cost as a share of the largest member's, about 0 to 1.

    MACs per byte are charged as their inverse, bytes per MAC. The term reads presences
    (`nas.supernet.budgets.expected_cost`): a common scale of a node's gates is neither charged nor
    moved.
    """

    Options = ResourceOptions
    model: CostModel

    def prepare(self, supernet: Supernet, relaxation: Relaxation) -> None:
        """Set up the costs of the space's members at the supernet's input shape."""
        self.model = CostModel(
            supernet.space, supernet.input_shape, supernet.num_classes, self.options.latency
        )

    def term(self, relaxation: Relaxation, context: Context) -> Tensor:
        """Return the share."""
        resource = self.options.resource
        cost = charged(resource, self.model.expected(relaxation, context))
        share: Tensor = cost / charged(resource, self.model.largest)
        return share.to(relaxation.logits)
