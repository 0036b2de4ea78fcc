"""What runs inside a Ray worker process: one task, its weights from a copy on this node.

All that comes and goes is JSON and the bytes of safetensors files. Weights are laid down once per
node, in a folder outside the run that every worker of the search on this node shares, and checked
against their SHA-256; a task reads them there as it would in the run. Workers may be killed at any
time, so whoever comes later removes the folders that no living worker holds.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import stat
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final, final

import nas
from nas.errors import EnvironmentFault
from nas.run_store.layout import WEIGHTS
from nas.run_store.weights import WeightStore
from nas.search.executors.base import Task, describe_error, make_task, perform
from nas.search.executors.local_child import limit_memory
from nas.search.executors.scratch import LOCK, scratch_folder, scratch_prefix, sweep

KEPT_SCRATCH: Final = "kept"
"""Kind of the folders in which networks lie that are on their way to the driver."""

PARENT_LOOK_S: Final = 1.0
_ENCODER: Final = json.JSONEncoder(allow_nan=False)  # `json.dumps` would make one for each job


@final
class Evaluator:
    """The actor: makes a task, then runs one job after another."""

    def __init__(self) -> None:
        self._task: Task | None = None
        self._scratch: NodeScratch | None = None
        self._node = ""
        threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()

    def set_up(self, order: bytes, *weights: Any) -> bytes:
        """Make the task.

        Args:
            order: JSON: `version` of nas, `search` (token of the search), and `factory`,
                `arguments`, `threads`, `memory_gib`, `fingerprint` and `weights` of the setup.
            weights: Bytes of the files that `weights` names, in that order.

        Returns:
            JSON: `node`, `pid`, and `error` as plain values or null.
        """
        import ray

        told, error = json.loads(order), None
        self._node = str(ray.get_runtime_context().get_node_id())
        try:
            self._task = None
            check_version(told["version"])
            limit_memory(told["memory_gib"])
            arguments = {**told["arguments"]}
            if told["weights"]:
                arguments["run"] = str(self._lay_down(told, weights))
            check_fingerprint(told["fingerprint"], arguments, told["threads"])
            self._task = make_task(told["factory"], arguments)
        except Exception as raised:
            error = describe_error(raised)
        return to_json({"node": self._node, "pid": os.getpid(), "error": error})

    def work(self, payload: bytes) -> bytes:
        """Run one job; payload and answer are JSON."""
        assert self._task is not None
        return answer(self._task, json.loads(payload))

    def work_and_keep(self, payload: bytes) -> tuple[bytes, dict[str, bytes]]:
        """Run a job that stores weights; return its answer and the files by SHA-256."""
        assert self._task is not None
        with scratch_folder(KEPT_SCRATCH) as folder:
            found = answer(self._task, {**json.loads(payload), "keep": str(folder)})
            store = WeightStore(folder / WEIGHTS, writable=False)
            return found, {sha: store.get_bytes(sha) for sha in store.names()}

    def leave(self) -> None:
        """Let go of the copies on this node; the last worker removes them."""
        if self._scratch is not None:
            self._scratch.leave()

    def _lay_down(self, told: Mapping[str, Any], weights: tuple[Any, ...]) -> Path:
        if self._scratch is None:
            self._scratch = NodeScratch(told["search"], self._node)
        for sha, data in zip(told["weights"], weights, strict=True):
            self._scratch.put(sha, data)
        return self._scratch.folder


def _end_with_parent(parent: int) -> None:
    """End this process and what it started as soon as Ray's process on this node is gone."""
    # A worker that was asleep when its node was given up is not told, and would work for nobody.
    while os.getppid() == parent:
        time.sleep(PARENT_LOOK_S)
    if os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def answer(task: Task, payload: dict[str, Any]) -> bytes:
    """Run one job; return its answer as JSON."""
    found = perform(task, payload)
    try:
        return to_json(found)
    except (TypeError, ValueError) as error:
        told = f"The task returned what is no JSON: {error}"
        return to_json({**found, "result": None, "reason": "crash", "message": told})


def check_version(wanted: str) -> None:
    """Refuse to work for a driver of another version.

    Raises:
        EnvironmentFault: Naming both.
    """
    if nas.__version__ != wanted:
        raise EnvironmentFault(
            f"A node of the cluster has nas {nas.__version__}, the search runs with {wanted}.",
            where=f"node {os.uname().nodename}",
            why="Two versions may score one network differently.",
            fix="Install the same version of nas on every node.",
        )


def check_fingerprint(wanted: str | None, arguments: Mapping[str, Any], threads: int) -> None:
    """Refuse to work on another device than the one that is asked for.

    Raises:
        EnvironmentFault: Naming both.
    """
    if wanted is None:
        return
    from nas.objectives.device_fingerprint import device_fingerprint

    found = device_fingerprint(str(arguments.get("device", "cpu")), threads)
    if found.digest != wanted:
        raise EnvironmentFault(
            f"This worker's device has the fingerprint {found.digest[:12]}, wanted is "
            f"{wanted[:12]}.",
            where=f"node {os.uname().nodename}: {found}",
            why="Measurements of two devices do not belong on one front.",
            fix="Give the resource only to nodes whose devices are the same.",
        )


@final
class NodeScratch:
    """A folder on this node for the copies that workers of one search share.

    Args:
        search: Token of the search.
        node: Id of the node: on one machine there may be several.
        parent: Where it lies; by default the folder for temporary files.

    Raises:
        EnvironmentFault: If somebody else has a folder of that name there.
    """

    def __init__(self, search: str, node: str, parent: Path | None = None) -> None:
        parent = parent or Path(tempfile.gettempdir())
        sweep(parent)
        self.folder = parent / f"{scratch_prefix('weights')}{search}-{node[:16]}"
        self._lock = self._hold()

    def put(self, sha: str, data: Any) -> None:
        """Write a file of weights unless it is there; its name is checked against its bytes."""
        store = WeightStore(self.folder / WEIGHTS)
        with _exclusive(self.folder / "writing"):
            if store.put_bytes(bytes(data)) != sha:
                raise EnvironmentFault(
                    f"The weights {sha[:12]} came over the network with other bytes.",
                    where=str(self.folder),
                    fix="Try again; if it happens twice, look at the memory of that node.",
                )

    def leave(self) -> None:
        """Let go; remove the folder if nobody else holds it."""
        with suppress(OSError):
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.close()

    def _hold(self) -> IO[bytes]:
        while True:
            self.folder.mkdir(mode=0o700, exist_ok=True)
            _check_own(self.folder)
            try:
                lock = (self.folder / LOCK).open("ab")
            except FileNotFoundError:  # removed by the last of those before, just now
                continue
            fcntl.flock(lock, fcntl.LOCK_SH)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(lock.fileno()), (self.folder / LOCK).stat()):
                    return lock
            lock.close()


def _check_own(folder: Path) -> None:
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise EnvironmentFault(
            "The folder for copies of weights is not this user's alone.",
            where=str(folder),
            fix="Remove it, or set TMPDIR to a folder of your own on that node.",
        )


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    with path.open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def to_json(value: Mapping[str, Any]) -> bytes:
    """Return a job's payload or answer as it travels; not finite numbers are a ValueError."""
    return _ENCODER.encode(value).encode()
