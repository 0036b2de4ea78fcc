"""Timing the nodes of the front's networks, so that a drawing can show where their time goes.

Only for looking: no search reads these numbers, and the ranking stays with the measured latencies.
"""

from __future__ import annotations

import logging

from nas.errors import NasError
from nas.search.front_view import front_trials
from nas.search.measuring.quiet import QuietDevice
from nas.search.session import Session
from nas.search.settings.resolve import searched_space

MOST_POINTS = 40
"""Points of a front that are timed, best first objective first; a pass over one takes 0.1 s."""

_log = logging.getLogger("nas")


def time_front_nodes(session: Session) -> None:
    """Record the latency of every node of each network on the front, once per trial.

    Nothing is timed where no objective is measured on this device.
    """
    if not session.goals.measured:
        return
    space, device = searched_space(session.config), QuietDevice(session)
    done = {r["trial"] for r in session.run.records() if r["kind"] == "trial_nodes_timed"}
    waiting = [trial for trial in front_trials(session.run) if trial.number not in done]
    session.settle()
    for trial in waiting[:MOST_POINTS]:
        session.check_stop()
        try:
            found = device.time_nodes(space.build(dict(trial.decisions or {})))
        except (NasError, RuntimeError, MemoryError) as error:
            # The network was measured as a whole before; a drawing without tints costs nothing.
            _log.debug("the nodes of trial %d cannot be timed: %s", trial.number, error)
            continue
        session.run.append(
            {
                "kind": "trial_nodes_timed",
                "trial": trial.number,
                "runtime": "eager",
                "batch": 1,
                "nodes": {name: float(f"{ms:.4g}") for name, ms in found.nodes.items()},
                "whole_ms": float(f"{found.whole_ms:.4g}"),
            }
        )
