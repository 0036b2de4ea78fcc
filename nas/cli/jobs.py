"""List, follow, stop and bring back searches that were submitted to a Ray cluster.

RUN is the run's name; of several jobs of one run the last is meant. Without a command: list.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nas.cli.job_talk import AddressOption, TokenOption, fetch_run, follow_job
from nas.cli.output import one_line, print_json, print_table, print_text, talk
from nas.cli.run_folders import RUNS, Json, RunsOption, shown_run

if TYPE_CHECKING:
    from nas.cluster.http import Endpoint
    from nas.cluster.jobs import Job

app = typer.Typer(rich_markup_mode=None, add_completion=False, help=__doc__)

JobArgument = Annotated[str, typer.Argument(metavar="RUN", help="Name of the run, or of the job.")]


@app.callback(invoke_without_command=True)
def _default(
    context: typer.Context, address: AddressOption = None, token_file: TokenOption = None
) -> None:
    if context.invoked_subcommand is None:
        list_(address, token_file)
    elif address is not None or token_file is not None:
        context.fail(f"Write --address and --token-file behind '{context.invoked_subcommand}'.")


@app.command("list")
def list_(
    address: AddressOption = None, token_file: TokenOption = None, as_json: Json = False
) -> None:
    """List the jobs that nas sent to a cluster, oldest first."""
    from nas.cluster.jobs import list_jobs

    jobs = [job for job in list_jobs(_cluster(address, token_file)) if job.verb == "search"]
    if as_json:
        print_json({"schema": "nas.jobs/1", "jobs": [_document(job) for job in jobs]})
        return
    columns = ("run", "state", "exit code", "started", "ended")
    rows = [
        (one_line(each.run), each.state, each.exit_code, each.started, each.ended) for each in jobs
    ]
    print_table(columns, rows)


@app.command()
def status(
    run: JobArgument,
    address: AddressOption = None,
    token_file: TokenOption = None,
    as_json: Json = False,
) -> None:
    """Say how far a job is."""
    from nas.cluster.jobs import find_job

    job = find_job(_cluster(address, token_file), run)
    if as_json:
        print_json({"schema": "nas.job/1", **_document(job)})
        return
    for label, value in _document(job).items():
        if value is not None:
            print_text(f"{label}: {one_line(str(value))}")


@app.command()
def logs(
    run: JobArgument,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until the job ends.")] = False,
    address: AddressOption = None,
    token_file: TokenOption = None,
) -> None:
    """Print what a job said."""
    from nas.cluster.jobs import find_job, read_logs

    endpoint = _cluster(address, token_file)
    job = find_job(endpoint, run)
    if follow:
        follow_job(endpoint, job.key, job.run, print_text)
        return
    for line in read_logs(endpoint, job.key).splitlines():
        print_text(one_line(line.expandtabs()))


@app.command()
def stop(run: JobArgument, address: AddressOption = None, token_file: TokenOption = None) -> None:
    """Ask a job to save its state and stop."""
    from nas.cluster.jobs import find_job, stop_job

    endpoint = _cluster(address, token_file)
    job = find_job(endpoint, run)
    if stop_job(endpoint, job.key):
        print_text(f"asked the job of run '{one_line(job.run)}' to stop")
        back = endpoint.command(f"jobs fetch {one_line(job.run)}")
        talk(f"it saves its state first; bring the run back: {back}")
    else:
        print_text(f"the job of run '{one_line(job.run)}' had ended: {job.state}")


@app.command()
def fetch(
    run: JobArgument,
    runs: RunsOption = RUNS,
    address: AddressOption = None,
    token_file: TokenOption = None,
) -> None:
    """Bring a run back as it is now, also while it is being searched."""
    from nas.cluster.jobs import find_job
    from nas.run_store.layout import check_slug

    endpoint = _cluster(address, token_file)
    job = find_job(endpoint, run)
    target = runs.expanduser().absolute() / check_slug(job.run)
    fetch_run(endpoint, job.run, target)
    print_text(f"run: {target}")
    talk(f"next: nas front {shown_run(target)}")


def _cluster(address: str | None, token_file: Path | None) -> Endpoint:
    from nas.cluster.addresses import find_cluster

    return find_cluster(address, token_file)


def _document(job: Job) -> dict[str, object]:
    return {
        "run": job.run,
        "job": job.key,
        "state": job.state,
        "exit_code": job.exit_code,
        "started": job.started,
        "ended": job.ended,
        "remote_runs": job.runs,
    }
