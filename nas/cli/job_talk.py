"""What the commands about submitted jobs have in common: options, following, the end."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nas.cli.output import one_line, print_json, print_text, talk
from nas.cli.run_folders import shown_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from nas.cluster.http import Endpoint
    from nas.cluster.jobs import Job

AddressOption = Annotated[
    str | None,
    typer.Option(metavar="URL", help="Of the Ray dashboard; default: the local cluster."),
]
TokenOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="File with the cluster's token.")
]

_LAST_LINES = 40


def follow_job(
    endpoint: Endpoint, key: str, run: str, show: Callable[[str], None] = talk
) -> tuple[Job, list[str]]:
    """Show what a job says until it ends; return it with its last words.

    Args:
        endpoint: Where it is.
        key: Its id.
        run: Name of its run.
        show: Prints a line.

    Raises:
        InterruptedRunError: If the user looks away; the job goes on.
    """
    from nas.cluster.following import follow
    from nas.errors import ClusterError, InterruptedRunError

    said: deque[str] = deque(maxlen=_LAST_LINES)

    def on_line(line: str) -> None:
        clean = one_line(line.expandtabs())
        said.append(clean)
        show(clean)

    try:
        return follow(endpoint, key, on_line), list(said)
    except KeyboardInterrupt:
        raise InterruptedRunError(
            f"You look away; the job of run '{run}' goes on.",
            where=endpoint.address,
            fix=f"Look on: {endpoint.command(f'jobs logs {run} --follow')}; stop it: "
            f"{endpoint.command(f'jobs stop {run}')}; bring its run back: "
            + endpoint.command(f"jobs fetch {run}"),
        ) from None
    except ClusterError as error:
        error.fix = (
            "What was recorded is kept there. When the cluster is back, submit the run again "
            f"under its name: {endpoint.command(f'submit SOURCE --name {run} --follow')}"
        )
        raise


def fetch_run(endpoint: Endpoint, run: str, target: Path) -> None:
    """Bring a run back, saying so."""
    from nas.cluster.submitting import bring_home

    talk(f"bringing run '{run}' back ...")
    bring_home(endpoint, run, target)


def tell_end(
    endpoint: Endpoint, job: Job, said: list[str], path: Path | None, as_json: bool
) -> None:
    """Say where a run is and what to type next.

    Args:
        endpoint: Where the job was.
        job: As it ended.
        said: Its last words.
        path: Of its run here; None if it stays there, or there is none.
        as_json: Print one document.

    Raises:
        RemoteJobError: If the job failed or was stopped.
    """
    from nas.cluster.submitting import result_document

    if as_json:
        print_json(result_document(job, path))
    elif path is not None:
        print_text(f"run: {path}")
    elif job.runs is not None and job.state == "succeeded":
        print_text(f"run on the cluster: {job.runs}/{job.run}")
    if job.state == "succeeded":
        if path is not None:
            talk(f"next: nas front {shown_run(path)}; nas report {shown_run(path)}")
        return
    raise _failure(endpoint, job, said, path)


def _failure(endpoint: Endpoint, job: Job, said: list[str], path: Path | None) -> Exception:
    from nas.cluster.jobs import describe_exit
    from nas.cluster.submitting import last_error
    from nas.errors import RemoteJobError

    if job.exit_code is None:
        what = f"The job of run '{job.run}' was {job.state} before it ended by itself."
    else:
        what = f"The job of run '{job.run}' ended with {describe_exit(job.exit_code)}."
    kept = "nothing was begun" if path is None and job.runs is None else "what it did is kept"
    source = f"SOURCE --name {job.run}" if path is None else shown_run(path)
    again = endpoint.command(f"submit {source} --follow")
    why = last_error(said) or one_line(job.message.strip().splitlines()[-1] if job.message else "")
    return RemoteJobError(
        what, where=f"job {job.key}", why=why or None, fix=f"Go on ({kept}): {again}"
    )
