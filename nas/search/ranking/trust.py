"""What a run knows about its ranking, and what its front may therefore compare.

The last verdict counts if it is about the weights that scored the trials. Without one the front is
labelled unverified, or not trusted if the training of these weights diverged. Raw inherited scores
are compared within a family only; across families the calibrated predictions are, if the verdict
trusts them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self, final

from nas.run_store import Trial, TrialTable
from nas.run_store.trials import Stage
from nas.supernet.trust.calibration import CHEAP, INHERITED, Calibration
from nas.supernet.trust.verdict import ACROSS, NOT_TRUSTED

UNVERIFIED: Final = "unverified"
NOT_INHERITED: Final = "not needed"
PER_FAMILY: Final = "raw scores, each family by itself"
CALIBRATED: Final = "calibrated scores, all families together"
COMPUTED: Final = "no inherited scores"

UNRANKED: Final = "'nas supernet rank' has not been run for these weights"


@final
@dataclass(frozen=True)
class Trust:
    """The verdict of a run and the calibration that goes with it.

    Args:
        verdict: One of the three verdicts, or `unverified`.
        why: The numbers that decided.
        calibration: Predicts stand-alone cross-entropy; None where there is none.
        scores: Zero-cost scores by structural id, as far as the calibration needs them.
    """

    verdict: str = UNVERIFIED
    why: str = UNRANKED
    calibration: Calibration | None = None
    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @classmethod
    def read(cls, table: TrialTable, records: Iterable[Mapping[str, Any]]) -> Self:
        """Read a run's log."""
        stage = table.stages.get("supernet")
        weights = stage.checkpoint if stage and stage.state == "finished" else None
        found = [
            record
            for record in table.verdicts
            if record.get("about") == "ranking" and record.get("supernet") == weights
        ]
        if weights is None or stage is None or not found:
            return cls._unmeasured(stage)
        last = found[-1]
        calibration = last.get("calibration")
        return cls(
            verdict=str(last["verdict"]),
            why=str(last.get("why", "")),
            calibration=Calibration.from_dict(calibration) if calibration else None,
            scores={
                str(record["member"]): record["scores"]
                for record in records
                if record["kind"] == "zero_cost_scores"
            },
        )

    @classmethod
    def _unmeasured(cls, stage: Stage | None) -> Self:
        """Return what is known before a ranking: weights behind a divergence are not trusted."""
        if stage is None or stage.finish.get("trustworthy", True):
            return cls()
        times = len(stage.finish.get("diagnoses", ()))
        return cls(NOT_TRUSTED, f"the supernet's training diverged ({times} times); {UNRANKED}")

    @property
    def across(self) -> bool:
        """Whether calibrated scores may be compared across families."""
        return self.verdict == ACROSS and self.calibration is not None

    def calibrated(self, trial: Trial) -> float | None:
        """Return the cross-entropy that a trial is predicted to have alone, in nats."""
        inherited = trial.extra.get("inherited") or {}
        if self.calibration is None or inherited.get("cross_entropy") is None:
            return None
        measures = trial.extra.get("measures", {})
        features = dict(self.scores.get(str(trial.extra.get("architecture_id")), {}))
        features |= {name: float(measures[name]) for name in CHEAP if name in measures}
        features[INHERITED] = float(inherited["cross_entropy"])
        return self.calibration.predict(features, str(trial.extra.get("family", "")))
