"""The measuring stage: a front drawn from predictions is measured until every point of it is.

Where a profile steers the search, trials are told a predicted latency. A point of the final front
is measured on the network that ships, its constraints are judged by that, and the front is drawn
again; whoever comes onto it then is measured too. Each measurement is one record, so the stage goes
on where it was left, and it ends because no trial is measured twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, final

from nas.errors import ClusterError, NasError
from nas.run_store import Trial, rebuild_views
from nas.search.executors.base import classify
from nas.search.exploring.explore import check_outcome
from nas.search.exploring.history import planned_trials
from nas.search.front_view import front_trials
from nas.search.measuring.quiet import QuietDevice
from nas.search.quantisation import deployment_of
from nas.search.session import Session
from nas.search.settings.resolve import searched_space
from nas.search.time_spent import TimeSpent

MEASURE: Final = "measure"


def measure_front(session: Session) -> None:
    """Measure the front where it was predicted; nothing where every trial was measured.

    Raises:
        NothingFeasibleError: If no trial keeps the constraints once it is measured.
    """
    if session.config.latency.steer == "measured":
        return
    total = planned_trials(session.run)
    stage = session.run.table().stages.get(MEASURE)
    if stage is None or stage.state != "finished" or stage.finish.get("planned") != total:
        session.again(MEASURE, lambda: _Measuring(session, total).run())
    check_outcome(session)


@final
class _Measuring:
    """One pass over the stage.

    Args:
        session: The session.
        total: Trials of the explore stage: the front that is measured is theirs.
    """

    def __init__(self, session: Session, total: int) -> None:
        self.session = session
        self.total = total
        self.space = searched_space(session.config)
        self.device = QuietDevice(session)
        self.names = [each.name for each in self.device.forecast.steered]

    def run(self) -> Mapping[str, Any]:
        """Measure until nobody on the front is predicted; return what the closing record says."""
        self.session.settle()
        measured = 0
        while waiting := self._waiting():
            self.session.tell(MEASURE, measured, measured + len(waiting), "points")
            for trial in waiting:
                self.session.check_stop()
                self._measure(trial)
                measured += 1
            rebuild_views(self.session.run)
        self.session.tell(MEASURE, measured, measured, "points")
        return {"planned": self.total, "measured": measured}

    def _waiting(self) -> list[Trial]:
        """Return the points of the front, as it is now, that were not measured."""
        return [
            trial
            for trial in front_trials(self.session.run)
            if any(trial.values[name]["source"] == "predicted" for name in self.names)
        ]

    def _measure(self, trial: Trial) -> None:
        decisions = dict(trial.decisions or {})
        spent = TimeSpent()
        try:
            found = self.device.measure(
                self.space.build(decisions), deployment_of(self.space, decisions)
            )
        except ClusterError:
            raise  # nothing can be measured, whatever the network
        except (NasError, RuntimeError, MemoryError) as error:
            reason, message = classify(error)
            self.session.run.append(
                {
                    "kind": "trial_unmeasured",
                    "trial": trial.number,
                    "reason": reason,
                    "message": message[:2000],
                    "measuring_seconds": round(spent.busy_s, 4),
                }
            )
            return
        values = {name: found["values"][name] for name in self.names}
        self.session.run.append(
            {
                "kind": "trial_measured",
                "trial": trial.number,
                "values": values,
                "measurements": {name: found["measurements"][name] for name in self.names},
                "violations": self.session.goals.violations({**trial.values, **values}),
                "measuring_seconds": round(spent.busy_s, 4),
            }
        )
