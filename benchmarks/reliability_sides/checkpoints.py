"""Checkpoints: bits flipped in them, and killed while one is written over another."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol, final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from nas.run_store import Run
from reliability_sides import children
from reliability_sides.logs import verdict

Arrays = Mapping[str, NDArray[Any]]
LARGE: Final = 200_000
"""Numbers per tensor of the checkpoints that are overwritten: about 2.4 MB in all."""
LONGEST_S: Final = 0.06


class Format(Protocol):
    """A way of keeping tensors."""

    name: str

    def save(self, folder: Path, arrays: Arrays) -> None:
        """Write them, over what is there."""

    def load(self, folder: Path) -> Arrays:
        """Read them back."""


@final
class OurWeights:
    """Files named by their SHA-256, and a record in the log that names the last one."""

    name = "nas weights"

    def save(self, folder: Path, arrays: Arrays) -> None:
        """Store the file, then record its name."""
        path = folder / "toy"
        with Run.open(path, write=True) if path.exists() else _created(folder) as run:
            _record(run, arrays)

    def load(self, folder: Path) -> Arrays:
        """Read what the last record names."""
        run = Run.open(folder / "toy")
        records = [each for each in run.records() if each["kind"] == "checkpoint"]
        if not records:
            raise FileNotFoundError("no checkpoint was recorded yet")
        return run.weights.get(records[-1]["checkpoint"])


def _created(folder: Path) -> Run:
    return Run.create(folder, "toy", {"n": 1}, {})


def _record(run: Run, arrays: Arrays) -> None:
    run.append({"kind": "checkpoint", "stage": "toy", "checkpoint": run.weights.put(arrays)})


@final
class TorchSave:
    """`torch.save` straight to the path, or beside it and renamed when it is on disk."""

    def __init__(self, name: str, *, aside: bool) -> None:
        self.name = name
        self.aside = aside

    def save(self, folder: Path, arrays: Arrays) -> None:
        """Write the file as most trainings do."""
        path = folder / "state.pt"
        state = {name: torch.from_numpy(array) for name, array in arrays.items()}
        if not self.aside:
            torch.save(state, path)
            return
        with (folder / "state.tmp").open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        (folder / "state.tmp").replace(path)

    def load(self, folder: Path) -> Arrays:
        """Read the file that this benchmark wrote; a format of others needs its own reader."""
        state = torch.load(folder / "state.pt", weights_only=True)  # noqa: TID251
        return {name: each.numpy() for name, each in state.items()}


@final
class Safetensors:
    """A safetensors file without a checksum."""

    name = "safetensors"

    def save(self, folder: Path, arrays: Arrays) -> None:
        """Write the file."""
        save_file(dict(arrays), folder / "state.safetensors")

    def load(self, folder: Path) -> Arrays:
        """Read the file."""
        return load_file(folder / "state.safetensors")


FLIPPED: list[Format] = [OurWeights(), TorchSave("torch.save", aside=False), Safetensors()]
OVERWRITTEN: list[Format] = [
    OurWeights(),
    TorchSave("torch.save(path)", aside=False),
    TorchSave("torch.save, fsync, rename", aside=True),
]


def small_state(seed: int) -> dict[str, NDArray[Any]]:
    """Return the tensors of a small network."""
    rng = np.random.default_rng(seed)
    shapes = {"kernel": (16, 8, 3, 3), "scale": (16,), "bias": (10,), "head": (10, 16)}
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def flip(kind: Format, root: Path, count: int, seed: int) -> dict[str, Any]:
    """Flip one bit of a checkpoint, many times over, and load it."""
    root.mkdir(parents=True)
    state = small_state(seed)
    kind.save(root, state)
    path = max((p for p in root.rglob("*") if p.is_file()), key=lambda each: each.stat().st_size)
    content = path.read_bytes()
    rng = random.Random(seed)
    found: Counter[str] = Counter(refused=0, harmless=0, silent=0)
    for _ in range(count):
        damaged = bytearray(content)
        damaged[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        found[verdict(lambda: _equal(kind.load(root), state))] += 1
    return {"side": kind.name, "flips": count, "bytes": len(content), **found}


def _equal(one: Arrays, other: Arrays) -> bool:
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and np.array_equal(one[name], other[name])
        for name in one
    )


def overwrite(kind: Format, root: Path, count: int, seed: int) -> dict[str, Any]:
    """Kill a child that writes checkpoint after checkpoint, and load what is there."""
    rng = random.Random(seed)
    found: Counter[str] = Counter(readable=0, consistent=0)
    for number in range(count):
        folder = root / str(number)
        folder.mkdir(parents=True)
        kind.save(folder, _version(0))
        pid = children.start(lambda: _endlessly(kind, folder), folder)  # noqa: B023
        time.sleep(rng.uniform(0.005, LONGEST_S))
        children.end(pid)
        try:
            state = kind.load(folder)
        except Exception as error:
            found[f"error {type(error).__name__}"] += 1
            continue
        found["readable"] += 1
        found["consistent"] += len({float(each.flat[0]) for each in state.values()}) == 1
    return {"side": kind.name, "kills": count, **found}


def _version(number: int) -> dict[str, NDArray[Any]]:
    return {name: np.full(LARGE, number, np.float32) for name in ("first", "second", "third")}


def _endlessly(kind: Format, folder: Path) -> None:
    number = 0
    while True:
        number += 1
        kind.save(folder, _version(number))
