"""Made-up members of a ranking: truths, inherited scores and features with known relations."""

from __future__ import annotations

import numpy as np

from nas.supernet.trust.rank import RankedMember

FAMILIES = ("chain", "dense", "fractal")


def made_members(
    count: int = 60,
    *,
    seed: int = 0,
    inherited_noise: float = 0.02,
    offset: float = 0.0,
    seed_noise: float = 0.02,
    size_knows: bool = False,
) -> list[RankedMember]:
    """Return members whose quality spreads by 0.1 nats.

    Args:
        count: How many.
        seed: Of the draws.
        inherited_noise: Of the inherited score around the quality, in nats.
        offset: Of the inherited scores from family to family, in nats.
        seed_noise: Of each training, in nats.
        size_knows: Whether the number of parameters gives the quality away.
    """
    rng = np.random.default_rng(seed)
    members = []
    for index in range(count):
        family = index % len(FAMILIES)
        quality = 1.5 + 0.1 * rng.normal()
        size = -10 * quality if size_knows else rng.normal()
        members.append(
            RankedMember(
                member=f"m{index}",
                decisions={"index": str(index)},
                family=FAMILIES[family],
                inherited_cross_entropy=float(
                    quality + offset * family + inherited_noise * rng.normal()
                ),
                inherited_error=float(quality / 3),
                untrained_cross_entropy=float(2.3 + 0.01 * rng.normal()),
                cross_entropies=tuple(float(quality + seed_noise * rng.normal()) for _ in "ab"),
                errors=(0.5, 0.5),
                scores={
                    "parameters": float(np.exp(size)),
                    "macs": float(np.exp(rng.normal())),
                    "depth": float(rng.integers(3, 20)),
                    "synflow": float(rng.normal()),
                },
            )
        )
    return members
