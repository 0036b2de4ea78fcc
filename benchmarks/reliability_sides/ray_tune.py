"""Ray Tune with reused actors: the experiment in its storage folder, restored as documented.

One head node serves all runs and is started once, in a process of its own; what is killed is the
driver, as with the other sides.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

from reliability_sides.base import (
    ACKNOWLEDGED,
    EVALUATED,
    SEED,
    TRIAL_S,
    TRIALS,
    AbstractSide,
    Outcome,
    note,
    toy_values,
)

ADDRESS = "RELIABILITY_RAY"
# Ray puts the machine's own address in the place of 127.0.0.1, where nobody listens then.
HEAD = """
import sys
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, connect=False, head_node_args={
    "num_cpus": 2, "object_store_memory": 150 * 2**20, "include_dashboard": False,
    "node_ip_address": "127.0.0.2", "temp_dir": sys.argv[1]})
print(cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""


@contextmanager
def head_node(folder: Path) -> Iterator[None]:
    """Have a head node for the time of the block; all it writes is in the folder."""
    said = folder / "head.txt"
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).resolve().parents[1]),
        "RAY_TMPDIR": str(folder),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    (folder / "ray").mkdir()  # where Ray writes the address of its last head, and makes no folder
    with (
        said.open("w") as talk,
        subprocess.Popen(
            [sys.executable, "-c", HEAD, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=talk,
            text=True,
            env=environment,
        ) as head,
    ):
        assert head.stdin is not None and head.stdout is not None
        try:
            os.environ[ADDRESS] = head.stdout.readline().strip()
            if not os.environ[ADDRESS]:
                raise RuntimeError(f"No head node of Ray: {said.read_text()[-2000:]}")
            yield
        finally:
            head.stdin.close()
            head.wait(timeout=60)


@final
class TuneSide(AbstractSide):
    """A Tuner over a class Trainable, one trial at a time."""

    name = "Ray Tune"
    file = "toy/tuner.pkl"

    def search(self, folder: Path) -> None:
        """Fit a tuner, or restore one from its folder."""
        import ray
        from ray import tune

        ray.init(
            os.environ[ADDRESS],
            _node_ip_address="127.0.0.2",
            log_to_driver=False,
            logging_level="ERROR",
        )
        trainable = _trainable(folder)
        path = folder / "toy"
        space = {"x": tune.uniform(0, 1), "y": tune.uniform(0, 1)}
        if tune.Tuner.can_restore(str(path)):
            tuner = tune.Tuner.restore(
                str(path), trainable, resume_unfinished=True, param_space=space
            )
        else:
            tuner = tune.Tuner(
                trainable,
                param_space=space,
                tune_config=tune.TuneConfig(
                    metric="first",
                    mode="min",
                    num_samples=TRIALS,
                    max_concurrent_trials=1,
                    reuse_actors=True,
                    search_alg=tune.search.BasicVariantGenerator(random_state=SEED),
                ),
                run_config=tune.RunConfig(
                    name="toy", storage_path=str(folder), verbose=0, callbacks=[_teller(folder)]
                ),
            )
        tuner.fit()

    def outcome(self, folder: Path) -> Outcome:
        """Read the experiment's own state file."""
        from ray import tune

        table = tune.ExperimentAnalysis(str(folder / "toy")).trials
        finished = {
            each.trial_id: [each.last_result[key] for key in ("first", "second")]
            for each in table
            if each.status == "TERMINATED"
        }
        running = sum(each.status != "TERMINATED" for each in table)
        values = sorted(finished.values())
        front = [
            value
            for value in values
            if not any(other != value and _dominates(other, value) for other in values)
        ]
        return Outcome(dict(enumerate(values)), running, 0, front)


def _dominates(one: list[float], other: list[float]) -> bool:
    return all(mine <= theirs for mine, theirs in zip(one, other, strict=True))


def _teller(folder: Path) -> Any:
    from ray import tune

    class Teller(tune.Callback):  # type: ignore[misc]
        """Notes each trial that the controller has recorded as complete."""

        def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            values = [trial.last_result[key] for key in ("first", "second")]
            note(folder, ACKNOWLEDGED, [trial.trial_id, values, trial.trial_id])

    return Teller()


def _trainable(folder: Path) -> Any:
    from ray import tune

    class Toy(tune.Trainable):  # type: ignore[misc]
        """The toy objective as one iteration."""

        def setup(self, config: dict[str, Any]) -> None:
            self.toy = config

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.toy = new_config
            return True

        def step(self) -> dict[str, Any]:
            first, second = toy_values(self.toy["x"], self.toy["y"])
            time.sleep(TRIAL_S)
            note(folder, EVALUATED, self.trial_id)
            return {"first": first, "second": second, "done": True}

        def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
            return {"done": True}

        def load_checkpoint(self, checkpoint: Any) -> None:
            """There is nothing to go on with in a trial of one step."""

    return Toy
