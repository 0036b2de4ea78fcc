"""A job that arrived: find the run it is about, and say how to begin it or go on with it.

The longest log wins, and only if the shorter one is its beginning: a run that went on in two places
is two runs, and nothing of either is given up.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from nas.cluster.order import CARRIED, CONFIG, CopyNeededError, LogState, Order
from nas.cluster.places import submitted_runs
from nas.errors import NotFoundError, RunError
from nas.run_store import Run
from nas.run_store.copies import put_copy
from nas.run_store.layout import config_hash, is_run

_log = logging.getLogger("nas")
_ON_THE_CLUSTER: Final = "on the cluster"


def run_folder(order: Order) -> Path:
    """Return where the run of an order lies on this machine."""
    return (Path(order.runs) if order.runs is not None else submitted_runs()) / order.name


def command_of(order: Order, folder: Path) -> list[str]:
    """Return what to type after `nas`, the run's folder being as the sender knows it.

    Args:
        order: What is to be done.
        folder: Of the package.

    Raises:
        RunError: If the run there was made from another config, or went on elsewhere.
        CopyNeededError: If the sender's copy is needed and was not sent.
        NotFoundError: If there is no such run, and no config to begin one.
    """
    path = run_folder(order)
    _bring_up_to_date(order, path, folder / CARRIED)
    if is_run(path):
        _check_same_config(order, path)
        _log.info("going on with run '%s' in %s", order.name, path)
        return ["resume", str(path), *order.arguments, *order.more]
    if order.config_sha256 is None:
        raise NotFoundError(
            f"There is no run '{order.name}' on the cluster.",
            where=str(path.parent),
            fix="Submit its config: nas submit CONFIG --name " + order.name,
        )
    _log.info("beginning run '%s' in %s", order.name, path)
    begin = ["search", str(folder / CONFIG), "--name", order.name, "--runs", str(path.parent)]
    return [*begin, *order.arguments]


def _bring_up_to_date(order: Order, path: Path, carried: Path) -> None:
    """Put the sender's copy in place where it is further than what is there."""
    if order.copy is None or (is_run(path) and order.copy.is_within(path)):
        return
    if is_run(path) and LogState.of(path).length >= order.copy.length:
        raise _went_apart(order, path)
    if not order.carried:
        raise CopyNeededError(
            f"The sender's copy of run '{order.name}' is further than the one here.",
            where=_ON_THE_CLUSTER,
            fix="Send it along.",
        )
    _log.info("taking the sender's copy of run '%s'", order.name)
    with carried.open("rb") as packed:
        put_copy(packed, path)


def _check_same_config(order: Order, path: Path) -> None:
    if order.config_sha256 is None:
        return
    with Run.open(path) as run:
        if config_hash(run.config) == order.config_sha256:
            return
    raise RunError(
        f"Run '{order.name}' on the cluster was made from another config.",
        where=str(path),
        why="A run has one config; another search needs a name of its own.",
        fix=f"Choose another --name, or go on with what is there: nas submit {order.name}",
    )


def _went_apart(order: Order, path: Path) -> RunError:
    return RunError(
        f"Run '{order.name}' went on here and on the cluster, and the two differ.",
        where=str(path),
        why="Neither log is the beginning of the other, so neither copy may replace the other.",
        fix="Bring the cluster's home under another folder: nas jobs fetch "
        f"{order.name} --runs OTHER",
    )
