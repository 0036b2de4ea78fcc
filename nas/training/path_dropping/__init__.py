"""Training rules on paths: which inputs of merges a step leaves out; one file per rule.

A rule is named by a recipe (`path_dropping: stochastic_depth(rate=0.5)`), so that it is declared
and hashed with it. It draws factors for the inputs of merges from a seed, on the CPU, so that one
seed gives the same masks on every device; the network itself knows nothing of it, and in eval mode
no mask exists. What is kept is scaled while training, also where a paper scales afterwards, so that
a trained network is used as it is. Drop-path (local and global) is the exception on sums: a mean
becomes the mean of what is left, as published, but a sum becomes the smaller sum of what is left.

These rules are for networks that train alone. The path samplers of a supernet leave paths out by
choosing members; the two are never stacked, because no supernet reads this part of a recipe.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, TypeVar

import numpy as np

from nas.cost.merging_nodes import MergingNode
from nas.registry import Paper, Parameter, Registry, complete_parameters, read_written
from nas.training.path_dropping.survivors import Factors

NO_DROPPING = "none"


class AbstractPathDropping(abc.ABC):
    """How paths are dropped.

    Args:
        values: The rule's numbers by name.
    """

    parameters: ClassVar[Mapping[str, Parameter]] = {}

    def __init__(self, values: Mapping[str, float]) -> None:
        self.values = values

    @property
    def per_sample(self) -> bool:
        """Whether every image of a batch gets a draw of its own."""
        return bool(self.values.get("per_sample", 0.0))

    @abc.abstractmethod
    def draw(
        self,
        nodes: Sequence[MergingNode],
        progress: float,
        rng: np.random.Generator,
        draws: int,
    ) -> list[Factors]:
        """Draw factors for all merges of a network.

        Args:
            nodes: The merges, in order.
            progress: Share of the training that is done, 0 to 1.
            rng: Source of all draws.
            draws: Independent draws of the whole network's mask.

        Returns:
            Per merge, an array `(inputs, draws)`.
        """


Rule = TypeVar("Rule", bound=AbstractPathDropping)

PATH_DROPPING: Registry[type[AbstractPathDropping]] = Registry(
    "rule of path dropping", __name__, plural="rules of path dropping"
)


def path_dropping(
    name: str, paper: Paper, **parameters: Parameter
) -> Callable[[type[Rule]], type[Rule]]:
    """Register the decorated rule under `name`, with the numbers it takes.

    Raises:
        ConfigError: If the name is taken.
    """

    def decorate(rule: type[Rule]) -> type[Rule]:
        rule.parameters = dict(parameters)
        PATH_DROPPING.add(name, rule, paper)
        return rule

    return decorate


def rate_parameter(default: float, meaning: str = "largest probability to drop") -> Parameter:
    """Return the parameter of a probability to drop; nothing survives a rate of 1."""
    return Parameter(default, 0.0, 0.99, meaning)


def sample_parameter(default: float) -> Parameter:
    """Return the parameter that says whether every image gets a draw of its own."""
    return Parameter(default, 0.0, 1.0, "1: a draw per image, 0: one for the batch")


def read_path_dropping(text: str) -> AbstractPathDropping | None:
    """Read `NAME` or `NAME(key=number,...)`; None for `none`.

    Raises:
        NotFoundError: If there is no such rule; the closest one is named.
        ConfigError: If the text is malformed, or a parameter is unknown or out of range.
    """
    if text == NO_DROPPING:
        return None
    name, numbers = read_written(text)
    rule = PATH_DROPPING.get(name)
    return rule(complete_parameters(text, rule.parameters, numbers))
