"""In which number formats a network ships: a decision beside its architecture.

The architecture and the quantisation policy are searched together where a search says so
(Sridhar et al. 2023, SimQ-NAS, arXiv:2312.13301). An objective whose number format is the word
`policy` reads the one that was decided for the member.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self, final

from nas.errors import ConfigError
from nas.objectives.latency_config import Dtype

POLICY = "policy"
"""Stands for the number formats decided for each member."""


@final
@dataclass(frozen=True)
class Deployment:
    """Number formats of one network.

    Args:
        dtype: Of the network.
        float_stages: Stages of an int8 network that stay in float32, such as `stage2`.
    """

    dtype: Dtype = "fp32"
    float_stages: frozenset[str] = frozenset()

    @classmethod
    def of_stages(cls, formats: Mapping[str, Dtype]) -> Self:
        """Return the deployment that gives each stage a number format.

        Raises:
            ConfigError: If formats are mixed other than float32 with int8.
        """
        distinct = set(formats.values())
        if len(distinct) == 1:
            return cls(distinct.pop())
        if distinct != {"fp32", "int8"}:
            raise ConfigError(
                f"One network cannot mix {', '.join(sorted(distinct))}: stages are fp32 or int8.",
                fix="Choose among fp32 and int8, or decide for whole networks: per: network.",
            )
        return cls("int8", frozenset(name for name, dtype in formats.items() if dtype == "fp32"))

    def __str__(self) -> str:
        kept = ", ".join(sorted(self.float_stages))
        return f"{self.dtype}, {kept} fp32" if kept else self.dtype


FLOAT32 = Deployment()
