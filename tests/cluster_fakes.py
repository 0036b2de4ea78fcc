"""What workers do in the tests of a cluster: a task that does what it is told, a slow objective."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
from search_fakes import fake_error

from nas.errors import DataError
from nas.objectives.base import AbstractObjective, EvaluationContext, Measurement, Source
from nas.objectives.names import objective
from nas.run_store.weights import WeightStore
from nas.units import Unit

SLEEP_S = 0.05
SLEEPER = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"


@objective()
@final
@dataclass(frozen=True)
class SlowError(AbstractObjective):
    """A made-up error that takes a moment, so that workers are at work when something happens."""

    family: ClassVar[str] = "slow_error"
    unit: ClassVar[Unit] = Unit.FRACTION
    source: ClassVar[Source] = "computed"

    def measure(self, context: EvaluationContext) -> Measurement:
        time.sleep(SLEEP_S)
        return self.answer(fake_error(context.architecture))


@objective()
@final
@dataclass(frozen=True)
class SlowerError(AbstractObjective):
    """The same, for searches that must not end before something is noticed."""

    family: ClassVar[str] = "slower_error"
    unit: ClassVar[Unit] = Unit.FRACTION
    source: ClassVar[Source] = "computed"

    def measure(self, context: EvaluationContext) -> Measurement:
        time.sleep(10 * SLEEP_S)
        return self.answer(fake_error(context.architecture))


def field_task(arguments: dict[str, Any]) -> Any:
    """Return a task that does what its payload says, and tells where it was done."""
    if node := arguments.get("unfit_on"):
        import ray

        if ray.get_runtime_context().get_node_id() == node:
            raise DataError("The data are not on this node.", fix="Copy them.")

    def task(payload: dict[str, Any]) -> dict[str, Any]:
        import ray

        context = ray.get_runtime_context()
        found = {"node": context.get_node_id(), "pid": os.getpid(), "value": payload.get("value")}
        for deed in DEEDS:
            if deed in payload:
                found.update(DEEDS[deed](payload[deed], arguments, payload) or {})
        return found

    return task


def _die_once(marker: str, *rest: Any) -> None:
    """Let this process be killed, unless it was before."""
    path = Path(marker)
    if not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)


def _spin(note: str, *rest: Any) -> None:
    """Never come back, deaf to SIGTERM, with a child that is deaf, too."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", SLEEPER])
    Path(note).write_text(f"{os.getpid()} {child.pid}")
    while True:
        pass


def _linger(where: dict[str, str], *rest: Any) -> None:
    """Take for ever on one node, and say that it has begun."""
    import ray

    if ray.get_runtime_context().get_node_id() == where["node"]:
        Path(where["note"]).touch()
        time.sleep(600)


def _hog(gib: float, *rest: Any) -> None:
    np.ones(int(gib * 2**30), dtype=np.uint8)


def _read(sha: str, arguments: dict[str, Any], payload: Any) -> dict[str, Any]:
    store = WeightStore(Path(arguments["run"]) / "weights", writable=False)
    file = store.path(sha)
    told = {
        "file": str(file),
        "inode": file.stat().st_ino,
        "mode": file.parent.parent.stat().st_mode,
    }
    return {"sum": float(store.get(sha)["w"].sum()), **told}


def _store(number: float, arguments: Any, payload: dict[str, Any]) -> dict[str, Any]:
    keep = Path(payload["keep"])
    return {
        "weights": WeightStore(keep / "weights").put({"w": np.full(3, number)}),
        "keep": str(keep),
    }


DEEDS: dict[str, Any] = {
    "sleep_s": lambda seconds, *rest: time.sleep(seconds),
    "die_once": _die_once,
    "linger": _linger,
    "spin": _spin,
    "hog_gib": _hog,
    "read": _read,
    "store": _store,
    "nonsense": lambda *rest: {"answer": float("nan")},
}
