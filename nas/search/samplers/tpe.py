"""Tree-structured Parzen estimator: models good and bad answers of each question apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from optuna.samplers import TPESampler

from nas.registry import Paper
from nas.search.samplers.base import SAMPLERS, AbstractSampler, Observation, Proposal
from nas.search.samplers.encoding import ask_study, build_study, quiet_optuna
from nas.search.samplers.recent import bounded
from nas.space import AbstractSpace

HISTORY = 512
STARTUP = 16


@SAMPLERS.register("tpe", Paper("Bergstra et al.", 2011, title="Algorithms for hyper-parameters"))
@final
class TpeSampler(AbstractSampler):
    """One estimator per question, so questions that only some wirings ask are learned too."""

    def propose(
        self, space: AbstractSpace, history: Sequence[Observation], count: int, seed: int
    ) -> list[Proposal]:
        """Return `count` members; the ones of a batch count as poor for each other."""
        with quiet_optuna():
            sampler = TPESampler(
                seed=seed % 2**32,
                n_startup_trials=STARTUP,
                multivariate=False,
                constant_liar=True,
            )
            return ask_study(space, build_study(space, bounded(history, HISTORY), sampler), count)
