"""Weights of whole networks that a run keeps, beside the shared weights of its supernet.

The confirmation keeps one training of each judged candidate, `nas arch train` keeps every network
it trains. They lie in `weights/` under their SHA-256, and the record that names one keeps it from
being collected as garbage.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nas.run_store.doctor import referenced_weights
from nas.run_store.layout import WEIGHTS
from nas.run_store.weights import WeightStore

if TYPE_CHECKING:
    from torch import nn

MOST_BYTES: Final = 2**28
"""Size of a network, in bytes, above which its weights are not kept in the run."""

SCHEMA: Final = "nas.weights/1"

_CHECKPOINT: Final = "checkpoint_saved"


def kept_networks(records: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the addresses of all weights that results in the log name.

    Those of checkpoints are left out: which of these is needed the state of a stage says.
    """
    return referenced_weights(dict(each) for each in records if each["kind"] != _CHECKPOINT)


def keep_network(network: nn.Module, run: Path, most_bytes: int = MOST_BYTES) -> dict[str, Any]:
    """Store a trained network in a run whose owner this process works for.

    Returns:
        `weights`, its address, or `weights_left_out`, why it was not stored.
    """
    from nas.export.arrays import network_arrays

    arrays = network_arrays(network)
    size = sum(array.nbytes for array in arrays.values())
    if size > most_bytes:
        return {"weights_left_out": f"{size:,} bytes are more than the {most_bytes:,} a run keeps"}
    # Files of weights are written whole under their own hash, so a worker may write one.
    store = WeightStore(run / WEIGHTS)
    return {"weights": store.put(arrays, {"schema": SCHEMA})}
