"""A Ray head on this machine for submitted searches: start it, look at it, end it.

It listens on this machine only, and every request needs its token. Whoever has the token can run
code as you: the token's file is yours alone.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from nas.cli.commands import command_group
from nas.cli.output import one_line, print_json, print_text, talk
from nas.cli.run_folders import Json

if TYPE_CHECKING:
    from nas.cluster.local_head import LocalHead

_PATIENCE_S = 30.0

app = command_group(__doc__)


@app.command()
def up(
    cpus: Annotated[
        int | None,
        typer.Option(min=1, max=4096, metavar="N", help="CPU slots of jobs; default: all."),
    ] = None,
    gpus: Annotated[int, typer.Option(min=0, max=64, metavar="N", help="GPU slots.")] = 0,
    as_json: Json = False,
) -> None:
    """Start a head, unless one runs."""
    from nas.cluster.local_head import start_head

    talk("starting a head on this machine ...")
    head, new = start_head(cpus=cpus, gpus=gpus)
    if as_json:
        print_json(_document(head, "up"))
    else:
        print_text(f"{'started' if new else 'runs already'}: {head.address}")
        print_text(f"token: {head.token_file}")
    talk("next: nas submit wired_cnn --preset smoke --follow; nas jobs list; nas cluster down")


@app.command()
def down(as_json: Json = False) -> None:
    """End the head that was started here, its jobs, and nothing else."""
    from nas.cluster.local_head import end_head

    _stop_jobs()
    head = end_head()
    if as_json:
        print_json({"schema": "nas.cluster/1", "state": "down", "ended": head is not None})
    elif head is None:
        print_text("there is no local cluster")
    else:
        print_text(f"ended: {head.address}")
    if head is not None:
        talk("runs that were not brought back are kept; they go on after: nas cluster up")


@app.command()
def status(as_json: Json = False) -> None:
    """Say whether a head that was started here runs, and answers."""
    from nas.cluster.local_head import local_head
    from nas.errors import ClusterError

    head = local_head()
    state = "down"
    if head is not None:
        try:
            head.endpoint().check()
            state = "up"
        except (ClusterError, OSError):
            state = "lost"
    if as_json:
        print_json(
            {"schema": "nas.cluster/1", "state": "down"} if head is None else _document(head, state)
        )
        return
    if head is None:
        print_text("there is no local cluster")
        talk("start one: nas cluster up")
        return
    print_text(f"{state}: {head.address}, Ray {head.ray}, since {head.since}")
    print_text(f"token: {head.token_file}")
    if state == "lost":
        talk("it does not answer; end what is left of it: nas cluster down")


def _stop_jobs() -> None:
    """Let searches that go on save their state, as far as the head still answers."""
    from nas.cluster.jobs import stop_all
    from nas.cluster.local_head import local_head
    from nas.errors import NasError

    head = local_head()
    if head is None or not head.is_alive():
        return
    talk("ending the local head ...")
    with suppress(NasError):  # it is ended whatever it answers
        for job in stop_all(head.endpoint(), _PATIENCE_S):
            talk(f"stopped the job of run '{one_line(job.run)}'")


def _document(head: LocalHead, state: str) -> dict[str, object]:
    return {
        "schema": "nas.cluster/1",
        "state": state,
        "address": head.address,
        "token_file": str(head.token_file),
        "since": head.since,
        "ray": head.ray,
    }
