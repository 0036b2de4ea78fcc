"""Published networks of the size of the front's middle."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import ClassVar, Final, final

from nas.cost.count import cost
from nas.errors import NasError
from nas.model.published import published_like
from nas.search.confirm.arms.base import ARMS, AbstractArm, ArmContext
from nas.search.confirm.candidate import Candidate, Kind
from nas.topology.identity import structural_id

FAMILIES: Final = ("resnet-cifar", "densenet-cifar", "fractalnet")


@ARMS.register("published")
@final
class Published(AbstractArm):
    """ResNet, DenseNet-BC and FractalNet in published form, fitted to the front's middle."""

    name: ClassVar[str] = "published"
    kind: ClassVar[Kind] = "hand_made"

    def candidates(self, context: ArmContext) -> Iterator[Candidate]:
        """Yield one network per family; a family that cannot read the images is left out."""
        data = context.session.material.data
        macs = round(median(trial.extra["measures"]["macs"] for trial in context.points))
        for family in FAMILIES:
            name = f"published {family}"
            try:
                network = published_like(family, data.input_shape, data.num_classes, macs)
                cost(network, data.input_shape, data.num_classes)
            except NasError as error:
                context.leave_out(self.name, name, error.what)
                continue
            # Its size follows the front's: after more trials it may be another network.
            key = f"published-{family}-{structural_id(network)[-8:]}"
            yield Candidate.of(key, self.name, self.kind, name, network, family=family)
