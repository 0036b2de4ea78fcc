"""Residual blocks that several families share: post-activation and pre-activation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

from nas.topology.published.assembly import Assembly, choose

SKIPS: Final = {"zeropad": "zero_pad", "projection": "project"}
"""What a skip does where shapes change, by option: subsample and pad with zeros (option A of
He et al. 2015, arXiv:1512.03385), or a strided 1x1 convolution (option B)."""


@final
@dataclass(frozen=True)
class Step:
    """One convolution of a block: its kernel or its whole row, its width and its stride."""

    operation: str
    width: int
    stride: int = 1


def skip_transform(family: str, skip: str) -> str:
    """Return the transform of the edge that skips a block of another shape.

    Raises:
        ConfigError: If `skip` is unknown; the closest word is offered.
    """
    return choose(family, "skip", skip, SKIPS)


def post_activation_block(
    net: Assembly, name: str, state: int, steps: Sequence[Step], transform: str
) -> int:
    """Add convolutions, a skip with `transform`, and a rectifier behind the sum."""
    current = state
    for number, step in enumerate(steps, start=1):
        current = net.add(
            f"{name}.op{number}", step.operation, current, width=step.width, stride=step.stride
        )
    return net.add(f"{name}.join", "relu", (state, transform), current)


def pre_activation_block(
    net: Assembly, name: str, state: int, steps: Sequence[Step], transform: str
) -> int:
    """Add convolutions, each behind norm and rectifier, and a skip that carries the state as it is.

    With the transform `project` the first norm and rectifier are shared by a bare 1x1 convolution
    on the skip (He et al. 2016, arXiv:1603.05027). Operations of the steps are bare convolutions.
    """
    if transform == "project":
        return _projected_block(net, name, state, steps)
    current = _behind_norm(net, name, state, steps, 1)
    return net.add(f"{name}.join", "identity", (state, transform), current)


def _projected_block(net: Assembly, name: str, state: int, steps: Sequence[Step]) -> int:
    shared = net.add(f"{name}.in", "bn_relu", state)
    first, last = steps[0], steps[-1]
    stride = max(step.stride for step in steps)
    current = net.add(
        f"{name}.op1", f"plain_{first.operation}", shared, width=first.width, stride=first.stride
    )
    current = _behind_norm(net, name, current, steps[1:], 2)
    shortcut = net.add(f"{name}.shortcut", "plain_conv1x1", shared, width=last.width, stride=stride)
    return net.add(f"{name}.join", "identity", current, shortcut)


def _behind_norm(net: Assembly, name: str, state: int, steps: Sequence[Step], first: int) -> int:
    for number, step in enumerate(steps, start=first):
        row = step.operation if "+" in step.operation else f"bn_relu_{step.operation}"
        state = net.add(f"{name}.op{number}", row, state, width=step.width, stride=step.stride)
    return state
