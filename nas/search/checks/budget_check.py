"""Budgets that nothing can keep, refused before anything is evaluated.

A latency budget below the fastest network is found out by measuring the few members that are
cheapest by arithmetic, or predicting them where a profile steers. Where a node of a cluster
measures, it is asked as soon as the run has it, before anything is trained or scored. Members that
nobody looked at may be a little faster, and a measurement has its error: a budget within reach of
either is let through, and said.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, final

import numpy as np

from nas.cost.count import Cost, cost
from nas.errors import BudgetError, ClusterError, NasError
from nas.objectives.base import AbstractObjective, EvaluationContext, Measurement
from nas.objectives.constraints import Constraint, doubt_of_unit
from nas.objectives.elsewhere import LatencyElsewhere
from nas.run_store.layout import typed
from nas.search.exploring.propose import lightest, smallest
from nas.search.front.errors import BAR
from nas.search.material import Material
from nas.search.measuring.prediction import HERE, Profiles, as_measurement, steered_by
from nas.search.quantisation import deployment_of
from nas.search.session import Session
from nas.search.settings.config import SearchConfig
from nas.search.settings.goals import Goals
from nas.search.settings.resolve import resolve_space, searched_space
from nas.seeds import derive_seed
from nas.space import AbstractSpace, Decisions
from nas.units import Unit

if TYPE_CHECKING:
    from nas.predict.latency_predictor import LatencyPredictor

SAMPLE: Final = 64
"""Random members whose cost is counted."""

CHEAPEST: Final = 2
"""Members looked at per kind of cost: multiply-adds, bytes, critical path."""

REACH: Final = 1.05
"""How far above a budget the fastest member seen may lie before it is refused."""

ROOM: Final = 1.5
"""Budget over the fastest member seen that is proposed instead."""

_log = logging.getLogger("nas")

Answer = Callable[[AbstractObjective, Decisions], Measurement]
"""Returns the latency of a member, measured or predicted."""


def check_latencies(config: SearchConfig, material: Material, device: str) -> None:
    """Refuse, before anything is written, profiles that do not fit and budgets nothing keeps.

    Args:
        config: Resolved, its plugins imported.
        material: Its data.
        device: Torch device.

    Raises:
        NotFoundError: If a profile does not exist; ConfigError if it does not fit the search.
        BudgetError: If a budget is surely below the fastest network.
    """
    profiles = Profiles.load(config)
    profiles.check(config, resolve_space(config), material, device)
    check_budgets(config, material, profiles, device)


def check_budgets(
    config: SearchConfig, material: Material, profiles: Profiles, device: str
) -> None:
    """Refuse latency budgets that even the fastest members exceed.

    Args:
        config: Resolved, its plugins imported.
        material: Its data.
        profiles: Checked.
        device: Torch device.

    Raises:
        BudgetError: If a budget is surely below the fastest network.
    """
    _check(config, material, _Here(config, material, profiles, device), on_node=False)


def check_budgets_on_node(session: Session) -> None:
    """Refuse, as long as nothing was tried, budgets that networks exceed on the node that measures.

    Args:
        session: The session; where no node measures for it, nothing happens.

    Raises:
        BudgetError: If a budget is surely below the fastest network.
        ClusterError: If the node cannot be asked any more.
    """
    remote, space = session.remote, searched_space(session.config)
    if remote is None or session.run.table().trials:
        return

    def answer(objective: AbstractObjective, decisions: Decisions) -> Measurement:
        deployment = deployment_of(space, decisions)
        return remote.measure([objective], space.build(decisions), deployment)[objective.name]

    try:
        _check(session.config, session.material, answer, on_node=True)
    except BudgetError as error:
        error.fix = (
            f"{error.fix} A run keeps its constraints, so begin another; this one holds no trial: "
            f"nas runs rm {typed(session.run.path)}"
        )
        raise


def _check(config: SearchConfig, material: Material, answer: Answer, *, on_node: bool) -> None:
    goals = Goals.of(config)
    bounds = [
        (each, objective)
        for each in goals.constraints
        for objective in goals.driven
        if objective.name == each.objective
        and objective.unit == Unit.MILLISECONDS
        and _is_for_node(objective, config) == on_node
    ]
    if bounds:
        members = cheapest(searched_space(config), material, config.seed)
        for bound, objective in bounds:
            _check_bound(bound, (_seen(answer, objective, each) for each in members))


def _is_for_node(objective: AbstractObjective, config: SearchConfig) -> bool:
    """Tell whether a node of a cluster is to be asked, which takes a run."""
    predicted = isinstance(objective, LatencyElsewhere) or config.latency.steer == "predicted"
    return not predicted and config.executor.measure_on is not None


@final
@dataclass(frozen=True)
class _Fastest:
    """The fastest member seen, and the lower end of its interval."""

    value: float
    low: float
    source: str


@final
@dataclass(frozen=True)
class _Here:
    """Answers on this machine: measured, or predicted where a profile steers or stands in."""

    config: SearchConfig
    material: Material
    profiles: Profiles
    device: str

    def __call__(self, objective: AbstractObjective, decisions: Decisions) -> Measurement:
        architecture, data = self._space.build(decisions), self.material.data
        elsewhere = isinstance(objective, LatencyElsewhere)
        if elsewhere or objective.name in self._steered:
            column = objective.column if isinstance(objective, LatencyElsewhere) else HERE
            found = self._predictors[column].predict(
                architecture, data.input_shape, data.num_classes
            )
            return as_measurement(found, "", ours=not elsewhere)
        context = EvaluationContext(
            architecture,
            data.input_shape,
            data.num_classes,
            device=self.device,
            threads=self.config.search.threads_per_evaluation,
            latency=self.config.latency,
            deployment=deployment_of(self._space, decisions),
        )
        return objective.evaluate(context)

    @cached_property
    def _space(self) -> AbstractSpace:
        return searched_space(self.config)

    @cached_property
    def _steered(self) -> set[str]:
        here = self.profiles.by_column.get(HERE)
        return {each.name for each in steered_by(here, Goals.of(self.config))} if here else set()

    @cached_property
    def _predictors(self) -> Mapping[str | None, LatencyPredictor]:
        return {column: profile.predictor() for column, profile in self.profiles.by_column.items()}


def _check_bound(bound: Constraint, seen: Iterator[_Fastest | None]) -> None:
    """Look at members until one keeps the bound.

    Raises:
        BudgetError: If all are surely above it.
    """
    fastest: _Fastest | None = None
    for found in seen:
        if found is None:
            continue
        if found.value <= bound.upper:
            return
        if fastest is None or found.value < fastest.value:
            fastest = found
    if fastest is None:
        return
    if fastest.low > REACH * bound.upper:
        raise _refused(bound, fastest)
    _log.warning(
        "the constraint %s is at the edge of what the space can do: the fastest of its "
        "cheapest networks takes %.3g %s",
        bound,
        fastest.value,
        bound.unit,
    )


def _seen(answer: Answer, objective: AbstractObjective, decisions: Decisions) -> _Fastest | None:
    try:
        found = answer(objective, decisions)
    except ClusterError:
        raise
    except (NasError, RuntimeError, MemoryError) as fault:
        _log.debug("a member was not looked at: %s", fault)
        return None
    error = found.details.get("standard_error")
    if error is None:
        error = float(found.details.get("relative_error", 0.0)) * found.value
    return _Fastest(found.value, found.value - BAR * float(error), found.source)


def cheapest(space: AbstractSpace, material: Material, seed: int) -> list[Decisions]:
    """Return the few members with the least counted cost of each kind, cheapest first.

    Of a random sample, the smallest member of every known wiring, and the lightest that is found
    from one of them.
    """
    data = material.data
    counted: list[tuple[Cost, Decisions]] = []
    for decisions in _candidates(space, seed):
        try:
            found = cost(space.build(decisions), data.input_shape, data.num_classes)
        except NasError:  # a member that these images do not fit
            continue
        counted.append((found, decisions))
    chosen: dict[int, None] = {}
    for kind in ("macs", "bytes", "critical_path"):
        order = sorted(range(len(counted)), key=lambda place: getattr(counted[place][0], kind))
        chosen.update(dict.fromkeys(order[:CHEAPEST]))
    return [counted[place][1] for place in chosen]


def _candidates(space: AbstractSpace, seed: int) -> Iterator[Decisions]:
    rng = np.random.default_rng(derive_seed(seed, "budget check", 0))
    small = [smallest(space, decisions) for decisions in space.known().values()]
    yield from small
    if small:
        yield lightest(space, small[0])
    for _ in range(SAMPLE):
        yield space.sample(rng)


def _refused(bound: Constraint, fastest: _Fastest) -> BudgetError:
    doubt = doubt_of_unit(bound, fastest.value)
    return BudgetError(
        f"The constraint '{bound}' cannot be kept: the fastest of the space's cheapest networks "
        f"takes {fastest.value:.4g} {bound.unit} ({fastest.source}).",
        where="constraints",
        why=doubt or "No search finds a network that is faster than the fastest.",
        fix=f"Allow for example {ROOM * fastest.value:.2g} {bound.unit}, search a space with "
        "smaller networks, or take smaller images.",
    )
