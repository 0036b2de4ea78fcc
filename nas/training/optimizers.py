"""Optimisers of a recipe: which numbers decay, and their state as plain arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nas.errors import RunError
from nas.model.merges import AbstractDeclaredMerge
from nas.training.recipe import Recipe

_GATE_NAMES = frozenset({"gate", "gates", "gate_logits"})


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Return two optimiser groups: kernels and matrices with decay; norms, biases, gates without.

    A decayed norm scale or gate is pulled to zero for no loss in front of another norm, which says
    nothing about the connection.
    """
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    merges = [part for part in module.modules() if isinstance(part, AbstractDeclaredMerge)]
    scaling = {id(number) for part in merges for number in part.gates()}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            gate = name.rpartition(".")[2] in _GATE_NAMES or id(parameter) in scaling
            (free if parameter.ndim < 2 or gate else decayed).append(parameter)
    groups: list[dict[str, object]] = []
    if decayed:
        groups.append({"params": decayed, "weight_decay": weight_decay})
    if free:
        groups.append({"params": free, "weight_decay": 0.0})
    return groups


def make_optimizer(module: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Return the recipe's optimiser over the module's parameters."""
    groups = parameter_groups(module, recipe.weight_decay)
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(recipe.momentum, 0.999))
    return torch.optim.SGD(
        groups,
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.momentum > 0,
    )


def to_array(tensor: Tensor) -> NDArray[Any]:
    """Return a copy of a tensor that no later step changes."""
    array: NDArray[Any] = tensor.detach().cpu().contiguous().numpy()
    return array.copy()


def optimizer_arrays(
    optimizer: torch.optim.Optimizer, module: nn.Module
) -> dict[str, NDArray[Any]]:
    """Return what an optimiser remembers, as `name of the parameter|name of the number`."""
    return {
        f"{name}|{what}": to_array(value) if isinstance(value, Tensor) else np.asarray(value)
        for name, parameter in module.named_parameters()
        for what, value in optimizer.state.get(parameter, {}).items()
        if value is not None
    }


def load_optimizer(
    optimizer: torch.optim.Optimizer, module: nn.Module, arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Let an optimiser remember what `optimizer_arrays` told of one for an equal module.

    Raises:
        RunError: If the arrays are those of another module.
    """
    parameters = dict(module.named_parameters())
    optimizer.state.clear()
    for key, array in arrays.items():
        name, _, what = key.rpartition("|")
        parameter = parameters.get(name)
        if parameter is None or (array.ndim and array.shape != tuple(parameter.shape)):
            raise RunError(
                f"The stored optimiser remembers '{key}' of the shape {list(array.shape)}, which "
                "this network has not.",
                why="It was stored in another training.",
                fix="Start the training anew.",
            )
        optimizer.state[parameter][what] = _like(parameter, array)


def _like(parameter: Tensor, array: NDArray[Any]) -> Tensor:
    """Return an array as the optimiser keeps it: in the order of the parameter's own numbers."""
    stored = torch.from_numpy(array.copy())
    if not array.ndim:
        return stored  # a count of steps, which stays on the CPU
    with torch.no_grad():
        return torch.empty_like(parameter, dtype=stored.dtype).copy_(stored)
