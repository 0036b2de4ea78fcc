"""A Ray head on this machine: it listens on the loopback only, and every request needs its token.

Ray's own `ray start` listens on all interfaces without a token, and whoever reaches it can run code
as the user. Here the head has a folder and ports of its own, so that any number of other Rays may
run beside it, and ending it ends what was started for it and nothing else.
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import importlib.util
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, final

from nas.cluster.http import Answer, Endpoint
from nas.cluster.keeper import HEAD_LOG, read_processes
from nas.cluster.places import make_private, short_temporary_folder, state_folder
from nas.cluster.processes import Process, descendants, end, process
from nas.errors import ClusterError, EnvironmentFault
from nas.run_store.atomic import write_json, write_text
from nas.run_store.lease import boot_id

SCHEMA: Final = "nas.cluster/1"
OLDEST_RAY: Final = (2, 54)
"""The first version of Ray whose token covers all that listens."""

OBJECT_STORE_BYTES: Final = 1 << 29
START_PATIENCE_S: Final = 120.0
_END_PATIENCE_S: Final = 40.0
_ATTEMPTS: Final = 3
_POLL_S: Final = 0.25
_LOCALHOST: Final = "127.0.0.1"


@final
@dataclass(frozen=True)
class LocalHead:
    """A head as its state file tells of it.

    Args:
        address: URL of its dashboard and job server.
        folder: Its own folder, of mode 0700, removed at its end.
        keeper: The process above all of its processes.
        machine: Start of the machine it belongs to.
        since: UTC, ISO 8601.
        ray: Version of Ray.
    """

    address: str
    folder: Path
    keeper: Process
    machine: str
    since: str
    ray: str

    @property
    def token_file(self) -> Path:
        """File of mode 0600 with the token."""
        return self.folder / "token"

    def endpoint(self) -> Endpoint:
        """Return the way to it, with its token."""
        return Endpoint(self.address, read_token(self.token_file))

    def is_alive(self) -> bool:
        """Tell whether its keeper runs; a restarted machine has other processes."""
        return self.machine == boot_id() and self.keeper.is_alive()


def read_token(path: Path) -> str:
    """Return the token in a file.

    Raises:
        EnvironmentFault: If it cannot be read, or is no token.
    """
    try:
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError) as error:
        raise EnvironmentFault(
            "The token of the cluster cannot be read.",
            where=str(path),
            why=str(error),
            fix="Give the file that holds it: --token-file FILE.",
        ) from error
    return check_token(text, str(path))


def check_token(text: str, where: str) -> str:
    """Return a token as it was given.

    Raises:
        EnvironmentFault: If it is none; it is not shown.
    """
    if not re.fullmatch(r"[\x21-\x7e]{8,4096}", text):
        raise EnvironmentFault(
            f"{where} holds no token: a token is one word of 8 or more printable characters.",
            where="--token-file",
            fix="Give the file that holds it: --token-file FILE.",
        )
    return text


def local_head() -> LocalHead | None:
    """Return the head that was started here and not ended, alive or not."""
    try:
        found = json.loads(_state_file().read_bytes())
        return LocalHead(
            address=str(found["address"]),
            folder=Path(found["folder"]),
            keeper=Process(int(found["keeper"]["pid"]), str(found["keeper"]["started"])),
            machine=str(found["machine"]),
            since=str(found["since"]),
            ray=str(found["ray"]),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EnvironmentFault(
            f"The note on the local cluster is damaged: {type(error).__name__}: {error}.",
            where=str(_state_file()),
            fix="Look with `ps -ef | grep nas.cluster.keeper` whether one runs, end it, and "
            "delete the file.",
        ) from error


def start_head(*, cpus: int | None = None, gpus: int = 0) -> tuple[LocalHead, bool]:
    """Start a head, unless one runs; return it, and whether it is new.

    Args:
        cpus: CPU slots that jobs share; None takes the machine's.
        gpus: GPU slots.

    Raises:
        EnvironmentFault: If Ray is missing or older than 2.54.
        ClusterError: If the head does not come up; what it said is in the message.
    """
    version = check_ray()
    with _one_at_a_time():
        found = local_head()
        if found is not None and found.is_alive():
            return found, False
        if found is not None:
            _clear(found)
        for attempt in range(_ATTEMPTS):
            head = _launch(version, cpus, gpus)
            try:
                _await(head)
            except ClusterError:
                _end_and_clear(head)
                if attempt == _ATTEMPTS - 1:
                    raise
            except BaseException:
                _end_and_clear(head)
                raise
            else:
                return head, True
    raise AssertionError("unreachable")


def end_head() -> LocalHead | None:
    """End the head that was started here; return it, None if there was none.

    Raises:
        ClusterError: If a process of it would not go.
    """
    with _one_at_a_time():
        head = local_head()
        if head is not None:
            _end_and_clear(head)
        return head


def check_ray() -> str:
    """Return the version of Ray.

    Raises:
        EnvironmentFault: If it is missing, older than 2.54, or without its job server.
    """
    try:
        version = importlib.metadata.version("ray")
    except importlib.metadata.PackageNotFoundError:
        raise EnvironmentFault(
            "Ray is not installed.", fix="pip install 'nas[ray]' (or make install)."
        ) from None
    refuse_old_ray(version, "this machine")
    if importlib.util.find_spec("aiohttp_cors") is None:
        raise EnvironmentFault(
            "Ray is installed without its job server.",
            why="ray[tune] alone cannot take jobs.",
            fix="pip install 'ray[default]'.",
        )
    return version


def refuse_old_ray(version: str, where: str) -> None:
    """Refuse a Ray whose token does not protect it.

    Raises:
        EnvironmentFault: If the version is below 2.54.
    """
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if numbers < OLDEST_RAY:
        raise EnvironmentFault(
            f"Ray {version} is too old: at least {'.'.join(map(str, OLDEST_RAY))} is needed.",
            where=where,
            why="Before it, a token does not close everything that listens.",
            fix="Update Ray: pip install -U 'ray[default]'.",
        )


def log_tail(head: LocalHead, lines: int = 12) -> str:
    """Return the end of what the head said."""
    with suppress(OSError):
        text = (head.folder / HEAD_LOG).read_text(errors="replace")
        return "\n".join(re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()[-lines:])
    return ""


def _launch(version: str, cpus: int | None, gpus: int) -> LocalHead:
    folder = short_temporary_folder()
    head_port = _free_port()
    address = f"http://{_LOCALHOST}:{head_port}"
    write_text(folder / "token", secrets.token_hex(32) + "\n")
    keeper = subprocess.Popen(
        [
            *(sys.executable, "-m", "nas.cluster.keeper", str(folder)),
            *_ray_command(folder, head_port, cpus or _cores(), gpus),
        ],
        env=_environment(folder),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    itself = process(keeper.pid) or Process(keeper.pid, "")
    since = datetime.now(UTC).isoformat(timespec="seconds")
    head = LocalHead(address, folder, itself, boot_id(), since, version)
    try:
        write_json(_state_file(), {"schema": SCHEMA, **asdict(head), "folder": str(folder)})
    except BaseException:  # nobody would know of it
        _end_and_clear(head)
        raise
    return head


def _ray_command(folder: Path, port: int, cpus: int, gpus: int) -> list[str]:
    options: dict[str, Any] = {
        "node-ip-address": _LOCALHOST,
        "port": 0,
        "dashboard-host": _LOCALHOST,
        "dashboard-port": port,
        "dashboard-agent-listen-port": 0,
        "ray-client-server-port": _free_port(),
        "min-worker-port": 0,
        "max-worker-port": 0,
        "num-cpus": cpus,
        "num-gpus": gpus,
        "object-store-memory": OBJECT_STORE_BYTES,
        "temp-dir": folder / "r",
        "include-log-monitor": False,
    }
    words = [f"--{name}={value}" for name, value in options.items()]
    return [
        *(sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"),
        *("--no-monitor", "--disable-usage-stats", *words),
    ]


def _environment(folder: Path) -> dict[str, str]:
    """Return what the head, and every job on it, inherits."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    # `python` in a job is this interpreter, whose packages are those of who starts the head.
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', os.defpath)}"
    return {
        **kept,
        "PATH": path,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(folder / "token"),
        "RAY_USAGE_STATS_ENABLED": "0",
        # Despite its name: without it Ray turns a loopback address into the machine's own, and
        # listens on every interface.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "DASHBOARD_METRIC_PORT": str(_free_port()),
    }


def _await(head: LocalHead) -> None:
    """Wait until the head takes jobs, and make sure that it takes none without the token."""
    deadline = time.monotonic() + START_PATIENCE_S
    endpoint = head.endpoint()
    while True:
        answer = _ask(endpoint)
        if answer is not None and answer.status == 200:
            break
        if not head.keeper.is_alive() or time.monotonic() > deadline:
            raise ClusterError(
                "The local head did not come up.",
                where=str(head.folder / HEAD_LOG),
                why=log_tail(head) or f"It said nothing in {START_PATIENCE_S:.0f} s.",
                fix="Look at the reason, then try again: nas cluster up",
            )
        time.sleep(_POLL_S)
    if Endpoint(head.address, None).request("GET", "/api/jobs/").status != 401:
        raise ClusterError(
            "The local head answers without its token, so it was ended.",
            where=head.address,
            fix="Check that no RAY_AUTH_MODE of yours is set in a site-wide file.",
        )


def _ask(endpoint: Endpoint) -> Answer | None:
    with suppress(ClusterError):
        return endpoint.request("GET", "/api/jobs/", timeout_s=5.0)
    return None


def _end_and_clear(head: LocalHead) -> None:
    """End what runs, in order: the keeper, which ends all below it, then whatever is left."""
    if head.machine == boot_id():
        known = [Process(pid, started) for pid, started in read_processes(head.folder)]
        if head.keeper.is_alive():
            known += descendants(head.keeper.pid)
            end([head.keeper], _END_PATIENCE_S)
        left = end(set(known), 2.0)
        if left:
            raise ClusterError(
                f"Processes of the local head would not end: {[each.pid for each in left]}.",
                where=head.address,
                fix="End them by hand, then type again: nas cluster down",
            )
    _clear(head)


def _clear(head: LocalHead) -> None:
    shutil.rmtree(head.folder, ignore_errors=True)
    _state_file().unlink(missing_ok=True)


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Let one process at a time start or end the head."""
    lock = make_private(state_folder()) / "cluster.lock"
    with lock.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _state_file() -> Path:
    return state_folder() / "cluster.json"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_LOCALHOST, 0))
        return int(probe.getsockname()[1])


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
