"""What one trivial trial costs beside its own work: our executors, bare Ray, and Ray Tune.

The same function of a number is evaluated by two workers that are up already: by our Ray executor
(one trial a call, and several as a search makes them), by a bare loop of `ray.wait` over reused
actors that does nothing else, by our local executor, and by Ray Tune with reused actors. All give
the same answers before anything is timed. Ours, bare Ray and the local executor alternate; a row is
the first over the second (below 1: it costs less). Tune is timed from its third finished trial to
its last, so that what an experiment costs once is left out; it writes its logs as it does by
default, and no checkpoints.

    python benchmarks/scheduling.py [--small] [--record]
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")  # the newer report cannot be silent

import logging
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import harness

from nas.search.executors import AbstractExecutor, Job, Setup
from nas.search.executors.grouping import GroupingExecutor
from nas.search.executors.local import LocalExecutor
from nas.search.executors.ray_executor import RayExecutor
from nas.search.executors.ray_link import import_ray

WORKERS = 2
TRIALS, TUNE_TRIALS = 400, 60
MEMBERS_PER_CALL = 8
"""What the defaults come to with two workers: a batch of 16 members, shared out."""

CALLS = f"{MEMBERS_PER_CALL} trials a call"
GOAL_RAW, GOAL_TUNE = 1.2, 50.0


def make_task(arguments: dict[str, Any]) -> Any:
    """Return a task that costs nothing."""

    def task(payload: dict[str, Any]) -> dict[str, Any]:
        return {"answer": arguments["factor"] * payload["value"]}

    return task


class BareActor:
    """What a user of Ray would write."""

    def work(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Answer one trial."""
        return {"answer": 2 * payload["value"]}


def with_executor(executor: AbstractExecutor, trials: int) -> dict[int, int]:
    found: dict[int, int] = {}
    jobs = [Job(str(value), {"value": value}) for value in range(trials)]
    executor.run(jobs, lambda out: found.update({int(out.key): dict(out.result or {})["answer"]}))
    return found


def with_bare_ray(ray: Any, actors: list[Any], trials: int) -> dict[int, int]:
    found: dict[int, int] = {}
    values = iter(range(trials))
    under_way: dict[Any, tuple[Any, int]] = {}
    for actor in actors:
        value = next(values)
        under_way[actor.work.remote({"value": value})] = actor, value
    while under_way:
        done, _ = ray.wait(list(under_way), num_returns=1)
        for reference in done:
            actor, value = under_way.pop(reference)
            found[value] = ray.get(reference)["answer"]
            value = next(values, None)
            if value is not None:
                under_way[actor.work.remote({"value": value})] = actor, value
    return found


def with_tune(trials: int, folder: Path) -> tuple[dict[int, int], float]:
    """Return the answers, and seconds per trial once the actors are up."""
    from ray import tune

    class Trial(tune.Trainable):
        def setup(self, config: dict[str, Any]) -> None:
            self.value = config["value"]

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.value = new_config["value"]
            return True

        def step(self) -> dict[str, Any]:
            return {"answer": 2 * self.value, "done": True}

    class Clock(tune.Callback):
        def __init__(self) -> None:
            self.times: list[float] = []
            self.answers: dict[int, int] = {}

        def on_trial_result(self, *, trial: Any, result: dict[str, Any], **info: Any) -> None:
            self.answers[trial.config["value"]] = result["answer"]

        def on_trial_complete(self, **info: Any) -> None:
            self.times.append(time.perf_counter())

    clock = Clock()
    tune.Tuner(
        Trial,
        param_space={"value": tune.grid_search(list(range(trials)))},
        tune_config=tune.TuneConfig(
            reuse_actors=True, max_concurrent_trials=WORKERS, metric="answer", mode="max"
        ),
        run_config=tune.RunConfig(
            storage_path=str(folder),
            verbose=0,
            callbacks=[clock],
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    ).fit()
    return clock.answers, (clock.times[-1] - clock.times[2]) / (len(clock.times) - 3)


def main() -> None:
    parser = harness.arguments(__doc__)
    options = parser.parse_args()
    logging.getLogger("ray").setLevel(logging.ERROR)
    harness.use_threads(options.threads)
    harness.print_versions(options.threads)
    os.environ.pop("RAY_ADDRESS", None)
    ray = import_ray()
    print(f"ray {ray.__version__}, {WORKERS} workers", flush=True)
    rounds, trials = (2, 100) if options.small else (15, TRIALS)
    setup = Setup("scheduling:make_task", {"factor": 2})
    sys.path.insert(0, str(Path(__file__).resolve().parent))  # where workers find the task
    with (
        RayExecutor(WORKERS) as ours,
        LocalExecutor(WORKERS) as local,
        tempfile.TemporaryDirectory() as folder,
    ):
        for executor in (ours, local):
            executor.prepare(setup)
            executor.settle()
        actors = [ray.remote(num_cpus=0)(BareActor).remote() for _ in range(WORKERS)]
        wanted = {value: 2 * value for value in range(trials)}
        sides = [
            lambda: with_executor(ours, trials),
            lambda: with_bare_ray(ray, actors, trials),
            lambda: with_executor(local, trials),
        ]
        if any(side() != wanted for side in sides):
            raise SystemExit("the sides give different answers")
        our_s, bare_s, local_s = (
            [seconds / trials for seconds in side]
            for side in harness.interleave(sides, rounds=rounds, warm_up=1)
        )
        calls = GroupingExecutor(ours, MEMBERS_PER_CALL)
        calls.prepare(setup)
        calls.settle()
        if with_executor(calls, trials) != wanted:
            raise SystemExit("calls of several members give different answers")
        (call_s,) = (
            [seconds / trials for seconds in side]
            for side in harness.interleave(
                [lambda: with_executor(calls, trials)], rounds=rounds, warm_up=1
            )
        )
        tune_trials, tune_s = (20 if options.small else TUNE_TRIALS), []
        # Tune's actors take the slots of ours.
        ours.close()
        ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False)
        for number in range(1 if options.small else 3):
            found, seconds = with_tune(tune_trials, Path(folder) / str(number))
            if found != {value: 2 * value for value in range(tune_trials)}:
                raise SystemExit("Ray Tune gives different answers")
            tune_s.append(seconds)
        ray.shutdown()
    report(options, our_s, call_s, bare_s, local_s, tune_s)


def report(
    options: Any,
    our_s: list[float],
    call_s: list[float],
    bare_s: list[float],
    local_s: list[float],
    tune_s: list[float],
) -> None:
    ours, calls = statistics.median(our_s), statistics.median(call_s)
    rows = [
        harness.ratio_row("our Ray executor / bare ray.wait", our_s, bare_s),
        harness.ratio_row("our Ray executor / Ray Tune", [ours] * len(tune_s), tune_s),
        harness.ratio_row(f"the same, {CALLS} / Ray Tune", [calls] * len(tune_s), tune_s),
        harness.ratio_row("local executor / bare ray.wait", local_s, bare_s),
    ]
    for row in rows:
        harness.print_row(row)
    per_trial = {
        "our Ray executor": ours,
        f"the same, {CALLS}": calls,
        "bare ray.wait": statistics.median(bare_s),
        "local executor": statistics.median(local_s),
        "Ray Tune": statistics.median(tune_s),
    }
    for name, seconds in per_trial.items():
        print(f"{name:<24} {seconds * 1e3:8.3f} ms per trial", flush=True)
    harness.finish(
        "scheduling",
        rows,
        unit="x (ours / other, per trivial trial)",
        threads=options.threads,
        overhead=True,
        counted=rows[:1],
        record=options.record,
        more={
            "ms_per_trial": {name: round(each * 1e3, 4) for name, each in per_trial.items()},
            "times_less_than_tune": round(statistics.median(tune_s) / ours, 1),
            f"times_less_than_tune, {CALLS}": round(statistics.median(tune_s) / calls, 1),
            "goals": {"over bare ray.wait": GOAL_RAW, "less than Ray Tune": GOAL_TUNE},
            "workers": WORKERS,
            "ray": import_ray().__version__,
        },
    )


if __name__ == "__main__":
    main()
