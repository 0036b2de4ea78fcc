"""A search as a run of MLflow (pip install 'nas[mlflow]')."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, final

from nas.errors import EnvironmentFault
from nas.run_store import Run
from nas.search.callbacks.base import FILES, AbstractCallback
from nas.search.exports.scalars import Scalar, summary

if TYPE_CHECKING:
    from pathlib import Path

_UNNAMEABLE: Final = re.compile(r"[^\w\-. /]")
"""What MLflow has in no name of a metric."""

_BATCH: Final = 1_000
"""Metrics that MLflow takes at once."""

_LONGEST_TEXT: Final = 500


@final
class MlflowCallback(AbstractCallback):
    """Logs numbers as metrics, what the run is as parameters, its small files as artifacts.

    Args:
        experiment: Name of the experiment, made if there is none.
        tracking_uri: Where MLflow keeps runs; by default what `MLFLOW_TRACKING_URI` says.
        files: Whether config, front and report are kept as artifacts.

    Raises:
        EnvironmentFault: If MLflow is not installed.
    """

    def __init__(
        self, experiment: str = "nas", *, tracking_uri: str | None = None, files: bool = True
    ) -> None:
        self._client = _client(tracking_uri)
        self._experiment = experiment
        self._files = files
        self._id = ""

    def start(self, run: Run) -> None:
        """Create a run of MLflow under the name of the search."""
        from mlflow.entities import Param

        found = self._client.get_experiment_by_name(self._experiment)
        experiment = (
            self._client.create_experiment(self._experiment)
            if found is None
            else found.experiment_id
        )
        self._id = self._client.create_run(experiment, run_name=run.name).info.run_id
        facts = {name: text for name, text in summary(run).items() if name not in _AT_END}
        parameters = [Param(name, text[:_LONGEST_TEXT]) for name, text in facts.items()]
        self._client.log_batch(self._id, params=parameters)

    def tell(self, scalars: Sequence[Scalar]) -> None:
        """Log numbers; without a time of its own a number gets the present one."""
        from mlflow.entities import Metric

        now = time.time()
        metrics = [
            Metric(metric_name(each.tag), each.value, int(1000 * (each.time or now)), each.step)
            for each in scalars
        ]
        for first in range(0, len(metrics), _BATCH):
            self._client.log_batch(self._id, metrics=metrics[first : first + _BATCH])

    def end(self, run: Run) -> None:
        """Keep the files and close the run of MLflow with the state of the search."""
        for name in _AT_END:
            self._client.set_tag(self._id, name, summary(run)[name])
        for path in small_files(run) if self._files else ():
            self._client.log_artifact(self._id, str(path))
        states = {"finished": "FINISHED", "failed": "FAILED"}
        self._client.set_terminated(self._id, states.get(run.state(), "KILLED"))


_AT_END: Final = ("state", "trials_finished", "trials_feasible")
"""Facts that a run has only when it ends."""


def small_files(run: Run) -> list[Path]:
    """Return the files of a run that are kept beside its numbers."""
    return [run.path / name for name in FILES if (run.path / name).is_file()]


def metric_name(tag: str) -> str:
    """Return a tag with nothing in it that MLflow refuses: `latency_ms_eager_b1_fp32`."""
    return _UNNAMEABLE.sub("_", tag).rstrip("_")


def _client(tracking_uri: str | None) -> Any:
    try:
        from mlflow import MlflowClient
    except ImportError as error:
        raise EnvironmentFault(
            "Logging to MLflow needs mlflow, which is not installed.",
            fix="pip install 'nas[mlflow]'",
        ) from error
    return MlflowClient(tracking_uri=tracking_uri)
