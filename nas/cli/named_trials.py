"""`RUN:TRIAL` on the command line, TRIAL a number or what picks a point: best, knee, under-2ms."""

from __future__ import annotations

from pathlib import Path

from nas.cli.output import talk
from nas.cli.run_folders import find_run

_LONGEST = 12


def names_trial(source: str) -> bool:
    """Tell whether a text has the form of a trial of a run; it need not exist."""
    from nas.search.front.picking import is_word

    run, colon, trial = source.rpartition(":")
    return bool(colon and run) and (trial.isdecimal() or is_word(trial))


def find_trial(source: str, runs: Path) -> tuple[Path, int]:
    """Return the folder of a run and the number of its trial; say what a word picked.

    Args:
        source: What `names_trial` says yes to.
        runs: Folder of runs.

    Raises:
        NotFoundError: If the run does not exist, or its front has no such point.
        ConfigError: If a latency is asked for and the run has none.
        RunError: If the folder is no run.
    """
    from nas.run_store import Run
    from nas.search.front.picking import pick
    from nas.search.front_view import front_document

    run, _, trial = source.rpartition(":")
    path = find_run(run, runs)
    if trial.isdecimal():
        return path, int(trial[:_LONGEST])
    with Run.open(path) as opened:
        picked = pick(front_document(opened), trial, path)
    talk(f"{path.name}:{trial} is {picked.why}")
    return path, picked.trial
