"""The connection of this process to Ray: joined or started, watched, and ended as it was found.

A thread asks the cluster's head for its nodes every second or two. When the head is gone that call
hangs for minutes, and a while later Ray would end this process from inside; the age of the last
answer tells it long before, so a search stops in good order with an error of its own.
"""

from __future__ import annotations

import logging
import os
import queue
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from nas.errors import ClusterError, EnvironmentFault
from nas.search.executors.scratch import scratch_folder
from nas.search.settings.head_address import check_head_address

ADDRESS_VARIABLE: Final = "RAY_ADDRESS"
WATCH_S: Final = 1.0
HEAD_PATIENCE_S: Final = 30.0
"""Silence of the head, in seconds, after which it is taken for gone. Ray's own limit is 60."""

CONNECT_S: Final = 10.0
HANDS_PATIENCE_S: Final = 5.0
LONGEST_TMPDIR: Final = 16
"""Characters of TMPDIR beyond which the sockets that Ray puts below it have names too long."""

OBJECT_STORE_BYTES: Final = 2**28
"""Shared memory of a Ray started here, which holds weights on their way to the workers."""

_WHERE: Final = f"executor.address, or {ADDRESS_VARIABLE} in the environment"
_FIX: Final = "Look at the cluster with `ray status`. What was recorded is not run again."


@final
@dataclass(frozen=True)
class Node:
    """A living node of the cluster.

    Args:
        key: Its id.
        resources: What it has in all, by Ray's names.
    """

    key: str
    resources: Mapping[str, float]

    def fits(self, needs: Mapping[str, float]) -> int:
        """Return how many workers with these needs have room on the empty node."""
        counts = [
            int(self.resources.get(name, 0.0) / amount + 1e-6)
            for name, amount in needs.items()
            if amount > 0
        ]
        return min(counts, default=sys.maxsize)


def import_ray(address: str | None = None) -> Any:
    """Return the module.

    Args:
        address: Of the cluster that is to be joined; None as in `RayLink`.

    Raises:
        EnvironmentFault: If Ray is not installed.
    """
    # Read by Ray's core when it is loaded: how long it waits for a lost head before it ends this
    # process without asking. The watch below is the judge of that.
    os.environ.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", "3600")
    # Once the head is gone nobody takes what Ray tells of this process: Ray would wait 15 s for it.
    os.environ.setdefault("RAY_task_events_shutdown_flush_timeout_ms", "500")
    os.environ.setdefault("RAY_enable_metrics_collection", "0")
    if not (address or os.environ.get(ADDRESS_VARIABLE)) and "ray" not in sys.modules:
        # Despite its name: without it a Ray that is started here turns a loopback address into the
        # machine's own, and listens on every interface. That a token is needed is Ray's default.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    try:
        import ray
    except ImportError as error:
        raise EnvironmentFault(
            "The executor 'ray' needs Ray, which is not installed.",
            why=str(error),
            fix="Install it with: pip install 'nas[ray]', or use --executor local.",
        ) from error
    return ray


@final
class Hands:
    """Does what needs the head on a thread of its own, in order.

    Ray waits for a head that is gone until it is back, so nothing of that kind may happen on the
    thread that is to notice.
    """

    def __init__(self) -> None:
        self._orders: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def do(self, order: Callable[[], object]) -> None:
        """Do something soon; what it raises is its own affair."""
        self._orders.put(order)

    def close(self) -> None:
        """Let it finish what was ordered, if that is possible."""
        self._orders.put(None)
        self._thread.join(HANDS_PATIENCE_S)

    def _work(self) -> None:
        while (order := self._orders.get()) is not None:
            with suppress(Exception):
                order()


@final
class RayLink:
    """A connection to a cluster that runs, or to a Ray started for this process alone.

    Args:
        address: `host:port` of a cluster's head. The environment's `RAY_ADDRESS` comes first, so
            that a run may go on elsewhere; where neither is set, a private Ray is started.
        cpus: Slots of a private Ray.
        environment: Environment variables of the workers of a private Ray.

    Raises:
        ConfigError: If the address is not one that workers can be reached by.
        ClusterError: If the cluster cannot be reached or refuses.
        EnvironmentFault: If Ray is not installed, or a private one cannot be started.
    """

    def __init__(
        self,
        address: str | None = None,
        cpus: int = 1,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.address = os.environ.get(ADDRESS_VARIABLE) or address
        if self.address is not None:
            check_head_address(self.address, _WHERE)
        self.ray = import_ray(self.address)
        self.private = False
        self._own = ExitStack()
        self._owned = not self.ray.is_initialized()
        if self._owned:
            with _own_signals(), _less_talk():
                self._join() if self.address is not None else self._start(cpus, environment or {})
        self._nodes: list[Node] = self._ask()
        self._answered = time.monotonic()
        self.hands = Hands()
        self._closing = threading.Event()
        self._watch = threading.Thread(target=self._look, daemon=True)
        self._watch.start()

    @property
    def nodes(self) -> list[Node]:
        """The living nodes as last heard of; a new list whenever they are asked for."""
        return self._nodes

    def here(self) -> str:
        """Return the id of the node that this process is connected to."""
        found: str = self.ray.get_runtime_context().get_node_id()
        return found

    def check(self) -> None:
        """Make sure that the head answers.

        Raises:
            ClusterError: If it has been silent too long.
        """
        silence = time.monotonic() - self._answered
        if silence > HEAD_PATIENCE_S:
            raise ClusterError(
                f"The head of the Ray cluster has not answered for {silence:.0f} s.",
                where=self.address or "the Ray that was started for this search",
                why="Its process ended, or the network between here and there did.",
                fix=_FIX,
            )

    def close(self) -> None:
        """Disconnect, and end a private Ray."""
        self._closing.set()
        if time.monotonic() - self._answered < 3 * WATCH_S:  # else both wait for the head
            self.hands.close()
            self._watch.join(2 * WATCH_S)
        if self._owned:
            self.ray.shutdown()
        self._own.close()

    def _join(self) -> None:
        assert self.address is not None
        _check_reachable(self.address)
        self._connect(
            lambda: self.ray.init(
                address=self.address, log_to_driver=False, configure_logging=False
            ),
            ClusterError,
            f"The Ray cluster at {self.address} cannot be joined",
            "Check that Ray and Python are of the same versions here and there, that this machine "
            "is a node of the cluster (`nas submit` needs none), and the token "
            "(RAY_AUTH_TOKEN_PATH).",
        )

    def _start(self, cpus: int, environment: Mapping[str, str]) -> None:
        # Ray lets every user of the machine write to its folder, and leaves it behind.
        folder = self._own.enter_context(scratch_folder("ray", longest=LONGEST_TMPDIR))
        self._connect(
            lambda: self.ray.init(
                address="local",
                num_cpus=cpus,
                include_dashboard=False,
                object_store_memory=OBJECT_STORE_BYTES,
                log_to_driver=False,
                configure_logging=False,
                runtime_env={"env_vars": dict(environment)},
                _temp_dir=str(folder / "r"),
            ),
            EnvironmentFault,
            "Ray cannot be started on this machine",
            "Try again, or use --executor local.",
        )
        self.private = True
        _keep_token_private()

    def _connect(
        self,
        init: Callable[[], Any],
        kind: type[ClusterError | EnvironmentFault],
        what: str,
        fix: str,
    ) -> None:
        # Whatever it is (a refused token, other versions, no raylet here), Ray has no one class.
        try:
            init()
        except Exception as error:
            with suppress(Exception):
                self.ray.shutdown()
            self._own.close()
            reason = str(error).strip().splitlines()
            raise kind(
                f"{what}: {type(error).__name__}.", why=" ".join(reason)[:600] or None, fix=fix
            ) from error

    def _ask(self) -> list[Node]:
        return [
            Node(each["NodeID"], dict(each["Resources"]))
            for each in self.ray.nodes()
            if each["Alive"]
        ]

    def _look(self) -> None:
        while not self._closing.wait(WATCH_S):
            with suppress(Exception):  # no answer: the age of the last one tells
                self._nodes = self._ask()
                self._answered = time.monotonic()


def check_cluster(address: str | None = None) -> None:
    """Find out, before anything is written, whether there is a cluster, or Ray to start one.

    Args:
        address: As of `RayLink`.

    Raises:
        EnvironmentFault: If Ray is not installed.
        ConfigError: If the address is none of a head.
        ClusterError: If nothing answers there.
    """
    import_ray(address)
    joined = os.environ.get(ADDRESS_VARIABLE) or address
    if joined:
        check_head_address(joined, _WHERE)
        _check_reachable(joined)


def _check_reachable(address: str) -> None:
    # Ray itself tries for a minute before it says so.
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_S).close()
    except (OSError, OverflowError, UnicodeError) as error:
        raise ClusterError(
            f"The Ray cluster at {address} cannot be reached.",
            where=_WHERE,
            why=f"{type(error).__name__}: {error}",
            fix=_FIX,
        ) from error


def _keep_token_private() -> None:
    # Ray writes it for every user of the machine to read.
    token = Path.home() / ".ray" / "auth_token"
    with suppress(OSError):
        if token.stat().st_uid == os.getuid():
            token.chmod(0o600)


@contextmanager
def _less_talk() -> Iterator[None]:
    # What Ray says while it starts is about Ray; what fails is an error of ours.
    logger = logging.getLogger("ray")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


@contextmanager
def _own_signals() -> Iterator[None]:
    """Put back what handles signals: Ray's own handler would end a search without its state."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, before[number] or signal.SIG_DFL)
