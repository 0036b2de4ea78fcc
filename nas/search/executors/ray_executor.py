"""Ray actors behind the contract of executors: on a cluster that runs, or on a Ray of its own.

The driver keeps what is to be done and what came of it; Ray carries jobs to actors and tells when
one is gone. Nothing of a search lives in Ray, no actor outlives its driver, and Ray tries nothing
again by itself: so a lost cluster costs the jobs under way and no more.
"""

from __future__ import annotations

import logging
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterable
from typing import Final, final

from nas.errors import ClusterError, EnvironmentFault, NasError
from nas.search.executors.base import EXECUTORS, AbstractExecutor, Feed, Job, Outcome, Setup
from nas.search.executors.ray_crew import MOST_FAILED_STARTS, Crew
from nas.search.executors.ray_link import ADDRESS_VARIABLE, RayLink, import_ray

POLL_S: Final = 0.1
START_PATIENCE_S: Final = 600.0
SETTLE_PATIENCE_S: Final = 120.0
ROOM_PATIENCE_S: Final = 60.0
"""How long a search waits for a node when none is left that its workers fit on, in seconds."""

_log = logging.getLogger("nas")


@EXECUTORS.register("ray")
@final
class RayExecutor(AbstractExecutor):
    """Reused actors on one machine or many.

    Args:
        workers: Actors; None takes as many as fit on the nodes, at any time.
        address: `host:port` of a cluster's head. `RAY_ADDRESS` of the environment comes first;
            where neither is set, a Ray is started on this machine.
        threads: Threads of a worker, to count by how many fit before one is prepared.

    Raises:
        ConfigError: If the address is not one of a head.
        ClusterError: If the cluster cannot be reached.
        EnvironmentFault: If Ray is not installed.
    """

    def __init__(
        self, workers: int | None = 1, address: str | None = None, threads: int = 1
    ) -> None:
        super().__init__(workers or 1)
        self._as_many_as_fit = workers is None
        self._search = secrets.token_hex(6)
        self._address = address
        self._link: RayLink | None = None
        self._crews: dict[bool, Crew] = {}
        self._crew: Crew | None = None
        self._seen: object = None
        self._next_look = 0.0
        self._helpless_since: float | None = None
        import_ray(address)  # so that its absence is told before anything is written
        if workers is None:  # who packs jobs for the workers asks how many there are
            nodes = self._connect(threads).nodes
            self.workers = max(1, sum(node.fits({"CPU": float(threads)}) for node in nodes))

    def prepare(self, setup: Setup) -> None:
        """Start actors where they are missing; return when the first has made the task."""
        link = self._connect(setup.threads)
        if self._crew is not None and self._crew.setup.alone != setup.alone:
            self.settle()  # who works alone is not disturbed by others that still start
        crew = self._crew_for(link, setup)
        self._crew = crew
        crew.forget_lost()
        self._check_room(crew)
        crew.fill()
        self._next_look, self._helpless_since = 0.0, None
        try:
            while not crew.idle:
                self._collect(crew)
        except NasError:
            crew.setup = _nothing(setup)  # whoever asks for it again is told again
            raise

    def run(
        self,
        jobs: Iterable[Job],
        on_outcome: Callable[[Outcome], None],
        should_stop: Callable[[], bool] = lambda: False,
        grace_s: float = 20.0,
    ) -> bool:
        """Run the jobs on all actors, also on those that join meanwhile."""
        crew = self._crew
        assert crew is not None, "prepare comes first"
        feed = Feed(jobs)
        stopped_at: float | None = None
        while True:
            if stopped_at is None and should_stop():
                stopped_at = time.monotonic()
            if stopped_at is None:
                _hand_out(feed, crew)
                if feed.ended and not crew.busy:
                    return True
            elif not crew.busy or time.monotonic() - stopped_at > grace_s:
                complete = feed.ended and not crew.busy
                crew.abandon()
                return complete
            for done in self._collect(crew):
                on_outcome(done)

    def settle(self) -> None:
        """Wait until every worker that has a place is ready."""
        crew = self._crew
        if crew is None:
            return
        patience = time.monotonic() + SETTLE_PATIENCE_S
        while crew.starting():
            ready = len(crew.members) + crew.ordered - crew.starting()
            if ready >= min(crew.wanted(), crew.capacity()):
                return  # the rest has no node to start on
            if time.monotonic() > patience:
                _log.warning("%d workers wait for a place on the cluster", crew.starting())
                return
            self._collect(crew)

    def process_ids(self) -> list[int]:
        """Return the actors' processes on this machine."""
        if self._link is None or self._crew is None:
            return []
        here = self._link.here()
        return [each.process for each in self._crew.members if each.node == here]

    @property
    def most_workers(self) -> int | None:
        """How many workers were asked for; None for as many as fit."""
        return None if self._as_many_as_fit else self.workers

    def make_room(self, setup: Setup) -> RayLink:
        """End the actors, whose places other work of this search needs; return the connection."""
        link = self._connect(setup.threads)
        crews, self._crews, self._crew = self._crews, {}, None
        for crew in crews.values():
            crew.close()
        return link

    def close(self) -> None:
        """End the actors, and Ray if it was started here."""
        link, self._link = self._link, None
        crews, self._crews, self._crew = self._crews, {}, None
        if link is None:
            return
        for crew in crews.values():
            crew.close()
        link.close()

    def _connect(self, threads: int) -> RayLink:
        if self._link is None:
            self._link = RayLink(self._address, self.workers, worker_environment(threads))
        self._link.check()
        return self._link

    def _crew_for(self, link: RayLink, setup: Setup) -> Crew:
        """Return the crew for a setup, told to make its task unless it has."""
        needs = needs_of(setup, link.private)
        crew = self._crews.get(setup.alone)
        if crew is not None and dict(crew.needs) != needs:
            crew.close()
            crew = None
        if crew is None:
            environment = worker_environment(setup.threads)
            crew = Crew(link, self._search, setup, needs, lambda: 0, environment)
            crew.wanted = lambda: self._wanted(crew)
            self._crews[setup.alone] = crew
        elif crew.setup != setup:
            crew.assign(setup)
        return crew

    def _wanted(self, crew: Crew) -> int:
        if crew.setup.alone:
            return min(1, crew.capacity())
        if self._as_many_as_fit:
            self.workers = max(1, crew.capacity())
            return crew.capacity()
        return self.workers

    def _collect(self, crew: Crew) -> list[Outcome]:
        """Wait a moment; return what came, and what was lost to time."""
        found = crew.collect(POLL_S)
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + POLL_S
            found += crew.end_overdue()
            self._look(crew, now)
        return found

    def _look(self, crew: Crew, now: float) -> None:
        """Follow the nodes that came and went."""
        assert self._link is not None
        self._link.check()
        if self._link.nodes is not self._seen:
            self._seen = self._link.nodes
            crew.forget_lost()
        crew.fill()
        if crew.idle or crew.busy:
            self._helpless_since = None
        elif self._helpless_since is None:
            self._helpless_since = now
        else:
            self._check_hope(crew, now - self._helpless_since)

    def _check_hope(self, crew: Crew, waited_s: float) -> None:
        """Give up when no worker is there and none is to be expected."""
        assert self._link is not None
        if not crew.capacity() and waited_s > ROOM_PATIENCE_S:
            raise ClusterError(
                "No node is left in the Ray cluster that has room for a worker.",
                where=self._link.address or "the Ray that was started for this search",
                why=f"None came in {ROOM_PATIENCE_S:.0f} s. A worker needs {_told(crew)}.",
                fix="Add nodes to the cluster. What was recorded is not run again.",
            )
        given_up = crew.failed_starts >= MOST_FAILED_STARTS or crew.refusal is not None
        if waited_s > START_PATIENCE_S or (given_up and not crew.starting()):
            raise crew.refusal or _not_ready(waited_s)

    def _check_room(self, crew: Crew) -> None:
        assert self._link is not None
        room = crew.capacity()
        if room:
            if room < crew.wanted() and not crew.members:
                told = "%d of %d workers have room on the nodes; the others wait for more"
                _log.warning(told, room, crew.wanted())
            return
        largest = [dict(node.resources) for node in self._link.nodes]
        raise EnvironmentFault(
            f"No node of the Ray cluster has room for a worker, which needs {_told(crew)}.",
            where="executor.gpus_per_worker, executor.resources, executor.memory_gib, "
            "search.threads_per_evaluation",
            why=f"The nodes have {largest}."[:500],
            fix="Ask for less, or add a node that has it.",
        )


def joins_cluster(address: str | None) -> bool:
    """Tell whether a cluster is joined, given the config's address, or a Ray started here."""
    return bool(os.environ.get(ADDRESS_VARIABLE) or address)


def needs_of(setup: Setup, private: bool) -> dict[str, float]:
    """Return what Ray sets aside for a worker.

    Args:
        setup: What the worker prepares.
        private: Whether Ray was started for this search: then a CPU is a slot, as it is for local
            workers, and the machine is shared by as many as were asked for.
    """
    needs: dict[str, float] = {}
    if not setup.alone:  # who works alone works while the others rest on their CPUs
        needs["CPU"] = 1.0 if private else float(setup.threads)
    if setup.gpus:
        needs["GPU"] = setup.gpus
    if setup.memory_gib is not None:
        needs["memory"] = float(int(setup.memory_gib * 2**30))
    return {**needs, **setup.resources}


def worker_environment(threads: int) -> dict[str, str]:
    """Return the environment variables of a worker's process."""
    return {
        # What the driver can import, the worker can: a plugin beside a script, a checkout.
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path) or ".",
        "OMP_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "passive",
    }


def _hand_out(feed: Feed, crew: Crew) -> None:
    while crew.idle:
        job = feed.take()
        if job is None:
            return
        crew.start(job)


def _nothing(setup: Setup) -> Setup:
    return Setup("", {}, alone=setup.alone)


def _told(crew: Crew) -> str:
    return ", ".join(f"{amount:g} {name}" for name, amount in crew.needs.items())


def _not_ready(patience_s: float) -> EnvironmentFault:
    return EnvironmentFault(
        f"No worker of the Ray cluster was ready after {patience_s:.0f} s.",
        why="Its nodes may be busy with the work of others, or cannot read the data.",
        fix="Look with `ray status`, and try fewer --workers.",
    )
