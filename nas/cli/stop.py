"""Ask a running search to save its state and stop."""

from __future__ import annotations

from nas.cli.output import print_json, print_text, talk
from nas.cli.run_folders import RUNS, Json, RunArgument, RunsOption, find_run, shown_run


def stop(run: RunArgument, runs: RunsOption = RUNS, as_json: Json = False) -> None:
    """Leave the request in the run's folder; its owner reads it between two steps."""
    from nas.run_store import request_stop

    path = find_run(run, runs)
    owner = request_stop(path)
    if as_json:
        print_json({"schema": "nas.stop/1", "run": path.name, "pid": owner.pid, "host": owner.host})
    else:
        print_text(f"asked {owner} to stop run '{path.name}'")
    talk(f"it saves its state first; go on later with: nas resume {shown_run(path)}")
