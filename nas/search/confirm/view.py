"""What a run's log says of its confirmation, as `front.json` carries it under `confirmation`.

A pure function of the log: figures that chose (validation, seeds A and recipes) and figures that
judge (test, seeds B) stand in separate fields, and nothing is averaged over both.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Final, final

from nas.run_store import Run
from nas.search.confirm.plan import SEEDS_A, SEEDS_B, Plan, confirm_seed, read_plans
from nas.search.confirm.protocol import CONFIDENCE, FEWEST_PAIRS, Scores
from nas.search.confirm.results import Results, costs
from nas.statistics import kendall_w

UNCONFIRMED: Final[dict[str, Any]] = {
    "error_validation_mean": None,
    "error_validation_std": None,
    "validation_seeds": 0,
    "error_confirmed_mean": None,
    "error_confirmed_std": None,
    "confirmed_seeds": 0,
}
"""What `confirmed_errors` says of a network that was not retrained."""

CORRECTION: Final = "Holm over all bins that this run judged"


def confirmation(run: Run) -> dict[str, Any] | None:
    """Return the last confirmation of a run; None where none was planned.

    Keys: `planned` (trials), `state` (`running` or `finished`), `look` (how many confirmations this
    run has had, None before the verdicts), `cost` and `unit` of the bins, `recipe_hash`, `data`
    (fingerprint), `distillation`, `search_distillation`, `seeds_a`, `seeds_b`, `fewest_pairs`,
    `confidence`, `correction`, `bins` (the verdicts), `entrants` (every network with both kinds of
    figures), `left_out`, and `recipes` (rank stability, None where one recipe was used).
    """
    records = run.records()
    plans = read_plans(records)
    if not plans:
        return None
    return _View(run, plans[-1], Results(records)).document()


def confirmed_errors(run: Run) -> dict[str, dict[str, Any]]:
    """Return mean, deviation and count of a network's errors by its key, for tables.

    Fields: `error_validation_mean`, `error_validation_std`, `validation_seeds` (seeds A) and
    `error_confirmed_mean`, `error_confirmed_std`, `confirmed_seeds` (seeds B, test images).
    """
    records = run.records()
    results = Results(records)
    found: dict[str, dict[str, Any]] = {}
    for plan in read_plans(records):
        for each in plan.candidates:
            ranked = _spread(results.ranking(plan, each.key))
            tested = _spread(results.tests(plan, each.key))
            figures = (*ranked.values(), *tested.values())
            found[each.key] = dict(zip(UNCONFIRMED, figures, strict=True))
    return found


def _spread(scores: Scores) -> dict[str, Any]:
    values = [scores[index] for index in sorted(scores)]
    return {
        "mean": math.fsum(values) / len(values) if values else None,
        "std": statistics.stdev(values) if len(values) > 1 else None,
        "seeds": len(values),
    }


@final
class _View:
    """One plan and what came of it."""

    def __init__(self, run: Run, plan: Plan, results: Results) -> None:
        self.run = run
        self.plan = plan
        self.results = results
        self.table = run.table()
        self.cost = costs(plan, results, self.table.trials)
        self.by_key = {each.key: each for each in plan.candidates}
        judged = [record for record in results.judged if record["planned"] == plan.planned]
        self.judged: Mapping[str, Any] = judged[-1] if judged else {}

    def document(self) -> dict[str, Any]:
        plan, seed = self.plan, int(self.run.config.get("seed", 0))
        stage = self.table.stages.get("confirm")
        over = stage is not None and stage.finish.get("planned") == plan.planned
        return {
            "planned": plan.planned,
            "state": "finished" if over else "running",
            "look": self.judged.get("look"),
            "cost": plan.cost,
            "unit": self._unit(),
            "recipe_hash": plan.recipe,
            "data": plan.data,
            "distillation": False,
            "search_distillation": plan.search_distillation,
            "seeds_a": [confirm_seed(seed, SEEDS_A, index) for index in range(plan.seeds_a)],
            "seeds_b": [confirm_seed(seed, SEEDS_B, index) for index in range(plan.seeds_b)],
            "fewest_pairs": FEWEST_PAIRS,
            "confidence": CONFIDENCE,
            "correction": CORRECTION,
            "bins": [self._bin(record) for record in self.judged.get("bins", [])],
            "entrants": [self._entrant(key) for key in self.by_key],
            "left_out": [dict(each) for each in plan.left_out],
            "recipes": self._recipes(),
        }

    def _unit(self) -> str | None:
        prepared = self.table.stages.get("prepare")
        described = prepared.finish.get("objectives", []) if prepared else []
        found = {str(each["name"]): str(each["unit"]) for each in described}
        if self.plan.cost in found:
            return found[self.plan.cost]
        return "ms" if (self.plan.cost or "").startswith("latency_ms") else None

    def _bin(self, record: Mapping[str, Any]) -> dict[str, Any]:
        place = int(record["bin"])
        return {
            **record,
            "above": self.plan.bins.upper(place - 1) if place else None,
            "up_to": self.plan.bins.upper(place),
            "candidate": self._entrant(record["candidate"]) if record["candidate"] else None,
            "comparisons": [
                {**each, "rival": self._entrant(each["rival"])} for each in record["comparisons"]
            ],
        }

    def _entrant(self, key: str) -> dict[str, Any]:
        plan, results, candidate = self.plan, self.results, self.by_key[key]
        return {
            "key": key,
            "name": candidate.name,
            "kind": candidate.kind,
            "arm": candidate.arm,
            "trial": candidate.trial,
            "wiring": candidate.wiring,
            "note": candidate.note,
            "cost_device_s": candidate.cost_device_s,
            "bin": plan.bins.find(self.cost[key]),
            "cost": self.cost[key],
            "not_measured": results.measured.get(key, {}).get("failure"),
            "validation": _spread(results.ranking(plan, key)),
            "validation_failures": results.failed("validation", key, plan.recipe, plan.seeds_a),
            "test": _spread(results.tests(plan, key)),
            "test_failures": results.failed("test", key, plan.recipe, plan.seeds_b),
        }

    def _recipes(self) -> dict[str, Any] | None:
        """Return validation errors of the named networks under all recipes, and their agreement."""
        rows = [
            [each["candidate"], *(other["rival"] for other in each["comparisons"])]
            for each in self.judged.get("bins", [])
            if each["candidate"]
        ]
        keys = list(dict.fromkeys(key for row in rows for key in row))
        if len(self.plan.recipes) < 2 or not keys:
            return None
        errors = {recipe: self._under(recipe, keys) for recipe in self.plan.recipes}
        complete = [
            recipe
            for recipe, found in errors.items()
            if all(found[key] is not None for key in keys)
        ]
        return {
            "recipes": [
                {
                    "recipe_hash": name,
                    "learning_rate": settings["learning_rate"],
                    "weight_decay": settings["weight_decay"],
                    "errors": errors[name],
                }
                for name, settings in self.plan.recipes.items()
            ],
            "complete": len(complete),
            "kendall_w": _agreement([errors[recipe] for recipe in complete], keys),
            "bins": [self._stability(row, errors) for row in rows],
        }

    def _under(self, recipe: str, keys: Sequence[str]) -> dict[str, float | None]:
        seeds = self.plan.recipe_seeds
        return {
            key: _spread(self.results.scores("validation", key, recipe, seeds))["mean"]
            for key in keys
        }

    def _stability(
        self, row: Sequence[str], errors: Mapping[str, Mapping[str, float | None]]
    ) -> dict[str, Any]:
        """Return under how many recipes the candidate of a bin comes first."""
        candidate, *rivals = row
        first = of = 0
        for found in errors.values():
            own, others = found[candidate], [found[key] for key in rivals]
            known = [each for each in others if each is not None]
            if own is not None and known and len(known) == len(others):
                of += 1
                first += all(own < other for other in known)
        return {"candidate": candidate, "rivals": rivals, "first": first, "of": of}


def _agreement(tables: Sequence[Mapping[str, float | None]], keys: Sequence[str]) -> float | None:
    """Return Kendall's W of the recipes; None where fewer than 2 ranked 2 networks or more."""
    if len(tables) < 2 or len(keys) < 2:
        return None
    return kendall_w([[float(table[key] or 0.0) for key in keys] for table in tables])
