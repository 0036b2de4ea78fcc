"""Do what a submitted job is to do, on the machine where it arrived. Nobody types this."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from nas.cli.output import talk


def arrive(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Of the package that came.")],
) -> int:
    """Read the order, then send a run or go on as the command line does."""
    from nas.cli.main import run as run_command
    from nas.cluster.arrival import command_of, run_folder
    from nas.cluster.order import CopyNeededError, Order
    from nas.cluster.transport import send_run

    order = Order.read(folder)
    if order.verb == "send":
        send_run(run_folder(order), sys.stdout.write)
        sys.stdout.flush()
        return 0
    try:
        command = command_of(order, folder)
    except CopyNeededError as error:  # no failure: whoever sent the job sends the copy
        talk(error.what)
        return error.exit_code
    return run_command(command)
