"""The Python API: the words of the command line; a front is a table, the rest is plain data.

import nas

run = nas.search("wired_cnn", data="digits", preset="smoke")
print(run.front()[["trial", "wiring", "error_confirmed_mean", "latency_ms"]])
run.architecture(run.best(max_latency_ms=1.0)["trial"])
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, final

from nas.errors import NotFoundError
from nas.run_store import Run
from nas.run_store.trials import RunState
from nas.search.front.html import run_html
from nas.search.front.tables import front_columns
from nas.search.front_view import front_document
from nas.search.progress import Listener, no_listener
from nas.topology.graph import Architecture
from nas.topology.serial import load_architecture

if TYPE_CHECKING:
    import pandas as pd

    from nas.search.callbacks import AbstractCallback
    from nas.search.settings.config import SearchConfig


@final
class SearchRun:
    """A run, read-only: its front, its best points and their architectures.

    Args:
        store: The run folder, opened for reading.
    """

    def __init__(self, store: Run) -> None:
        self.store = store

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """Open a run folder.

        Raises:
            NotFoundError: If it does not exist; RunError if it is not a run.
        """
        return cls(Run.open(path))

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.store.name

    @property
    def path(self) -> Path:
        """Folder of the run."""
        return self.store.path

    @property
    def state(self) -> RunState:
        """`created`, `running`, `interrupted`, `finished` or `failed`."""
        return self.store.state()

    def front(self) -> pd.DataFrame:
        """Return the front as a table, best first objective first.

        One row per point, one column per searched objective, its unit in the name; the same columns
        as `nas front --csv`. `front_points` has the same with all details.
        """
        import pandas as pd

        return pd.DataFrame(front_columns(self.front_points()))

    def front_points(self) -> list[dict[str, Any]]:
        """Return the points of the front, best first objective first; see `nas front --json`."""
        points: list[dict[str, Any]] = front_document(self.store)["points"]
        return points

    def trust(self) -> dict[str, Any]:
        """Return the verdict on the ranking, and what the front compares because of it."""
        found: dict[str, Any] = front_document(self.store)["trust"]
        return found

    def knee(self) -> dict[str, Any] | None:
        """Return the point of balance of the front, None while it is empty."""
        return next((point for point in self.front_points() if point["knee"]), None)

    def baselines(self) -> list[dict[str, Any]]:
        """Return the networks that were trained beside the front."""
        found: list[dict[str, Any]] = front_document(self.store)["baselines"]
        return found

    def best(
        self, *, max_latency_ms: float | None = None, max_macs: float | None = None
    ) -> dict[str, Any]:
        """Return the point with the best first objective within the limits.

        Raises:
            NotFoundError: If no point of the front is within them.
        """
        limits = {"latency_ms": max_latency_ms, "macs": max_macs}
        for point in self.front_points():
            if all(
                limit is None or (point[name] is not None and point[name] <= limit)
                for name, limit in limits.items()
            ):
                return point
        wanted = ", ".join(f"{name} <= {limit:g}" for name, limit in limits.items() if limit)
        raise NotFoundError(
            f"No point of the front of run '{self.name}' has {wanted or 'a result'}.",
            fix="Loosen the limit, or look at the whole front.",
        )

    def architecture(self, trial: int) -> Architecture:
        """Return the architecture of a trial.

        Raises:
            NotFoundError: If there is no such trial.
        """
        trials = self.store.table().trials
        if trial not in trials:
            raise NotFoundError(
                f"Run '{self.name}' has no trial {trial}.",
                fix=f"It has {len(trials)} trials; `front()` lists the best.",
            )
        return load_architecture(trials[trial].architecture)

    def __repr__(self) -> str:
        return f"<run {self.name!r}, {self.state}, {len(self.front_points())} points>"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the front as a table, and how far it is trusted."""
        return run_html(self.name, self.state, front_document(self.store))


def search(
    space: str | Path | Mapping[str, Any] | SearchConfig = "wired_cnn",
    *,
    data: str | None = None,
    preset: str | None = None,
    trials: int | None = None,
    seed: int | None = None,
    objectives: list[str] | None = None,
    constraints: Mapping[str, Any] | None = None,
    device: str | None = None,
    set: Iterable[str] = (),  # noqa: A002 - the same word as on the command line
    name: str | None = None,
    runs: Path | str = "runs",
    time_limit_s: float | None = None,
    workers: int | None = None,
    executor: str | None = None,
    listener: Listener = no_listener,
    callbacks: Sequence[AbstractCallback] = (),
) -> SearchRun:
    """Search a space and return the finished run.

    Args:
        space: Name or file of a space, a config file, a mapping of config keys, or a config.
        data: As in the config.
        preset: `smoke`, `small` or `full`.
        trials: Distinct members to evaluate.
        seed: Of the whole run.
        objectives: Numbers to minimise.
        constraints: Bounds, such as `{"latency": {"max": 2.0}}`.
        device: `auto`, `cpu`, `cuda`, ...
        set: `key.subkey=value` assignments, as `--set`.
        name: Name of the run.
        runs: Folder of runs.
        time_limit_s: Seconds after which the run is left to be resumed.
        workers: Evaluations at a time.
        executor: `local`, `ray` or `inline`.
        listener: Told how far each stage is.
        callbacks: Told what is recorded, as `nas.search.callbacks.MlflowCallback`.

    Raises:
        NasError: As `nas.search.settings.resolve.resolve_config` and `nas.search.driver.search`.
    """
    from nas.search import driver
    from nas.search.settings.config import SearchConfig
    from nas.search.settings.resolve import resolve_config

    options = {
        "data": data,
        "preset": preset,
        "search.trials": trials,
        "seed": seed,
        "objectives": objectives,
        "constraints": constraints,
        "device": device,
    }
    given = space.to_dict() if isinstance(space, SearchConfig) else space
    config = resolve_config(given, options=options, overrides=set)
    run = driver.search(
        config,
        runs=runs,
        name=name,
        time_limit_s=time_limit_s,
        listener=listener,
        workers=workers,
        executor=executor,
        callbacks=callbacks,
    )
    return SearchRun(run)


def resume(run: SearchRun | Path | str, *, extra_trials: int = 0, **options: Any) -> SearchRun:
    """Go on with a run; options as in `nas.search.driver.resume`."""
    from nas.search import driver

    path = run.path if isinstance(run, SearchRun) else run
    return SearchRun(driver.resume(path, extra_trials=extra_trials, **options))
