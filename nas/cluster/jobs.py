"""Jobs on a cluster: what its job server tells of them, and what can be asked of it."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, final

from nas.cluster.http import Answer, Endpoint, refused
from nas.errors import ClusterError, NotFoundError

SENT_BY: Final = "nas_version"
"""Key of a job's metadata; a job without it is none of ours."""

State = Literal["pending", "running", "stopped", "succeeded", "failed"]
_STATES: Final[Mapping[str, State]] = {
    "PENDING": "pending",
    "RUNNING": "running",
    "STOPPED": "stopped",
    "SUCCEEDED": "succeeded",
    "FAILED": "failed",
}
GOING: Final = ("pending", "running")
_POLL_S: Final = 0.5


@final
@dataclass(frozen=True)
class Job:
    """One job of ours.

    Args:
        key: Its id on the cluster.
        run: Name of the run it is about.
        verb: `search` or `send`.
        state: See `State`.
        exit_code: What its process ended with; negative: ended by that signal. None before.
        message: What the cluster says about its state.
        node: Node that it ran on.
        runs: Folder of runs there, None for the default one.
        pinned: Whether its run lies on that node, and need not be on the head.
        started: UTC, ISO 8601; None before.
        ended: UTC, ISO 8601; None before.
    """

    key: str
    run: str
    verb: str
    state: State
    exit_code: int | None
    message: str
    node: str | None
    runs: str | None
    pinned: bool
    started: str | None
    ended: str | None

    @property
    def is_going(self) -> bool:
        """Tell whether it has not ended."""
        return self.state in GOING


def entrypoint(verb: str, run: str) -> str:
    """Return the command line of a job, which Ray gives to a shell: fixed words and a slug.

    `exec` lets signals reach the process itself, and its own exit code come back.
    """
    words = ("exec", "python", "nas_submission/begin.py", verb, run)
    return shlex.join(words)


def list_jobs(endpoint: Endpoint) -> list[Job]:
    """Return the jobs that nas sent, oldest first.

    Raises:
        ClusterError: If the cluster does not answer, or refuses.
    """
    found = _document(endpoint, endpoint.request("GET", "/api/jobs/"))
    listed = found if isinstance(found, list) else []
    jobs = [job for job in map(_job, listed) if job is not None]
    return sorted(jobs, key=lambda job: (job.started or "9", job.key))


def find_job(endpoint: Endpoint, name: str) -> Job:
    """Return a job by its id, or the last search of a run by the run's name.

    Raises:
        NotFoundError: If there is none; the names of those there are listed.
        ClusterError: If the cluster does not answer, or refuses.
    """
    jobs = list_jobs(endpoint)
    for job in reversed(jobs):
        if job.key == name or (job.run == name and job.verb == "search"):
            return job
    known = sorted({job.run for job in jobs})
    raise NotFoundError(
        f"There is no job of a run '{name}' on the cluster.",
        where=endpoint.address,
        fix=f"Runs it has jobs of: {', '.join(known) or 'none'}. List them: "
        + endpoint.command("jobs list"),
    )


def read_job(endpoint: Endpoint, key: str) -> Job:
    """Return a job as it is now.

    Raises:
        ClusterError: If the cluster does not answer, or has forgotten the job.
    """
    job = _job(_document(endpoint, endpoint.request("GET", f"/api/jobs/{key}")))
    if job is None:
        raise ClusterError(
            f"The cluster does not know the job '{key}' any more.",
            where=endpoint.address,
            why="A head that was started anew forgets its jobs.",
            fix="Submit the run again: it goes on where it was.",
        )
    return job


def stop_job(endpoint: Endpoint, key: str) -> bool:
    """Ask a job to stop in good order; return whether it was going on.

    Raises:
        ClusterError: If the cluster does not answer, or refuses.
    """
    found = _document(endpoint, endpoint.request("POST", f"/api/jobs/{key}/stop"))
    return bool(isinstance(found, dict) and found.get("stopped"))


def stop_all(endpoint: Endpoint, patience_s: float) -> list[Job]:
    """Ask every job of ours that is going on to stop, and wait; return those that were asked.

    Args:
        endpoint: Where they are.
        patience_s: How long to wait until they have.

    Raises:
        ClusterError: If the cluster does not answer, or refuses.
    """
    asked = [job for job in list_jobs(endpoint) if job.is_going]
    for job in asked:
        stop_job(endpoint, job.key)
    deadline = time.monotonic() + patience_s
    while asked and time.monotonic() < deadline:
        if not any(job.is_going for job in list_jobs(endpoint)):
            break
        time.sleep(_POLL_S)
    return asked


def read_logs(endpoint: Endpoint, key: str) -> str:
    """Return what a job has said so far.

    Raises:
        ClusterError: If the cluster does not answer, or refuses.
    """
    answer = endpoint.request("GET", f"/api/jobs/{key}/logs", timeout_s=60.0)
    found = _document(endpoint, answer)
    return str(found.get("logs", "")) if isinstance(found, dict) else ""


def describe_exit(code: int | None) -> str:
    """Return an exit code in words."""
    if code is None:
        return "no exit code"
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _document(endpoint: Endpoint, answer: Answer) -> Any:
    if answer.status in (401, 403):
        raise refused(endpoint.address, endpoint.token is not None)
    if answer.status == 404:
        return None
    if answer.status != 200:
        said = answer.body[:500].decode("utf-8", "replace").strip()
        raise ClusterError(
            f"The cluster at {endpoint.address} answered {answer.status}.",
            where=endpoint.address,
            why=said.splitlines()[-1] if said else None,
            fix="Look at its logs, or ask who runs it.",
        )
    return answer.document()


def _job(found: Any) -> Job | None:
    """Return one of our jobs; None for others and for what is no job."""
    if not isinstance(found, dict) or not isinstance(found.get("metadata"), dict):
        return None
    metadata = found["metadata"]
    state = _STATES.get(str(found.get("status")))
    if SENT_BY not in metadata or state is None:
        return None
    code = found.get("driver_exit_code")
    return Job(
        key=str(found.get("submission_id")),
        run=str(metadata.get("nas_run", "")),
        verb=str(metadata.get("nas_verb", "")),
        state=state,
        exit_code=int(code) if code is not None else None,
        message=str(found.get("message") or ""),
        node=found.get("driver_node_id"),
        runs=metadata.get("nas_runs") or None,
        pinned=metadata.get("nas_pinned") == "yes",
        started=_moment(found.get("start_time")),
        ended=_moment(found.get("end_time")),
    )


def _moment(milliseconds: Any) -> str | None:
    if not isinstance(milliseconds, (int, float)):
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")
