"""A network's parameters and statistics as named arrays, and back, every name and shape checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nas.errors import DataError


def network_arrays(network: nn.Module) -> dict[str, NDArray[Any]]:
    """Return parameters and statistics of a network by their names in it."""
    state = network.state_dict()
    return {name: value.detach().cpu().contiguous().numpy() for name, value in state.items()}


def fill_network(network: nn.Module, arrays: Mapping[str, NDArray[Any]], where: str) -> None:
    """Give a network the arrays that `network_arrays` gave.

    Args:
        network: Of the same architecture; it is left as it is if anything does not fit.
        arrays: By name.
        where: Named in the error.

    Raises:
        DataError: If they are those of another network.
    """
    state = network.state_dict()
    strange = sorted(set(state) ^ set(arrays))
    if strange:
        side = "the network" if strange[0] in state else "the file"
        raise _foreign(f"'{strange[0]}' is in {side} only", where)
    for name, own in state.items():
        if tuple(own.shape) != arrays[name].shape:
            shapes = f"{arrays[name].shape} in the file, {tuple(own.shape)} in the network"
            raise _foreign(f"'{name}' has the shape {shapes}", where)
    values = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
    network.load_state_dict(values)


def _foreign(what: str, where: str) -> DataError:
    return DataError(
        f"The weights are not those of this network: {what}.",
        where=where,
        fix="Take the weights that were stored with the architecture.",
    )
