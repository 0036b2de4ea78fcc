"""Submitting a search, and bringing its run home.

A run has one name here and on the cluster. Submitting a name again goes on with the run: with the
one on the cluster, or with the copy here where that is further.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, final

import nas
from nas.cluster.following import follow
from nas.cluster.http import Endpoint
from nas.cluster.jobs import Job, find_job, list_jobs
from nas.cluster.order import CARRIED, CONFIG, CopyNeededError, LogState, Order
from nas.cluster.package import LIMIT_BYTES, Package, package_of
from nas.cluster.sending import send
from nas.cluster.transport import Receiver
from nas.errors import ClusterError, ConfigError, NotFoundError, RunError
from nas.run_store.copies import contents_of, pack_run
from nas.run_store.creation import prepare_root
from nas.run_store.layout import check_slug, config_hash, is_run
from nas.search.settings.config import SearchConfig
from nas.search.settings.resolve import resolve_space
from nas.training.data.load import short_name

COPY_NEEDED: Final = CopyNeededError.exit_code
_NOT_FOUND: Final = NotFoundError.exit_code


@final
@dataclass(frozen=True, kw_only=True)
class Submission:
    """A search that is to be submitted.

    Args:
        name: The run's name, a slug.
        config: Its resolved config, with the data where they lie here.
        values: The config as the run keeps it, word for word.
        local: Where the run lies here, or will when it is brought back.
        remote_runs: Absolute folder of runs on the cluster; None takes the default there, and the
            run is brought back.
        gpus: GPUs of the job's own process.
        with_data: Whether the data are sent along; else the config's path is one there.
        arguments: Words for `nas search` and `nas resume`.
        more: Words for `nas resume` alone.
    """

    name: str
    config: SearchConfig
    values: Mapping[str, Any]
    local: Path
    remote_runs: str | None = None
    gpus: float = 0
    with_data: bool = True
    arguments: tuple[str, ...] = ()
    more: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_slug(self.name)
        if self.remote_runs is not None and not self.remote_runs.startswith("/"):
            raise ConfigError(
                f"'{self.remote_runs}' is no absolute path.",
                where="--remote-runs",
                why="It is a folder on the cluster, where your working folder is not.",
                fix="Write it from the root, as /shared/runs.",
            )


def new_name(config: SearchConfig) -> str:
    """Return `<space>-<data>-<UTC time>`, as a search here would be called."""
    moment = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    space = resolve_space(config).name
    return f"{space[:24]}-{short_name(config.data)[:20].strip('-')}-{moment}"


def submit(endpoint: Endpoint, wanted: Submission, *, carry: bool) -> str:
    """Send a search to a cluster; return the id of its job.

    Args:
        endpoint: Where to.
        wanted: What.
        carry: Send the copy of the run along, where there is one here.

    Raises:
        RunError: If the run is being searched there already.
        ConfigError: If the package is too large. Nothing was sent then.
        ClusterError: If the cluster does not take it.
    """
    earlier = _refuse_if_going(endpoint, wanted.name)
    has_copy = is_run(wanted.local)
    order = Order(
        verb="search",
        name=wanted.name,
        nas=nas.__version__,
        runs=wanted.remote_runs,
        config_sha256=config_hash(wanted.values),
        arguments=wanted.arguments,
        more=wanted.more,
        copy=LogState.of(wanted.local) if has_copy else None,
        carried=carry and has_copy,
    )
    data_name = str(wanted.values["data"])
    package = package_of(wanted.config, with_data=wanted.with_data, data_name=data_name)
    text = json.dumps(dict(wanted.values), indent=1, allow_nan=False) + "\n"
    package = package.with_text(CONFIG, text)
    with _carrying(package, wanted.local, order.carried) as (full, state):
        order = replace(order, copy=state or order.copy)
        return send(endpoint, full, order, gpus=wanted.gpus, node=_node(earlier))


def bring_home(
    endpoint: Endpoint,
    name: str,
    target: Path,
    on_part: Callable[[int, int], None] = lambda size, total: None,
) -> None:
    """Bring a run from a cluster to a folder here, whole or not at all.

    Args:
        endpoint: Where it is.
        name: Its name.
        target: Its folder here; an older copy there is replaced.
        on_part: Told how many bytes of the archive have come, and the size of the run.

    Raises:
        NotFoundError: If there is no job of that run, or the run itself is not there.
        RunError: If the run here is in use, or went on by itself.
        ClusterError: If the cluster does not answer, or the run does not come whole.
    """
    job = find_job(endpoint, name)
    prepare_root(target.parent)
    order = Order(verb="send", name=job.run, nas=nas.__version__, runs=job.runs)
    key = send(endpoint, Package({}), order, node=_node(job))
    said: list[str] = []
    receiver = Receiver(target.parent, lambda size: on_part(size, receiver.announced or 0))

    def take(line: str) -> None:
        receiver.take(line)
        if not line.startswith("nas-"):
            said.append(line)

    try:
        sent = follow(endpoint, key, take)
        if sent.exit_code == _NOT_FOUND:
            raise NotFoundError(
                f"The cluster has no run '{job.run}'.",
                where=endpoint.address,
                why=last_error(said) or "The job ended before it began one.",
                fix="See what it said: " + endpoint.command(f"jobs logs {job.run}"),
            )
        if sent.state != "succeeded":
            raise ClusterError(
                f"The run '{job.run}' could not be brought back.",
                where=endpoint.address,
                why=last_error(said) or sent.message[-500:],
                fix="It is kept there; try again: " + endpoint.command(f"jobs fetch {job.run}"),
            )
        receiver.unpack(target)
    finally:
        receiver.close()


def last_error(lines: list[str]) -> str | None:
    """Return what a job said of its failure: what and why, not the way out that holds there."""
    starts = [index for index, line in enumerate(lines) if line.startswith("error: ")]
    if not starts:
        return None
    what = lines[starts[-1]].removeprefix("error: ")
    why = [line.strip() for line in lines[starts[-1] :][1:4] if line.startswith("  why: ")]
    return "\n".join([what, *why])


def _refuse_if_going(endpoint: Endpoint, name: str) -> Job | None:
    """Return the last job of a run; refuse a second one beside it."""
    jobs = [job for job in list_jobs(endpoint) if job.run == name and job.verb == "search"]
    for job in jobs:
        if job.is_going:
            raise RunError(
                f"Run '{name}' is being searched on the cluster already, by job {job.key}.",
                where=endpoint.address,
                why="One process at a time writes a run.",
                fix=f"Look on: {endpoint.command(f'jobs logs {name} --follow')}, or stop it: "
                + endpoint.command(f"jobs stop {name}"),
            )
    return jobs[-1] if jobs else None


def _node(job: Job | None) -> str | None:
    """Return the node where a run lies, if it need not be the head."""
    return job.node if job is not None and job.pinned else None


@contextmanager
def _carrying(
    package: Package, local: Path, wanted: bool
) -> Iterator[tuple[Package, LogState | None]]:
    """Put the copy of a run into a package, for as long as the block lasts."""
    if not wanted:
        yield package, None
        return
    with tempfile.TemporaryDirectory(prefix="nas-copy-") as folder:
        packed = Path(folder) / CARRIED
        state = LogState.of(local)
        with packed.open("xb") as out:
            pack_run(local, contents_of(local), out)
        if packed.stat().st_size >= LIMIT_BYTES:
            raise ConfigError(
                f"The run '{local.name}' is too large to be sent: "
                f"{packed.stat().st_size >> 20:,} MiB packed, the limit is {LIMIT_BYTES >> 20}.",
                where=str(local / "weights"),
                fix="Copy its folder to a disk that the cluster sees, and name the folder above "
                "it: --remote-runs /shared/runs",
            )
        yield package.with_file(CARRIED, packed), state


def result_document(job: Job, path: Path | None) -> dict[str, Any]:
    """Return what a submission came to, for programs."""
    return {
        "schema": "nas.job/1",
        "run": job.run,
        "job": job.key,
        "state": job.state,
        "exit_code": job.exit_code,
        "path": None if path is None else str(path),
        "remote_runs": job.runs,
    }
