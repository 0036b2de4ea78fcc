"""What error and cross-entropy share: the subnet's score, or that of the network that ships.

Plain `error` scores the subnet inside the supernet. `error[ort,int8]` scores the stand-alone
network with the same weights and statistics as ONNX Runtime executes it in int8: what quantisation
costs is then in the number that is searched with.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from nas.objectives.base import AbstractObjective, EvaluationContext, InheritedScore, Measurement
from nas.objectives.deployment import FLOAT32, POLICY, Deployment
from nas.objectives.latency_config import Dtype, LatencyConfig
from nas.objectives.qualifiers import check_formats, read_qualifiers
from nas.objectives.runtimes import RUNTIMES


@dataclass(frozen=True)
class AbstractInherited(AbstractObjective):
    """A score with inherited weights.

    Args:
        runtime: What executes the stand-alone network; None for the subnet in the supernet.
        dtype: Its number format, or `policy` for the one decided for the member.
    """

    runtime: str | None = None
    dtype: str | None = None

    @property
    def name(self) -> str:
        """Return the family, and in brackets how the stand-alone network is executed."""
        return f"{self.family}[{self.runtime},{self.dtype}]" if self.runtime else self.family

    @classmethod
    def qualified(cls, qualifiers: tuple[str, ...]) -> Self:
        """Read runtime and number format, in any order; either follows from the other.

        Raises:
            ConfigError: If a word is neither, two are of one kind, or the runtime does not execute
                the number format.
        """
        if not qualifiers:
            return cls()
        found = read_qualifiers(qualifiers, f"{cls.family}[RUNTIME,DTYPE]", batch=False)
        dtype = found.get("dtype", "fp32")
        runtime = found.get("runtime") or ("eager" if dtype == "fp32" else "ort")
        check_formats(runtime, dtype)
        return cls(runtime, dtype)

    def check_here(
        self, latency: LatencyConfig, device: str, policies: Sequence[Dtype] = ("fp32",)
    ) -> None:
        """Check the runtime, if there is one."""
        if self.runtime is None:
            return
        for dtype in policies if self.dtype == POLICY else (self.dtype,):
            config = latency.model_copy(update={"runtime": self.runtime, "dtype": dtype})
            RUNTIMES.get(self.runtime).check(config, device)

    def measure(self, context: EvaluationContext) -> Measurement:
        """Read the shared evaluation; a shipped network's score brings its own noise with it."""
        if self.runtime is None:
            return self.answer(self.read(context.inherited))
        shipped = context.shipped(self.runtime, self._deployment(context.deployment))
        return Measurement(self.read(shipped), self.unit, self.source, details=shipped.details)

    @staticmethod
    @abc.abstractmethod
    def read(score: InheritedScore) -> float:
        """Return this objective's number of a score."""

    def _deployment(self, decided: Deployment) -> Deployment:
        if self.dtype == POLICY:
            return decided
        return FLOAT32 if self.dtype in (None, "fp32") else Deployment(self.dtype)  # type: ignore[arg-type]
