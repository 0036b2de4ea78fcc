"""Searching number formats with the architecture: the space, the checks, the deployment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from nas.config_files import Document
from nas.errors import ConfigError, NasError
from nas.objectives.base import AbstractObjective
from nas.objectives.deployment import FLOAT32, POLICY, Deployment
from nas.objectives.latency_config import Dtype
from nas.objectives.runtimes import RUNTIMES
from nas.search.settings.config import SearchConfig
from nas.search.settings.goals import Goals
from nas.space import AbstractSpace
from nas.space.choices import Answer, Decisions
from nas.space.quantised import CHOICE, QuantisedSpace

_FORMS = f"'error[ort,{POLICY}]' and 'latency_ms[ort,b1,{POLICY}]'"


def deployment_of(space: AbstractSpace, decisions: Mapping[str, Answer]) -> Deployment:
    """Return the number formats that a member of a searched space decided for; float32 else."""
    if not isinstance(space, QuantisedSpace):
        return FLOAT32
    return Deployment.of_stages(cast(dict[str, Dtype], space.formats(decisions)))


def completed(
    space: AbstractSpace, preferred: Sequence[tuple[str, Decisions]]
) -> list[tuple[str, Decisions]]:
    """Return members that a training prefers, with number formats where the space asks for them."""
    if not isinstance(space, QuantisedSpace):
        return list(preferred)
    return [(name, space.complete(decisions)) for name, decisions in preferred]


def described(space: AbstractSpace, decisions: Mapping[str, Answer]) -> dict[str, Any]:
    """Return what a trial's record says of its number formats; nothing where none are searched."""
    if not isinstance(space, QuantisedSpace):
        return {}
    return {CHOICE: str(deployment_of(space, decisions))}


def check_quantisation(config: SearchConfig, document: Document) -> None:
    """Check that policies are searched exactly where an objective depends on them.

    Raises:
        ConfigError: If they are not, or a runtime does not execute one of them.
    """
    settings = config.quantisation
    open_ones = [each for each in Goals.of(config).every if getattr(each, "dtype", "") == POLICY]
    if settings is None:
        if open_ones:
            raise ConfigError(
                f"'{open_ones[0].name}' leaves the number format to the search, which has no "
                "policies to choose from.",
                where=document.where(("objectives",)),
                fix="Add 'quantisation: {policies: [fp32, int8]}', or name a number format.",
            )
        return
    where = document.where((CHOICE,))
    if not open_ones:
        raise ConfigError(
            "Quantisation policies are to be searched, but no objective depends on them.",
            where=where,
            fix=f"Minimise for example {_FORMS}, or leave 'quantisation' out.",
        )
    try:
        _check_policies(config, open_ones)
    except NasError as error:
        error.where = error.where or where
        raise


def _check_policies(config: SearchConfig, objectives: list[AbstractObjective]) -> None:
    settings = config.quantisation
    assert settings is not None
    for each in objectives:
        for policy in settings.policies:
            RUNTIMES.get(str(getattr(each, "runtime", ""))).check_dtype(policy)
    if settings.per == "stage":
        Deployment.of_stages({str(place): each for place, each in enumerate(settings.policies)})


def check_objectives_here(config: SearchConfig, device: str) -> None:
    """Find out before anything is written whether every number of a search can be had here.

    Raises:
        NasError: If a runtime's package, tool or device is not there.
    """
    goals = Goals.of(config)
    elsewhere = goals.measured if config.executor.measure_on else ()
    _check_here(config, device, [each for each in goals.every if each not in elsewhere])


def check_measured_here(config: SearchConfig, device: str) -> None:
    """Find out on the device that measures whether it can.

    Raises:
        NasError: As `check_objectives_here`.
    """
    _check_here(config, device, Goals.of(config).measured)


def _check_here(config: SearchConfig, device: str, objectives: Sequence[AbstractObjective]) -> None:
    policies: list[Dtype] = config.quantisation.policies if config.quantisation else ["fp32"]
    for each in objectives:
        each.check_here(config.latency, device, policies)
