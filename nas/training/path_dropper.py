"""From a rule's draws to the masks of a training step."""

from __future__ import annotations

from typing import final

import numpy as np
import torch
from torch import nn

from nas.cost.merging_nodes import merging_nodes
from nas.errors import ConfigError
from nas.model.network import Network
from nas.model.path_masks import PathMasks
from nas.seeds import derive_seed
from nas.training.path_dropping import AbstractPathDropping, read_path_dropping
from nas.training.path_dropping.survivors import Factors


@final
class PathDropper:
    """Draws the masks of a network's training steps.

    Args:
        rule: What is dropped.
        network: The network; only its plan is read.
        seed: Of the training; the masks of a step depend on it and on the step's number alone.
    """

    def __init__(self, rule: AbstractPathDropping, network: Network, seed: int) -> None:
        self.rule = rule
        self.seed = seed
        self.nodes = merging_nodes(network.plan)

    def masks(self, step: int, progress: float, batch: int, device: torch.device) -> PathMasks:
        """Return the masks of one step.

        Args:
            step: Number of the step, from 0.
            progress: Share of the training that is done, 0 to 1.
            batch: Images of the step.
            device: Where the factors are put; they are drawn on the CPU.
        """
        rng = np.random.default_rng(derive_seed(self.seed, "paths", step))
        draws = batch if self.rule.per_sample else 1
        drawn = self.rule.draw(self.nodes, progress, rng, draws)
        paths = {node.path: each for node, each in zip(self.nodes, drawn, strict=True)}
        return nested_masks(paths, device)


def path_dropper(text: str, module: nn.Module, seed: int) -> PathDropper | None:
    """Return what drops the paths of a module as a recipe says; None where nothing is dropped.

    Raises:
        ConfigError: If the module is no network of nodes, or the text is wrong.
        NotFoundError: If there is no such rule.
    """
    rule = read_path_dropping(text)
    if rule is None:
        return None
    if not isinstance(module, Network):
        raise ConfigError(
            f"'{text}' drops paths, but a {type(module).__name__} has no known paths.",
            fix="Train a nas.model.network.Network, or leave path_dropping out of the recipe.",
        )
    return PathDropper(rule, module, seed)


def nested_masks(
    factors: dict[tuple[int, ...], Factors], device: torch.device | str = "cpu"
) -> PathMasks:
    """Return masks from factors by path: numbers of the nodes whose cells it is in, then its own.

    Inputs that every draw multiplies with 1 are left as they are.
    """
    inputs: dict[int, list[float | torch.Tensor]] = {}
    below: dict[int, dict[tuple[int, ...], Factors]] = {}
    for path, each in factors.items():
        if len(path) > 1:
            below.setdefault(path[0], {})[path[1:]] = each
        elif not np.all(each == 1.0):
            inputs[path[0]] = [_factor(row, device) for row in each]
    cells = {number: nested_masks(inside, device) for number, inside in below.items()}
    return PathMasks(inputs, cells)


def _factor(row: Factors, device: torch.device | str) -> float | torch.Tensor:
    if row.size == 1 or np.all(row == row[0]):
        return float(row[0])
    return torch.from_numpy(row).to(device).view(-1, 1, 1, 1)
