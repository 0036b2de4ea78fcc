"""Between decisions and Optuna: distributions from the choices of a space, a study from records.

A question may be asked with other options under another answer (the depths of a fractal are not
those of a chain), and Optuna wants one set of options per parameter; so a parameter is named by
its question and its options. A subset becomes one boolean per item, repaired to the minimum.
"""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, final
from weakref import WeakKeyDictionary

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.trial import FrozenTrial, TrialState

from nas.search.samplers.base import Observation, Proposal
from nas.space import AbstractSpace, Choice, Decisions, OneOf

Parameters = dict[str, Any]

BOOLEAN = CategoricalDistribution((False, True))

MOST_KEPT: Final = 16_384
"""Encoded results kept per space; beyond that all are encoded anew."""

_kept: WeakKeyDictionary[AbstractSpace, dict[str, FrozenTrial]] = WeakKeyDictionary()


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Silence Optuna's talk and its notes on experimental features inside the block only."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)


def parameter_name(choice: Choice, item: str = "") -> str:
    """Return the name of the parameter of a question, or of one item of a subset."""
    if isinstance(choice, OneOf):
        return f"{choice.name}={'|'.join(str(option.value) for option in choice.options)}"
    return f"{choice.name}:{item}"


def distributions(choices: Sequence[Choice]) -> dict[str, BaseDistribution]:
    """Return the distribution of every parameter that can ever be asked."""
    found: dict[str, BaseDistribution] = {}
    for choice in choices:
        if isinstance(choice, OneOf):
            if len(choice.options) > 1:
                values = tuple(option.value for option in choice.options)
                found[parameter_name(choice)] = CategoricalDistribution(values)
            for option in choice.options:
                found.update(distributions(option.choices))
        else:
            found.update(dict.fromkeys((parameter_name(choice, i) for i in choice.items), BOOLEAN))
    return found


def encode(space: AbstractSpace, decisions: Mapping[str, Any]) -> Parameters:
    """Return the parameters of a member; questions with one option have none."""
    parameters: Parameters = {}
    for choice in space.asked(decisions):
        answer = decisions[choice.name]
        if isinstance(choice, OneOf):
            if len(choice.options) > 1:
                parameters[parameter_name(choice)] = answer
        else:
            for item in choice.items:
                parameters[parameter_name(choice, item)] = item in answer
    return parameters


def suggest(space: AbstractSpace, trial: optuna.Trial) -> Decisions:
    """Answer every question that applies with what the trial suggests."""

    def ask(choice: Choice) -> Any:
        if isinstance(choice, OneOf):
            values = [option.value for option in choice.options]
            if len(values) == 1:
                return values[0]
            return trial.suggest_categorical(parameter_name(choice), values)
        chosen = {
            item
            for item in choice.items
            if trial.suggest_categorical(parameter_name(choice, item), (False, True))
        }
        return choice.repaired(chosen)

    return space.walk(ask)


@final
class _Kept(FrozenTrial):
    """A result in many studies, one after another: each shares its parts and changes none.

    A study copies what it is given, part by part, which takes longer than all that it does then.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> FrozenTrial:
        return copy.copy(self)

    @classmethod
    def of(cls, trial: FrozenTrial) -> _Kept:
        """Return a trial that is to be kept."""
        kept = cls.__new__(cls)
        kept.__dict__.update(trial.__dict__)
        return kept


def build_study(
    space: AbstractSpace, history: Sequence[Observation], sampler: optuna.samplers.BaseSampler
) -> optuna.Study:
    """Return an in-memory study that holds the history.

    Args:
        space: The space of the members.
        history: Results; those without values become failed trials.
        sampler: Optuna's sampler.
    """
    study = empty_study(history, sampler)
    known = distributions(space.choices)
    study.add_trials([_remembered(space, seen, known) for seen in history])
    return study


def empty_study(
    history: Sequence[Observation], sampler: optuna.samplers.BaseSampler
) -> optuna.Study:
    """Return an in-memory study with as many objectives as the history has, and no trials."""
    num_objectives = next((len(seen.values) for seen in history if seen.values), 1)
    return optuna.create_study(directions=["minimize"] * num_objectives, sampler=sampler)


def _remembered(
    space: AbstractSpace, seen: Observation, known: Mapping[str, BaseDistribution]
) -> FrozenTrial:
    """Return `_frozen` of a result; every batch asks for those of all batches before it.

    Keyed by all that the trial is made from.
    """
    kept = _kept.setdefault(space, {})
    key = json.dumps([seen.decisions, seen.values, list(seen.violations.items())])
    if key not in kept:
        if len(kept) >= MOST_KEPT:
            kept.clear()
        kept[key] = _Kept.of(_frozen(space, seen, known))
    return kept[key]


def _frozen(
    space: AbstractSpace, seen: Observation, known: Mapping[str, BaseDistribution]
) -> FrozenTrial:
    parameters = encode(space, seen.decisions)
    finished = seen.values is not None
    return optuna.trial.create_trial(
        state=TrialState.COMPLETE if finished else TrialState.FAIL,
        values=list(seen.values) if seen.values is not None else None,
        params=parameters,
        distributions={name: known[name] for name in parameters},
        constraints=dict(seen.violations) if finished else None,
    )


def ask_study(
    space: AbstractSpace,
    study: optuna.Study,
    count: int,
    attribute: str | None = None,
    parents: Callable[[], tuple[int, ...]] = tuple,
) -> list[Proposal]:
    """Ask for members one after another; each is still open when the next is asked.

    Args:
        space: The space of the members.
        study: Holds the history.
        count: Members wanted.
        attribute: System attribute of Optuna to keep with each proposal, as `generation`.
        parents: Called behind each; returns what the last one was made from.
    """
    proposals = []
    for _ in range(count):
        trial = study.ask()
        decisions = suggest(space, trial)
        state: dict[str, Any] = {}
        if attribute is not None:
            frozen = study.get_trials(deepcopy=False)[trial.number]
            # None where there was nothing to sample: a space of one member has no parameters.
            state["generation"] = int(frozen.system_attrs.get(attribute, 0))
        proposals.append(Proposal(decisions, state, parents()))
    return proposals
