"""A search as a run of Weights & Biases (pip install 'nas[wandb]')."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, final

from nas.errors import EnvironmentFault
from nas.run_store import Run
from nas.search.callbacks.base import AbstractCallback
from nas.search.callbacks.mlflow import small_files
from nas.search.exports.scalars import Scalar, summary

STEP: Final = "step"


@final
class WandbCallback(AbstractCallback):
    """Logs numbers over their own steps, the config of the run, and its small files.

    Args:
        project: Name of the project.
        mode: `online`, `offline` or `disabled`; by default what `WANDB_MODE` says.
        files: Whether config, front and report are kept with the run.
        **options: Further arguments of `wandb.init`, such as `entity` or `group`.

    Raises:
        EnvironmentFault: If wandb is not installed.
    """

    def __init__(
        self, project: str = "nas", *, mode: str | None = None, files: bool = True, **options: Any
    ) -> None:
        self._wandb = _import_wandb()
        self._options = {**options, "project": project}
        if mode is not None:
            self._options["mode"] = mode
        self._files = files
        self._run: Any = None

    def start(self, run: Run) -> None:
        """Begin a run of W&B under the name of the search."""
        config = {"nas": run.config, **summary(run)}
        self._run = self._wandb.init(**{"name": run.name, "config": config, **self._options})

    def tell(self, scalars: Sequence[Scalar]) -> None:
        """Log numbers, each over the step that it has: W&B's own only counts calls."""
        for each in scalars:
            head = each.tag.partition("/")[0]
            self._run.define_metric(f"{head}/*", step_metric=f"{head}/{STEP}")
            self._run.log({each.tag: each.value, f"{head}/{STEP}": each.step})

    def end(self, run: Run) -> None:
        """Keep the summary and the files, and close the run of W&B."""
        self._run.summary.update(summary(run))
        for path in small_files(run) if self._files else ():
            self._run.save(str(path), base_path=str(run.path), policy="now")
        self._run.finish(exit_code=0 if run.state() == "finished" else 1)


def _import_wandb() -> Any:
    try:
        import wandb
    except ImportError as error:
        raise EnvironmentFault(
            "Logging to Weights & Biases needs wandb, which is not installed.",
            fix="pip install 'nas[wandb]'",
        ) from error
    return wandb
