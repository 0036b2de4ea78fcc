"""The state of a training between two steps: all that decides what comes after it.

Weights, what the optimiser remembers, the average, the noise generators and the position, as plain
arrays and JSON values, so that a training goes on in another process, or on another machine, to the
same bits. What batches, augmentation, mixup and dropped paths draw needs no place in it: these
draws have seeds of their own epoch or step.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, final

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nas.errors import RunError
from nas.model.network import Network
from nas.topology.serial import dump_architecture
from nas.training.optimizers import to_array
from nas.training.parts import DataPart
from nas.training.recipe import Recipe

VERSION: Final = 1
"""Of a state's content; a training goes on from its own version only."""

Arrays = dict[str, NDArray[Any]]

_log = logging.getLogger("nas")


@final
@dataclass(frozen=True, eq=False)
class FitState:
    """Where a training stands after a step.

    Args:
        arrays: Numbers by name, as safetensors can hold them.
        facts: JSON values: which training it is, and how far.
    """

    arrays: Mapping[str, NDArray[Any]]
    facts: Mapping[str, Any]

    def below(self, prefix: str) -> Arrays:
        """Return the arrays whose names start with `prefix`, without it."""
        return {
            name.removeprefix(prefix): array
            for name, array in self.arrays.items()
            if name.startswith(prefix)
        }


def stamp(module: nn.Module, part: DataPart, recipe: Recipe, seed: int) -> dict[str, Any]:
    """Return what tells the states of one training from those of others."""
    network = type(module).__name__
    if isinstance(module, Network):
        text = json.dumps(dump_architecture(module.architecture), sort_keys=True)
        network = hashlib.sha256(text.encode()).hexdigest()
    return {
        "version": VERSION,
        "network": network,
        "recipe": recipe.recipe_hash,
        "seed": seed,
        "images": len(part),
        # Tells one choice of images from another of as many.
        "labels": hashlib.sha256(part.labels.tobytes()).hexdigest(),
    }


def surroundings(device: torch.device) -> dict[str, Any]:
    """Return what besides the training itself decides its bits."""
    return {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "device": device.type,
        "processor": _processor(device),
    }


def _processor(device: torch.device) -> str | None:
    """Return what chooses the kernels of a device: its model, or what a CPU can do."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return torch.backends.cpu.get_cpu_capability() if device.type == "cpu" else None


def check_stamp(state: FitState, expected: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Check that a state belongs to a training; other surroundings are told and allowed.

    Args:
        state: The state.
        expected: The training's own `stamp`.
        here: Its `surroundings`.

    Raises:
        RunError: If it does not; the first difference is named.
    """
    found = state.facts.get("stamp")
    found = found if isinstance(found, Mapping) else {}
    for name, value in expected.items():
        if found.get(name) != value:
            raise RunError(
                f"The state is of another training: its {name} is {found.get(name)!r}, here it is "
                f"{value!r}.",
                why="Weights and momentum of another training would be read wrongly.",
                fix="Start the training anew, or give the state that belongs to it.",
            )
    before = state.facts.get("surroundings")
    if before != here:
        _log.warning(
            "a training goes on in other surroundings (%s, before %s): its bits may differ",
            here,
            before,
        )


def module_arrays(module: nn.Module) -> Arrays:
    """Return all parameters and buffers by name."""
    return {name: to_array(tensor) for name, tensor in module.state_dict().items()}


def load_module(module: nn.Module, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Put parameters and buffers into a module, each where and in the order it lies already.

    Raises:
        RunError: If they are those of another module; the names that differ are listed.
    """
    own: dict[str, Tensor] = module.state_dict()
    shapes = {name: tuple(tensor.shape) for name, tensor in own.items()}
    stored = {name: tuple(array.shape) for name, array in arrays.items()}
    wrong = sorted(name for name in {**shapes, **stored} if shapes.get(name) != stored.get(name))
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise RunError(
            f"The state does not fit the network: {', '.join(wrong[:3])}{more}.",
            why="These weights are missing on one side, or their shapes differ.",
            fix="Give the state that belongs to this network, or start the training anew.",
        )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(torch.from_numpy(arrays[name].copy()))


@final
@dataclass(frozen=True, eq=False)
class Noise:
    """What dropout and other noise inside a module draws from: the state of torch's generators.

    Args:
        cpu: Of the CPU's.
        accelerator: Of the device's own, if it has one.
    """

    cpu: Tensor
    accelerator: Tensor | None

    @classmethod
    def seeded(cls, seed: int, device: torch.device) -> Noise:
        """Return the state right after seeding, inside a block that puts the generators back."""
        torch.manual_seed(seed)
        return cls.now(device)

    @classmethod
    def now(cls, device: torch.device) -> Noise:
        """Return the state of the generators at this moment."""
        own = None
        if device.type == "cuda":
            own = torch.cuda.get_rng_state(device)
        elif device.type == "mps":
            own = torch.mps.get_rng_state()
        return cls(torch.get_rng_state(), own)

    def apply(self, device: torch.device) -> None:
        """Set the generators; a state from another kind of device sets the CPU's alone."""
        torch.set_rng_state(self.cpu)
        if self.accelerator is None:
            return
        if device.type == "cuda":
            torch.cuda.set_rng_state(self.accelerator, device)
        elif device.type == "mps":
            torch.mps.set_rng_state(self.accelerator)

    def arrays(self) -> Arrays:
        """Return the state as arrays."""
        found = {"cpu": to_array(self.cpu)}
        if self.accelerator is not None:
            found["accelerator"] = to_array(self.accelerator)
        return found

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]]) -> Noise:
        """Return the state that `arrays` told."""
        own = arrays.get("accelerator")
        return cls(
            torch.from_numpy(arrays["cpu"].copy()),
            None if own is None else torch.from_numpy(own.copy()),
        )
