"""The actors of one kind of work: as many as are wanted and fit, wherever nodes come and go.

An actor is started once and given one task after another. One that dies, or whose node is lost, is
replaced where there is room; whoever is not placed yet is no worker, and the others work on.
"""

from __future__ import annotations

import json
import logging
import queue
import re
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, final

import nas
from nas.errors import EnvironmentFault, NasError
from nas.run_store.layout import WEIGHTS
from nas.run_store.weights import WeightStore
from nas.search.executors.base import Job, Outcome, Setup, outcome, payload_of, rebuild_error
from nas.search.executors.ray_link import RayLink
from nas.search.executors.ray_worker import Evaluator, to_json

MOST_FAILED_STARTS: Final = 3
LEAVE_S: Final = 2.0
MANY: Final = 16
"""Answers that are waited for from which on it pays to ask at once for all that have come."""

_DETAIL: Final = re.compile(r"Worker exit detail: (.*?)(?: Some common causes| If the process|$)")
_NODE_GONE: Final = re.compile(r"node has died|node was preempted|node is dead", re.IGNORECASE)

_log = logging.getLogger("nas")


@final
@dataclass(eq=False, slots=True)
class Member:
    """One actor as the driver sees it.

    Args:
        handle: Ray's handle.
        node: Id of its node; empty until it is ready.
        process: Its process id there.
        work: The method that runs a job.
        job: What it works on.
        since: When that began, of the monotonic clock.
        told: Reference to the answer of its last setup until that came.
    """

    handle: Any
    node: str = ""
    process: int = 0
    work: Any = None
    job: Job | None = None
    since: float = 0.0
    told: Any = None


@final
@dataclass
class Crew:
    """Actors with the same needs.

    Args:
        link: The connection.
        search: Token of this search; names what it lays down on nodes.
        setup: What they prepare.
        needs: What Ray sets aside for each, by its names.
        wanted: How many there should be, given the nodes.
        environment: Environment variables of their processes.
    """

    link: RayLink
    search: str
    setup: Setup
    needs: Mapping[str, float]
    wanted: Callable[[], int]
    environment: Mapping[str, str]
    members: list[Member] = field(default_factory=list)
    waits: dict[Any, Member] = field(default_factory=dict)
    idle: deque[Member] = field(default_factory=deque)
    weights: dict[str, Any] = field(default_factory=dict)
    arrived: queue.SimpleQueue[Member | Exception] = field(default_factory=queue.SimpleQueue)
    ordered: int = 0
    actor: Any = None
    busy: int = 0
    failed_starts: int = 0
    refusal: NasError | None = None

    def capacity(self) -> int:
        """Return how many members the nodes have room for, if nobody else uses them."""
        return sum(node.fits(self.needs) for node in self.link.nodes)

    def starting(self) -> int:
        """Return how many members have not said yet whether they can do the task."""
        return self.ordered + sum(member.told is not None for member in self.members)

    def assign(self, setup: Setup) -> None:
        """Let all members make the task of another setup with the same needs."""
        self.setup = setup
        self.failed_starts, self.refusal = 0, None
        self.idle.clear()
        for member in self.members:
            self._tell(member)

    def fill(self) -> None:
        """Start as many actors as are missing."""
        missing = self.wanted() - len(self.members) - self.ordered
        if missing <= 0 or self.failed_starts >= MOST_FAILED_STARTS:
            return
        for _ in range(missing):
            self.ordered += 1
            self.link.hands.do(self._make)

    def _make(self) -> None:
        try:
            if self.actor is None:
                options = _options(self.needs, self.environment)
                self.actor = self.link.ray.remote(**options)(Evaluator)
            self.arrived.put(Member(self.actor.remote()))
        except Exception as error:
            self.arrived.put(error)

    def _receive(self, timeout_s: float = 0.0) -> None:
        """Tell actors that were made what to prepare."""
        with suppress(queue.Empty):
            while True:
                made = (
                    self.arrived.get(timeout=timeout_s) if timeout_s else self.arrived.get_nowait()
                )
                timeout_s, self.ordered = 0.0, self.ordered - 1
                if isinstance(made, Exception):
                    raise EnvironmentFault(
                        f"Ray makes no worker: {_first_line(made)}",
                        fix="Ask for fewer workers or less memory: --workers 1",
                    ) from made
                self.members.append(made)
                self._tell(made)

    def start(self, job: Job) -> None:
        """Give a job to a member that is idle."""
        member = self.idle.popleft()
        member.job = job
        member.since = time.monotonic()
        self.busy += 1
        if job.keeps is None:
            reference = member.work.remote(to_json(payload_of(job)))
        else:
            reference = member.handle.work_and_keep.remote(to_json(job.payload))
        self.waits[reference] = member

    def collect(self, timeout_s: float) -> list[Outcome]:
        """Wait until something comes, at most so long; return the outcomes among it.

        Raises:
            NasError: What the factory raised, if no member could make the task.
            EnvironmentFault: If members cannot be started.
        """
        if self.ordered or not self.waits:
            self._receive(0.0 if self.waits else timeout_s)
        if not self.waits:
            return []
        wait, references = self.link.ray.wait, list(self.waits)
        came, _ = wait(references, num_returns=1, timeout=timeout_s)
        if came and len(references) >= MANY:
            came, _ = wait(references, num_returns=len(references), timeout=0)
        found: list[Outcome] = []
        for reference in came:
            member = self.waits.pop(reference)
            if member.job is not None:
                found.append(self._finish(member, member.job, reference))
            elif reference == member.told:
                self._begin(member, reference)
        return found

    def end_overdue(self) -> list[Outcome]:
        """End the members whose job takes too long; return the outcomes."""
        limit, now = self.setup.timeout_s, time.monotonic()
        found = []
        for member in [each for each in self.waits.values() if each.job is not None]:
            if member.job is not None and now - member.since > limit:
                message = f"It took longer than {limit:g} s and was ended."
                found.append(Outcome(member.job.key, None, "timeout", message, now - member.since))
                self.drop(member)
        return found

    def forget_lost(self) -> None:
        """Drop the idle members whose node is gone: a job given to them would be lost at once."""
        living = {node.key for node in self.link.nodes}
        for member in list(self.idle):
            if member.node not in living:
                self.drop(member)

    def drop(self, member: Member) -> None:
        """End a member, whatever it does."""
        self.members.remove(member)
        for reference in [each for each, own in self.waits.items() if own is member]:
            del self.waits[reference]
        if member in self.idle:
            self.idle.remove(member)
        if member.job is not None:
            self.busy -= 1
            member.job = None
        self.link.hands.do(lambda: self.link.ray.kill(member.handle))

    def abandon(self) -> None:
        """End the members that have a job."""
        for member in [each for each in self.members if each.job is not None]:
            self.drop(member)

    def close(self) -> None:
        """End all members, and remove what they laid down on their nodes."""
        ready = [each for each in self.members if each.process and not each.job and not each.told]
        leaving = [each.handle.leave.remote() for each in ready] if self.weights else []
        if leaving:
            self.link.ray.wait(leaving, num_returns=len(leaving), timeout=LEAVE_S)
        for member in list(self.members):
            self.drop(member)
        self.link.hands.do(self._kill_arrived)
        self.weights.clear()

    def _kill_arrived(self) -> None:
        with suppress(queue.Empty):
            while True:
                made = self.arrived.get_nowait()
                if isinstance(made, Member):
                    self.link.ray.kill(made.handle)

    def _tell(self, member: Member) -> None:
        setup = self.setup
        for sha in setup.weights:
            if sha not in self.weights:
                self.weights[sha] = self._publish(setup, sha)
        order = {
            "version": nas.__version__,
            "search": self.search,
            "factory": setup.factory,
            "arguments": dict(setup.arguments),
            "threads": setup.threads,
            "memory_gib": setup.memory_gib,
            "fingerprint": setup.fingerprint,
            "weights": list(setup.weights),
        }
        files = [self.weights[sha] for sha in setup.weights]
        member.told = member.handle.set_up.remote(to_json(order), *files)
        self.waits[member.told] = member

    def _publish(self, setup: Setup, sha: str) -> Any:
        """Put a file of weights where every node fetches it once."""
        store = WeightStore(Path(setup.arguments["run"]) / WEIGHTS, writable=False)
        return self.link.ray.put(store.get_bytes(sha))

    def _begin(self, member: Member, reference: Any) -> None:
        """Take the answer to a setup."""
        try:
            told = json.loads(self.link.ray.get(reference))
        except self.link.ray.exceptions.RayError as error:
            self._bury(member, error)
            return
        member.told, member.node, member.process = None, told["node"], told["pid"]
        if told["error"] is None:
            member.work = member.handle.work
            self.failed_starts = 0
            self.idle.append(member)
            return
        self.refusal = rebuild_error(told["error"])
        self._check_any()
        _log.warning("a worker of the cluster is left out: %s", self.refusal.what)

    def _check_any(self) -> None:
        """One node that cannot do the task costs its workers; all that cannot cost the search."""
        placed = len(self.members) + self.ordered - self.starting()
        if self.refusal and not (self.idle or self.busy) and placed >= self.capacity():
            raise self.refusal
        if self.refusal and not self.starting() and not (self.idle or self.busy):
            raise self.refusal

    def _bury(self, member: Member, error: Exception) -> None:
        """Note that a member ended before it had a job to do."""
        reason, message = why_gone(self.link.ray, error)
        self.drop(member)
        if reason == "lost":
            return
        _log.warning("a worker of the cluster did not start: %s", message)
        self.failed_starts += 1
        if self.failed_starts >= MOST_FAILED_STARTS and not (self.busy or self.idle):
            raise EnvironmentFault(
                f"A worker process could not be kept up: {message}",
                why="It ended before it had a job to do, as did those before it.",
                fix="Try fewer --workers, or look at the message above.",
            )

    def _finish(self, member: Member, job: Job, reference: Any) -> Outcome:
        try:
            found = self.link.ray.get(reference)
        except self.link.ray.exceptions.RayError as error:
            reason, message = why_gone(self.link.ray, error)
            seconds = time.monotonic() - member.since
            self.drop(member)
            return Outcome(job.key, None, reason, message, seconds)
        if job.keeps is not None:
            found, files = found
            store = WeightStore(Path(job.keeps) / WEIGHTS)
            for data in files.values():
                store.put_bytes(data)
        done = outcome(job.key, json.loads(found))
        if done.reason == "died":  # it said that it is of no use any more
            self.drop(member)
            return done
        member.job = None
        self.busy -= 1
        self.idle.append(member)
        return done


def why_gone(ray: Any, error: Exception) -> tuple[str, str]:
    """Return reason and message of a job whose worker gave no answer."""
    kinds = ray.exceptions
    text = " ".join(str(error).split())
    if isinstance(error, kinds.OutOfMemoryError):
        return "oom", f"The node ran out of memory, and Ray ended the worker. {text[:300]}"
    if isinstance(error, kinds.RayTaskError):
        return "crash", _first_line(error)
    if isinstance(error, kinds.ActorDiedError) and not _NODE_GONE.search(text):
        found = _DETAIL.search(text)
        return "died", f"The worker process ended. {found.group(1) if found else text[:300]}"
    return "lost", f"The node of the worker, or the way to it, is gone. {text[:300]}"


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:300]}"


def _options(needs: Mapping[str, float], environment: Mapping[str, str]) -> dict[str, Any]:
    """Return needs as Ray's options for an actor that is never restarted behind our back."""
    rest = {key: value for key, value in needs.items() if key not in ("CPU", "GPU", "memory")}
    return {
        "num_cpus": needs.get("CPU", 0),
        "num_gpus": needs.get("GPU", 0),
        **({"memory": needs["memory"]} if "memory" in needs else {}),
        **({"resources": rest} if rest else {}),
        "max_restarts": 0,
        "max_task_retries": 0,
        "scheduling_strategy": "SPREAD",
        "runtime_env": {"env_vars": dict(environment)},
    }
