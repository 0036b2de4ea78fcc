"""Members drawn with probabilities that a surrogate of the losses so far gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from nas.registry import Paper
from nas.space import Decisions
from nas.supernet.path_samplers import AbstractPathSampler, Lesson, Moment, path_sampler


@final
class SurrogateOptions(BaseModel, frozen=True, extra="forbid"):
    """Options of `surrogate`."""

    warmup_share: Annotated[float, Field(ge=0, lt=1)] = 0.25
    """Share of the training that draws uniformly: early losses tell little."""

    candidates: Annotated[int, Field(ge=2, le=1024)] = 16
    """Members drawn uniformly, of which one is drawn by the surrogate."""

    temperature: Annotated[float, Field(gt=0, le=1000)] = 1.0
    """In standard deviations of the candidates' predictions; large values draw uniformly."""

    window: Annotated[int, Field(ge=8, le=100_000)] = 512
    """Last losses that the surrogate is fitted on."""

    refit_steps: Annotated[int, Field(ge=1, le=100_000)] = 32
    """Steps between two fits."""

    ridge: Annotated[float, Field(gt=0, le=1e6)] = 4.0
    """Pull of the surrogate's coefficients towards 0."""


@final
@path_sampler("surrogate", Paper("Perez-Rua et al.", 2018, arxiv="1808.00391"))
class Surrogate(AbstractPathSampler):
    """Draw likelier what a ridge regression on the answers predicts to have a low loss.

    The published method keeps a probability for each member instead of a greedy ranking; so it is
    here. Losses fall while the weights learn, so a line over time is fitted beside the answers.
    """

    Options = SurrogateOptions
    learns = True

    def __init__(self, options: SurrogateOptions | None = None) -> None:
        super().__init__(options)
        self._seen: list[tuple[list[str], float]] = []
        self._steps = 0
        self._effects: dict[str, float] = {}

    def lessons(self, moment: Moment) -> tuple[Lesson, ...]:
        """Return one member."""
        space, rng = self.scene.space, moment.rng
        if moment.progress < self.options.warmup_share or not self._effects:
            return (Lesson(space.sample(rng)),)
        candidates = [space.sample(rng) for _ in range(self.options.candidates)]
        chances = self.probabilities(candidates)
        return (Lesson(candidates[int(rng.choice(len(candidates), p=chances))]),)

    def probabilities(self, candidates: Sequence[Decisions]) -> NDArray[np.float64]:
        """Return the probability of each candidate."""
        predicted = np.array([self.predict(each) for each in candidates])
        spread = float(predicted.std())
        if spread < 1e-12:
            return np.full(len(candidates), 1 / len(candidates))
        scores = np.exp((predicted.min() - predicted) / (self.options.temperature * spread))
        return np.asarray(scores / scores.sum(), dtype=np.float64)

    def predict(self, decisions: Decisions) -> float:
        """Return the predicted loss, relative to that of an average member, in nats."""
        return sum(self._effects.get(each, 0.0) for each in answers(decisions))

    def observe(self, lessons: Sequence[Lesson], losses: Sequence[float]) -> None:
        """Remember losses, and fit again when it is time."""
        finite = [(each, loss) for each, loss in zip(lessons, losses, strict=True) if loss < np.inf]
        self._seen += [(answers(each.decisions), float(loss)) for each, loss in finite]
        del self._seen[: -self.options.window]
        self._steps += 1
        if self._steps % self.options.refit_steps == 0 and self._seen:
            self._effects = fit(
                [each for each, _ in self._seen], [y for _, y in self._seen], self.options.ridge
            )

    def state(self) -> dict[str, Any]:
        """Return the losses seen and the fitted effects."""
        return {"seen": self._seen, "steps": self._steps, "effects": self._effects}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take them."""
        self._seen = [(list(names), float(loss)) for names, loss in state["seen"]]
        self._steps = int(state["steps"])
        self._effects = dict(state["effects"])


def answers(decisions: Decisions) -> list[str]:
    """Return one feature per answer, and one per item of a set."""
    features = []
    for name, answer in decisions.items():
        items = answer if isinstance(answer, list) else [answer]
        features += [f"{name}={item}" for item in items]
    return features


def fit(rows: Sequence[Sequence[str]], losses: Sequence[float], ridge: float) -> dict[str, float]:
    """Fit a line over time and the effect of each feature on what the line leaves.

    Args:
        rows: Features of each observation, oldest first.
        losses: Of the observations, in nats.
        ridge: Penalty on the squared effects; the line is not penalised.
    """
    names = sorted({name for row in rows for name in row})
    column = {name: 2 + at for at, name in enumerate(names)}
    design = np.zeros((len(rows), 2 + len(names)))
    design[:, 0] = 1
    design[:, 1] = np.linspace(-1, 1, len(rows))
    for at, row in enumerate(rows):
        design[at, [column[name] for name in row]] = 1
    penalty = np.full(design.shape[1], ridge)
    penalty[:2] = 1e-9
    effects = np.linalg.solve(design.T @ design + np.diag(penalty), design.T @ np.array(losses))
    return {name: float(effects[at]) for name, at in column.items()}
