"""A whole search inside the study's folder, and the member it names.

The search sees training images only. It is bounded to the size of the study, its own confirmation
is left out, and the members it scores best with inherited weights form a shortlist, which is
trained alone on the weights' part and judged on the validation part: inherited scores rank the
best poorly. The winner then starts anew with the study's seeds, like every other row.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, final

from pydantic import Field

from nas.errors import ConfigError, RunError
from nas.run_store import Run, Trial
from nas.search.executors import Job, Outcome
from nas.search.settings.config import SearchConfig
from nas.search.settings.presets import merge
from nas.search.settings.resolve import resolve_config
from nas.seeds import derive_seed
from nas.space import AbstractSpace
from nas.study.methods.base import METHODS, AbstractMethod, Choice, MethodContext, MethodOptions
from nas.topology.identity import trained_id
from nas.topology.serial import load_architecture

if TYPE_CHECKING:
    from nas.study.session import StudySession

SHORTLIST: Final = "study_shortlist"
SHORTLIST_FAILED: Final = "study_shortlist_failed"
OWN_KEYS: Final = (
    "schema",
    "space",
    "data",
    "seed",
    "image_size",
    "max_train_images",
    "max_train_megapixels",
    "confirm",
    "device",
    "plugins",
    "executor",
)
"""Keys of a search that the study decides."""

_log = logging.getLogger("nas")


@final
class SearchOptions(MethodOptions):
    """Options of `search`."""

    settings: dict[str, Any] = Field(default_factory=dict)
    """Keys of a search, such as `preset`, `search` and `supernet`; what the study decides itself
    (space, data, seed, confirm, ...) is refused here."""

    shortlist: Annotated[int, Field(ge=1, le=100)] = 4
    """Members that are trained alone and judged on the validation part; 1 trusts the inherited
    scores."""

    shortlist_seeds: Annotated[int, Field(ge=1, le=100)] = 1
    """Trainings per member of the shortlist."""


@METHODS.register("search")
@final
class SearchMethod(AbstractMethod):
    """The member that a search with these settings names."""

    kind = "search"
    Options: ClassVar[type[MethodOptions]] = SearchOptions

    @property
    def own_label(self) -> str:
        """`searched`."""
        return "searched"

    def check(self, space: AbstractSpace) -> None:
        """Refuse settings that the study decides, and those no search knows."""
        for key in self.options.settings:
            if key in OWN_KEYS:
                raise ConfigError(
                    f"The key '{key}' of a search inside a study is the study's own.",
                    why="All rows share data, seeds, device and recipe.",
                    fix=f"Leave it out; '{key}' follows from the study's file.",
                )
        resolve_config({"space": space.to_dict(), **self.options.settings})

    def search_config(self, context: MethodContext) -> SearchConfig:
        """Return the search: the user's settings, bounded to the size, without confirmation."""
        config, target = context.config, context.target
        own: dict[str, Any] = {
            "space": context.space.to_dict(),
            "data": context.data,
            "image_size": config.image_size,
            "max_train_images": config.max_train_images,
            "max_train_megapixels": None,  # a preset's limit would be another data set
            "seed": derive_seed(context.seed, "search", 0),
            "device": config.device,
            "plugins": list(config.plugins),
            "confirm": {"enabled": False, "test_images": config.test_images},
        }
        defaults: dict[str, Any] = {"objectives": ["cross_entropy", "macs"]}
        if target is not None:
            window = {
                "min": round(target.macs * (1 - target.tolerance)),
                "max": round(target.macs * (1 + target.tolerance)),
            }
            own["constraints"] = {"macs": window}
        return resolve_config(merge(merge(defaults, dict(self.options.settings)), own))

    def choose(self, context: MethodContext, session: StudySession) -> Choice:
        """Search, judge the shortlist, return the winner."""
        run = self._searched(context, session)
        shortlist = _shortlist(run, self.options.shortlist)
        errors = self._judged(context, session, run, shortlist)
        best = min(shortlist, key=lambda trial: (errors[trial.number], trial.number))
        details = {
            "run": f"searches/{context.row}",
            "trial": best.number,
            "trials": len(run.table().trials),
            "distillation": float(run.config["supernet"]["training"]["distillation"]),
            "shortlist": [
                {
                    "trial": trial.number,
                    "inherited": _inherited(run, trial),
                    "validation_cross_entropy": errors[trial.number]
                    if len(shortlist) > 1
                    else None,
                }
                for trial in shortlist
            ],
        }
        return Choice.same(
            load_architecture(best.architecture),
            context.config.seeds,
            f"trial {best.number} of {len(run.table().trials)}",
            details=details,
            seconds=_seconds(run, session, context.row),
        )

    def _searched(self, context: MethodContext, session: StudySession) -> Run:
        """Run the search to its end, or go on with it."""
        from nas.search import driver
        from nas.study.session import SEARCHES

        session.release()
        folder = session.run.path / SEARCHES
        path = folder / context.row
        options: dict[str, Any] = {
            "listener": session.listener,
            "workers": session.workers,
            "executor": session.executor_kind,
        }
        if not path.exists():
            return driver.search(
                self.search_config(context), runs=folder, name=context.row, **options
            )
        with Run.open(path) as run:
            if run.state() == "finished":
                return run
        return driver.resume(path, **options)

    def _judged(
        self, context: MethodContext, session: StudySession, run: Run, shortlist: list[Trial]
    ) -> dict[int, float]:
        """Return the mean validation cross-entropy of each trial, trained alone."""
        if len(shortlist) == 1:
            return {shortlist[0].number: 0.0}
        seeds = self.options.shortlist_seeds
        known = _known(session, context.row)
        lost = _known(session, context.row, SHORTLIST_FAILED)
        recipe = context.config.recipe.recipe_hash
        jobs = [
            Job(
                f"{trial.number}#{index}",
                {
                    "architecture": trial.architecture,
                    "seed": derive_seed(context.seed, "shortlist training", index),
                    "recipe": recipe,
                },
            )
            for index in range(seeds)
            for trial in shortlist
            if (trial.number, index) not in known and (trial.number, index) not in lost
        ]

        def keep(outcome: Outcome) -> None:
            trial, _, index = outcome.key.partition("#")
            head = {"row": context.row, "trial": int(trial), "index": int(index)}
            head = {**head, "seconds": round(outcome.seconds, 3)}
            if outcome.result is None:
                _log.warning("training trial %s failed: %s", trial, outcome.message)
                failed = {"reason": outcome.reason, "message": (outcome.message or "")[:500]}
                session.run.append({"kind": SHORTLIST_FAILED, **head, **failed})
            else:
                session.run.append({"kind": SHORTLIST, **head, **outcome.result})

        config = SearchConfig.model_validate(run.config)
        fingerprint = str(run.environment["data"]["fingerprint"])
        setting = session.setting(config, fingerprint, "validation")
        session.train("judging the shortlist", setting, jobs, keep, seeds * len(shortlist))
        return _means(_known(session, context.row), shortlist, seeds)


def _shortlist(run: Run, count: int) -> list[Trial]:
    """Return the feasible trials with the best inherited scores, no network twice.

    Raises:
        RunError: If the search was left before its end or nothing in it is feasible.
    """
    from nas.search.settings.goals import Goals

    goals = Goals.of(SearchConfig.model_validate(run.config))
    first = goals.names[0]
    feasible = [trial for trial in run.table().finished() if goals.feasible(trial.values)]
    feasible.sort(key=lambda trial: (trial.value(first), trial.number))
    distinct: dict[str, Trial] = {}
    for trial in feasible:
        distinct.setdefault(trained_id(load_architecture(trial.architecture)), trial)
    if not distinct:
        raise RunError(
            f"The search '{run.name}' found no member of the size asked for.",
            where=str(run.path),
            fix="Give it more trials in a new study, or widen match.tolerance.",
        )
    return list(distinct.values())[:count]


def _inherited(run: Run, trial: Trial) -> float:
    return trial.value(next(iter(trial.values)))


def _known(
    session: StudySession, row: str, kind: str = SHORTLIST
) -> dict[tuple[int, int], dict[str, Any]]:
    return {
        (int(record["trial"]), int(record["index"])): record
        for record in session.run.records()
        if record["kind"] == kind and record["row"] == row
    }


def _means(
    known: dict[tuple[int, int], dict[str, Any]], shortlist: list[Trial], seeds: int
) -> dict[int, float]:
    """Return the mean per trial; one that failed is worse than any."""
    means = {}
    for trial in shortlist:
        found = [known.get((trial.number, index)) for index in range(seeds)]
        values = [float(each["cross_entropy"]) for each in found if each is not None]
        means[trial.number] = sum(values) / seeds if len(values) == seeds else 1e9
    return means


def _seconds(run: Run, session: StudySession, row: str) -> float:
    """Return what the search and its shortlist took, interrupted owners and failures included."""
    searched = sum(
        float(record.get("wall_seconds", 0.0))
        for record in run.records()
        if record["kind"] in ("stage_finished", "stage_left")
    )
    judged = sum(
        float(each["seconds"])
        for kind in (SHORTLIST, SHORTLIST_FAILED)
        for each in _known(session, row, kind).values()
    )
    return searched + judged
