"""Several jobs in one call of a worker, so that what they have in common is computed once.

A wrapper around any executor: it packs jobs into calls and tells their outcomes one by one, so
neither executors nor their callers know of calls. A call that comes back without its answers (its
worker died, its time ended, memory ran out) says nothing about its members: each is run again in a
call of its own, and only the one at fault fails. A task that has a method `together` answers a call
at once, each answer equal to the last bit to that of a call of its own; others go one by one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol, cast, final, runtime_checkable

from nas.errors import TrialError
from nas.search.executors.base import (
    AbstractExecutor,
    Feed,
    Job,
    Outcome,
    Setup,
    Task,
    make_task,
    outcome,
    perform,
)

CALL_TASK: Final = "nas.search.executors.grouping:call_task"
_FACTORY: Final = "factory of members"
_MEMBERS: Final = "members"
_HALVED_BY: Final = ("timeout", "oom")
"""Failures of a call that fewer members may avoid."""

CALL_S: Final = 5.0
"""About how long a call may take, in seconds: so much work is lost where a search is killed."""


@runtime_checkable
class SharingTask(Protocol):
    """A task that answers several payloads at once."""

    def __call__(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Answer one payload."""

    def together(self, payloads: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return what `perform` would return for each payload."""


@final
class GroupingExecutor(AbstractExecutor):
    """Runs jobs on another executor, several per call; closing it closes that one.

    Args:
        executor: Runs the calls.
        members_per_call: Most jobs of one call, at least 1.
    """

    def __init__(self, executor: AbstractExecutor, members_per_call: int) -> None:
        super().__init__(executor.workers)
        self._executor = executor
        self._size = CallSize(members_per_call)

    def prepare(self, setup: Setup) -> None:
        """Prepare the workers for calls of several jobs."""
        arguments = {**setup.arguments, _FACTORY: setup.factory}
        self._executor.prepare(
            replace(setup, factory=CALL_TASK, arguments=arguments, members_per_call=1)
        )

    def run(
        self,
        jobs: Iterable[Job],
        on_outcome: Callable[[Outcome], None],
        should_stop: Callable[[], bool] = lambda: False,
        grace_s: float = 20.0,
    ) -> bool:
        """Run the jobs in calls of several."""
        calls = _Calls(Feed(jobs), on_outcome, self._size)
        while True:
            if not self._executor.run(calls.feed(), calls.take, should_stop, grace_s):
                return False
            if not calls.alone:
                return True

    def settle(self) -> None:
        """Wait until no worker is still starting."""
        self._executor.settle()

    def process_ids(self) -> list[int]:
        """Return the workers' processes."""
        return self._executor.process_ids()

    def close(self) -> None:
        """End the workers."""
        self._executor.close()


@final
class CallSize:
    """How many jobs a call has: fewer where jobs are slow, or too many were at fault together.

    Args:
        most: At most so many.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._slowest_s = 0.0

    @property
    def jobs(self) -> int:
        """Jobs of the next call."""
        in_time = CALL_S / self._slowest_s if self._slowest_s else self._most
        return max(1, min(self._most, int(in_time)))

    def took(self, seconds: float, jobs: int) -> None:
        """Note how long a call took."""
        self._slowest_s = max(self._slowest_s, seconds / jobs)

    def was_too_many(self, jobs: int) -> None:
        """Note that a call of so many ran out of time or memory."""
        self._most = max(1, min(self._most, jobs) // 2)


@final
class _Calls:
    """The calls of one run.

    Args:
        jobs: What to run.
        on_outcome: Told the outcome of each job.
        size: Says how many jobs a call has.
    """

    def __init__(self, jobs: Feed, on_outcome: Callable[[Outcome], None], size: CallSize) -> None:
        self.alone: deque[Job] = deque()
        self._jobs = jobs
        self._on_outcome = on_outcome
        self._size = size
        self._under_way: dict[str, list[Job]] = {}

    def feed(self) -> Iterator[Job]:
        """Yield calls; what a lost call leaves behind comes first, one by one."""
        while True:
            if self.alone:
                yield self._note([self.alone.popleft()])
                continue
            members = self._members()
            if members:
                yield self._note(members)
            elif not self.alone:
                return

    def _members(self) -> list[Job]:
        found: list[Job] = []
        most = self._size.jobs
        while len(found) < most and (job := self._jobs.take()) is not None:
            if job.apart or job.keeps is not None:  # a folder belongs to a call of its own
                self.alone.append(job)
                break
            found.append(job)
        return found

    def _note(self, members: list[Job]) -> Job:
        self._under_way[members[0].key] = members
        if len(members) == 1:
            return members[0]
        return Job(members[0].key, {_MEMBERS: [dict(each.payload) for each in members]})

    def take(self, done: Outcome) -> None:
        """Tell the outcomes of a call's members, or let each have a call of its own."""
        members = self._under_way.pop(done.key)
        if len(members) == 1:
            self._on_outcome(done)
        elif done.result is None:
            if done.reason in _HALVED_BY:
                self._size.was_too_many(len(members))
            self.alone.extend(members)
        else:
            self._size.took(done.seconds, len(members))
            for job, answer in zip(members, done.result["answers"], strict=True):
                self._on_outcome(outcome(job.key, answer))


def call_task(arguments: dict[str, Any]) -> Task:
    """Return the task that runs calls of one or of several jobs.

    Args:
        arguments: Those of the members' task, and its factory.
    """
    own = {name: value for name, value in arguments.items() if name != _FACTORY}
    task = make_task(str(arguments[_FACTORY]), own)

    def call(payload: dict[str, Any]) -> dict[str, Any]:
        if _MEMBERS not in payload:
            return task(payload)
        members = cast(list[Mapping[str, Any]], payload[_MEMBERS])
        if isinstance(task, SharingTask):
            answers = task.together([dict(each) for each in members])
        else:
            answers = [perform(task, each) for each in members]
        for answer in answers:
            if answer.get("reason") == "died":  # and those after it had no chance
                raise TrialError(str(answer["message"]), kind="died")
        return {"answers": answers}

    return call
