"""What the log says of a confirmation's trainings: figures by network, purpose and seed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, final

from nas.search.confirm.plan import RECIPES, SEEDS_A, SEEDS_B, Plan
from nas.search.confirm.protocol import Entrant, Named, Scores, name_entrants
from nas.search.executors.tune.early_stopping import STOPPED

MEASURED: Final = "confirm_measured"
VALIDATED: Final = "confirm_validated"
VALIDATION_FAILED: Final = "confirm_validation_failed"
TESTED: Final = "confirm_finished"
TEST_FAILED: Final = "confirm_failed"
JUDGED: Final = "confirm_judged"

_VALIDATIONS: Final = (VALIDATED, VALIDATION_FAILED)
_CLOSED: Final = (VALIDATED, VALIDATION_FAILED, TESTED, TEST_FAILED)

TrainingKey = tuple[str, str, str, int]
"""Part that scores it, candidate, recipe, index of the seed."""


@final
class Results:
    """Trainings and measurements of a run's confirmations, read once.

    Args:
        records: The log.
    """

    def __init__(self, records: Iterable[Mapping[str, Any]]) -> None:
        self.closed: dict[TrainingKey, Mapping[str, Any]] = {}
        self.measured: dict[str, Mapping[str, Any]] = {}
        self.judged: list[Mapping[str, Any]] = []
        for record in records:
            self.read(record)

    def read(self, record: Mapping[str, Any]) -> None:
        """Take in one more record."""
        kind = record["kind"]
        if kind in _CLOSED:
            part = "validation" if kind in _VALIDATIONS else "test"
            key = (part, str(record["candidate"]), str(record["recipe_hash"]))
            # A training is closed once; should it be there twice, the first one counts.
            self.closed.setdefault((*key, int(record["seed_index"])), record)
        elif kind == MEASURED:
            self.measured[str(record["candidate"])] = record
        elif kind == JUDGED:
            self.judged.append(record)

    def scores(self, part: str, key: str, recipe: str, seeds: int) -> Scores:
        """Return errors by seed of one network under one recipe; failed ones are missing."""
        found = {}
        for index in range(seeds):
            record = self.closed.get((part, key, recipe, index), {})
            if f"{part}_error" in record:
                found[index] = float(record[f"{part}_error"])
        return found

    def failed(self, part: str, key: str, recipe: str, seeds: int) -> list[str]:
        """Return why trainings of a network failed."""
        records = (self.closed.get((part, key, recipe, index), {}) for index in range(seeds))
        return [str(record["reason"]) for record in records if "reason" in record]

    def ranking(self, plan: Plan, key: str) -> Scores:
        """Return the validation errors of a network with seeds A; none if one was stopped early.

        What the others came to says too little then, and nobody is named by it.
        """
        if STOPPED in self.failed("validation", key, plan.recipe, plan.seeds_a):
            return {}
        return self.scores("validation", key, plan.recipe, plan.seeds_a)

    def tests(self, plan: Plan, key: str) -> Scores:
        """Return the test errors of a network with seeds B."""
        return self.scores("test", key, plan.recipe, plan.seeds_b)

    def resolution(self, plan: Plan) -> float:
        """Return the step of a test error, 1 / test images; 0 where nothing was tested."""
        for (part, _, recipe, _), record in self.closed.items():
            if part == "test" and recipe == plan.recipe and "test_images" in record:
                return 1 / float(record["test_images"])
        return 0.0


def costs(plan: Plan, results: Results, trials: Mapping[int, Any]) -> dict[str, float | None]:
    """Return the cost of every candidate: of trials what the search found, else what was measured.

    Args:
        plan: The plan.
        results: Holds the measurements.
        trials: Trials of the run by number.
    """
    found: dict[str, float | None] = {}
    for each in plan.candidates:
        values = results.measured.get(each.key, {}).get("values", {})
        if each.trial is not None:
            values = trials[each.trial].values
        entry = values.get(plan.cost, {}) if plan.cost else {}
        found[each.key] = None if entry.get("value") is None else float(entry["value"])
    return found


def entrants(plan: Plan, results: Results, cost: Mapping[str, float | None]) -> list[Entrant]:
    """Return the candidates of a plan as the protocol sees them.

    One bin of a rival without cost is the last: nothing says that it fits a smaller budget.
    """
    return [
        Entrant(each.key, each.kind, cost[each.key], results.ranking(plan, each.key))
        for each in plan.candidates
    ]


def names(plan: Plan, results: Results, cost: Mapping[str, float | None]) -> list[Named]:
    """Return who is named, once every training with seeds A is over."""
    return name_entrants(plan.bins, entrants(plan, results, cost))


def named_keys(named: Iterable[Named]) -> list[str]:
    """Return the keys of all named networks, each once, in order."""
    keys = (
        key for each in named if each.candidate for key in (each.candidate, *each.rivals.values())
    )
    return list(dict.fromkeys(keys))


def wanted(plan: Plan, purpose: str, keys: Iterable[str]) -> list[TrainingKey]:
    """Return the trainings of a purpose, seed by seed so that pairs are complete early."""
    keys = list(keys)
    if purpose == SEEDS_A:
        return [("validation", key, plan.recipe, i) for i in range(plan.seeds_a) for key in keys]
    if purpose == SEEDS_B:
        return [("test", key, plan.recipe, i) for i in range(plan.seeds_b) for key in keys]
    assert purpose == RECIPES, purpose
    return [
        ("validation", key, recipe, index)
        for recipe in plan.recipes
        for index in range(plan.recipe_seeds)
        for key in keys
    ]
