"""Gaussian process with expected hypervolume improvement, constraints included.

The process models the questions that every member answers (patterns, widths, cross-stage edges);
a kernel over questions that only some wirings ask would compare what cannot be compared. Those are
left to a Parzen estimator.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from optuna.samplers import GPSampler, TPESampler

from nas.registry import Paper
from nas.search.samplers.base import SAMPLERS, AbstractSampler, Observation, Proposal
from nas.search.samplers.encoding import ask_study, build_study, quiet_optuna
from nas.search.samplers.recent import bounded
from nas.space import AbstractSpace
from nas.training.device import use_threads

HISTORY = 64
STARTUP = 16


@SAMPLERS.register("gp", Paper("Daulton et al.", 2020, arxiv="2006.05078"))
@final
class GaussianProcessSampler(AbstractSampler):
    """Optuna's GP sampler; it fits to at most `HISTORY` results, because its cost is cubic."""

    def propose(
        self, space: AbstractSpace, history: Sequence[Observation], count: int, seed: int
    ) -> list[Proposal]:
        """Return `count` members."""
        # More threads would round the fit differently on another machine.
        with quiet_optuna(), use_threads(1):
            others = TPESampler(seed=seed % 2**32, n_startup_trials=STARTUP, multivariate=False)
            sampler = GPSampler(
                seed=seed % 2**32,
                n_startup_trials=STARTUP,
                independent_sampler=others,
                warn_independent_sampling=False,
            )
            return ask_study(space, build_study(space, bounded(history, HISTORY), sampler), count)
