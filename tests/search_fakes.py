"""Objectives and tasks for the tests of the search: cheap, exact, and faulty on demand.

Imported by name as a plugin, in worker processes too. Its numbers depend on the decisions through
the architecture alone, so the front of a small space is known without any training.
"""

from __future__ import annotations

import os
import random
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, final

from nas.errors import ConfigError, DataError, TrialError
from nas.objectives.base import AbstractObjective, EvaluationContext, Measurement, Source
from nas.objectives.names import objective
from nas.topology.identity import structural_id
from nas.topology.serial import load_architecture
from nas.units import Unit


def fake_error(architecture: Any) -> float:
    """Return a made-up error between 0 and 1: an opaque function of the network."""
    return zlib.crc32(structural_id(architecture).encode()) % 1000 / 1000


@objective()
@final
@dataclass(frozen=True)
class FakeError(AbstractObjective):
    """A made-up error."""

    family: ClassVar[str] = "fake_error"
    unit: ClassVar[Unit] = Unit.FRACTION
    source: ClassVar[Source] = "computed"

    def measure(self, context: EvaluationContext) -> Measurement:
        return self.answer(fake_error(context.architecture))


@objective()
@final
@dataclass(frozen=True)
class UnhurriedError(AbstractObjective):
    """A made-up error that takes another time whenever it is asked for."""

    family: ClassVar[str] = "unhurried_error"
    unit: ClassVar[Unit] = Unit.FRACTION
    source: ClassVar[Source] = "computed"

    def measure(self, context: EvaluationContext) -> Measurement:
        time.sleep(random.SystemRandom().uniform(0, 0.03))
        return self.answer(fake_error(context.architecture))


@objective()
@final
@dataclass(frozen=True)
class FakeLatency(AbstractObjective):
    """A made-up measurement, taken by the driver."""

    family: ClassVar[str] = "fake_latency"
    unit: ClassVar[Unit] = Unit.MILLISECONDS
    source: ClassVar[Source] = "measured"

    def measure(self, context: EvaluationContext) -> Measurement:
        return Measurement(context.cost.macs / 1e5, self.unit, self.source, 0.01)


@objective()
@final
@dataclass(frozen=True)
class Faulty(AbstractObjective):
    """Fails for every third network, each time in one of several ways."""

    family: ClassVar[str] = "faulty"
    unit: ClassVar[Unit] = Unit.FRACTION
    source: ClassVar[Source] = "computed"

    def measure(self, context: EvaluationContext) -> Measurement:
        number = zlib.crc32(structural_id(context.architecture).encode())
        if number % 12 == 0:
            return self.answer(float("nan"))
        if number % 12 == 3:
            raise MemoryError("no more")
        if number % 12 == 6:
            raise ZeroDivisionError("a bug in a plugin")
        return self.answer(number % 1000 / 1000)


@objective()
@final
@dataclass(frozen=True)
class Deadly(AbstractObjective):
    """Ends its process for some networks, as a broken kernel does."""

    family: ClassVar[str] = "deadly"
    unit: ClassVar[Unit] = Unit.FRACTION
    source: ClassVar[Source] = "computed"

    def measure(self, context: EvaluationContext) -> Measurement:
        number = zlib.crc32(structural_id(context.architecture).encode())
        if number % 12 == 0:
            os.kill(os.getpid(), 9)
        return self.answer(number % 1000 / 1000)


@objective()
@final
@dataclass(frozen=True)
class Hopeless(AbstractObjective):
    """Never has a number."""

    family: ClassVar[str] = "hopeless"
    unit: ClassVar[Unit] = Unit.FRACTION
    source: ClassVar[Source] = "computed"

    def measure(self, context: EvaluationContext) -> Measurement:
        return self.answer(float("inf"))


@objective()
@final
@dataclass(frozen=True)
class Constant(AbstractObjective):
    """The same for all."""

    family: ClassVar[str] = "constant"
    unit: ClassVar[Unit] = Unit.FRACTION
    source: ClassVar[Source] = "computed"

    def measure(self, context: EvaluationContext) -> Measurement:
        return self.answer(0.5)


def echo_task(arguments: dict[str, Any]) -> Any:
    """Return a task that does what its payload says."""
    if "counter" in arguments:
        with Path(arguments["counter"]).open("a") as made:
            made.write(f"{os.getpid()}\n")
    if "gate" in arguments:
        _wait_unless_first(Path(arguments["gate"]))
    if arguments.get("unfit"):
        raise DataError("The data are unfit.", fix="Use others.")

    def task(payload: dict[str, Any]) -> dict[str, Any]:
        print("a task that prints disturbs nobody")
        _misbehave(payload)
        return {"answer": payload["value"] * arguments["factor"], "pid": os.getpid()}

    return task


def call_counting_task(arguments: dict[str, Any]) -> Any:
    """Return a task that answers with its payload and how many members its call had."""
    return _CallCounting()


class _CallCounting:
    def __call__(self, payload: dict[str, Any]) -> dict[str, Any]:
        return {**payload, "members": 1}

    def together(self, payloads: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{"result": {**each, "members": len(payloads)}} for each in payloads]


def _wait_unless_first(gate: Path) -> None:
    """Let the first worker pass; the others wait until the test writes to the pipe."""
    try:
        gate.with_suffix(".first").touch(exist_ok=False)
    except FileExistsError:
        gate.read_text()


def _misbehave(payload: dict[str, Any]) -> None:
    if "sleep_s" in payload:
        time.sleep(payload["sleep_s"])
    kind = payload.get("fail")
    if kind == "trial":
        raise TrialError("It diverged.", kind="nonfinite")
    if kind == "error":
        raise ConfigError("wrong")
    if kind == "memory":
        raise MemoryError("too much")
    if kind == "exit":
        os._exit(3)
    if kind == "killed":
        os.kill(os.getpid(), 9)


def scripted_error(architecture: Any, epochs: int) -> float:
    """Return a made-up error after a training: near `fake_error`, the nearer the longer."""
    number = zlib.crc32(f"{structural_id(architecture)} {epochs}".encode())
    return fake_error(architecture) + (number % 1000 / 1000 - 0.5) / epochs


def scripted_training_task(arguments: dict[str, Any]) -> Any:
    """Return a task that answers as that of `training.retrain_task` does, without training."""

    def task(payload: dict[str, Any]) -> dict[str, Any]:
        assert payload["part"] == "validation"
        architecture = load_architecture(payload["architecture"])
        error = scripted_error(architecture, int(payload["recipe"]["epochs"]))
        return {"validation_error": error, "validation_cross_entropy": error}

    return task
