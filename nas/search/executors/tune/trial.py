"""What runs inside a worker of Ray Tune: one training after another, an epoch per iteration.

Tune keeps pickles of its own; what a training goes on from is safetensors, named by their SHA-256,
and JSON, in the folder that Tune carries about. An answer is JSON, and beside it the bytes of the
weights that are to be kept, which only the driver puts into a run.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final, final

from ray.tune import Trainable

from nas.errors import NasError, RunError
from nas.run_store.atomic import write_bytes
from nas.run_store.layout import WEIGHTS
from nas.run_store.weights import WeightStore
from nas.search.executors.base import Task, describe_error, make_task
from nas.search.executors.local_child import limit_memory
from nas.search.executors.ray_worker import KEPT_SCRATCH, answer, check_version
from nas.search.executors.scratch import scratch_folder
from nas.search.training.training_job import TrainingJob, TrainingTask
from nas.training.fit_state import FitState

ANSWER: Final = "answer"
EPOCH: Final = "epoch"
ERROR: Final = "error"
KEPT: Final = "kept"
UNFIT: Final = "unfit"
_STATE: Final = "state.json"
_LATE_S: Final = 30.0
"""Time behind its limit after which a process ends that nothing in Python can interrupt."""

_log = logging.getLogger("nas")


@final
class TrainingTrial(Trainable):
    """One worker: Tune makes it once, and resets it for each training."""

    def setup(self, config: dict[str, Any], order: Mapping[str, Any] | None = None) -> None:
        """Make the task.

        Args:
            config: Of the first training: `payload` (JSON) and `keeps`.
            order: `version` of nas, `path` of imports, `factory`, `arguments`, `timeout_s`,
                `memory_gib`, `checkpoint_every_s`, and `looks`: after which epochs the network is
                scored, for who stops trainings early.
        """
        assert order is not None, "Tune gives it"
        with suppress(OSError):
            os.setpgid(0, 0)  # so that what a training starts ends with it
        self._order = order
        # One thread does all the work: device locks and torch's threads belong to a thread.
        self._hands = ThreadPoolExecutor(1)
        self._is_stuck = False
        self._held = ExitStack()
        self._task: Task | None = None
        self._unfit: str | None = None
        sys.path += [path for path in order["path"] if path not in sys.path]
        self._begin(config)
        try:
            check_version(order["version"])
            limit_memory(order["memory_gib"])
            self._task = make_task(order["factory"], order["arguments"])
        except Exception as error:
            self._unfit = json.dumps(describe_error(error))

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next training; a worker that hangs in the last one ends, and is replaced."""
        if self._is_stuck:
            self._die()
        self._begin(new_config)
        return True

    def _begin(self, config: Mapping[str, Any]) -> None:
        # Tune has gone to a folder of its own, where relative paths mean nothing.
        os.chdir(os.environ.get("TUNE_ORIG_WORKING_DIR", "."))
        self._payload = json.loads(config["payload"])
        self._held.close()  # of a training that was left
        self._kept: Path | None = None
        if config["keeps"]:
            self._kept = self._held.enter_context(scratch_folder(KEPT_SCRATCH))
            self._payload["keep"] = str(self._kept)
        self._job: TrainingJob | None = None
        self._state: FitState | None = None
        self._seconds, self._error = 0.0, 1.0
        # With the first epoch: a worker may take long to start.
        self._began: float | None = None
        self._saved_at = time.monotonic()

    def step(self) -> dict[str, Any]:
        """Train one epoch; with the last one, answer as the task does."""
        if self._unfit is not None:
            return self._told(done=True, **{UNFIT: self._unfit})
        now = time.monotonic()
        self._began = now if self._began is None else self._began
        left_s = max(0.1, self._began + self._order["timeout_s"] - now)
        faulthandler.dump_traceback_later(left_s + _LATE_S, exit=True, file=2)
        try:
            found = json.loads(self._hands.submit(answer, self._advance, {}).result(left_s))
        except TimeoutError:
            self._is_stuck = True
            message = f"It took longer than {self._order['timeout_s']:g} s and was ended."
            found = {"result": None, "reason": "timeout", "message": message, "seconds": left_s}
        finally:
            faulthandler.cancel_dump_traceback_later()
        if found.get("reason") == "died":
            self._die()  # another worker goes on from the last checkpoint
        self._seconds += found["seconds"]
        result = found["result"]
        if result is not None and ANSWER not in result:
            return self._told(done=False, should_checkpoint=self._is_time_to_save())
        given = {**found, "result": result and result[ANSWER], "seconds": self._seconds}
        return self._told(done=True, **{ANSWER: json.dumps(given), KEPT: self._files()})

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write where the training stands."""
        assert self._job is not None, "an epoch came before"
        folder = Path(checkpoint_dir)
        state = self._hands.submit(self._job.state).result()
        told = {
            "sha": WeightStore(folder / WEIGHTS).put(state.arrays, state.facts),
            "seconds": self._seconds,
            "error": self._error,
        }
        write_bytes(folder / _STATE, json.dumps(told).encode())
        self._saved_at = time.monotonic()

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Read where the training stood; what cannot be read costs time and nothing else."""
        folder = Path(checkpoint)
        try:
            told = json.loads((folder / _STATE).read_bytes())
            store = WeightStore(folder / WEIGHTS, writable=False)
            self._state = FitState(store.get(told["sha"]), store.metadata(told["sha"]))
            self._seconds, self._error = float(told["seconds"]), float(told["error"])
        except (NasError, OSError, ValueError, KeyError) as error:
            _log.warning("a checkpoint of a training cannot be read, so it begins anew: %s", error)

    def cleanup(self) -> None:
        """End what hangs."""
        self._hands.shutdown(wait=False)
        if self._is_stuck:
            self._die()
        self._held.close()

    def _die(self) -> None:
        """End this process, and what it started, at once."""
        if os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)
        os._exit(1)

    def _advance(self, _: dict[str, Any]) -> dict[str, Any]:
        """Train one epoch, or do all where the task knows no epochs."""
        assert self._task is not None
        if not isinstance(self._task, TrainingTask):
            return {ANSWER: self._task(self._payload)}
        if self._job is None:
            self._job = self._task.begin(self._payload)
            self._go_on(self._job)
        if not self._job.is_done:
            self._job.epoch()
        if self._job.is_done:
            return {ANSWER: self._job.answer()}
        if self._job.epochs in self._order["looks"]:
            self._error = self._job.error()
        return {}

    def _go_on(self, job: TrainingJob) -> None:
        state, self._state = self._state, None
        if state is None:
            return
        try:
            job.restore(state)
        except RunError as error:
            _log.warning("a training begins anew: %s", error)

    def _is_time_to_save(self) -> bool:
        every_s = self._order["checkpoint_every_s"]
        return every_s is not None and time.monotonic() - self._saved_at >= every_s

    def _files(self) -> dict[str, bytes]:
        """Return the weights that the answer names, by SHA-256."""
        if self._kept is None:
            return {}
        store = WeightStore(self._kept / WEIGHTS, writable=False)
        files = {sha: store.get_bytes(sha) for sha in store.names()}
        self._held.close()
        return files

    def _told(self, **more: Any) -> dict[str, Any]:
        return {EPOCH: self._job.epochs if self._job else 0, ERROR: self._error, **more}
