"""The plan of a confirmation: who, which bins, which seeds, which recipes - before any training.

It is one record. What a training finds later changes neither who takes part nor where bins end, so
a resumed run, another executor or another order of results confirms the same networks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self, final

from nas.search.confirm.candidate import Candidate
from nas.search.confirm.protocol import Bins
from nas.seeds import derive_seed

PLANNED: Final = "confirm_planned"
SEEDS_A: Final = "seeds A"
SEEDS_B: Final = "seeds B"
RECIPES: Final = "recipes"

_PURPOSES: Final = {SEEDS_A: "confirm ranking", SEEDS_B: "confirm"}


@final
@dataclass(frozen=True)
class Plan:
    """What a confirmation does.

    Args:
        planned: Trials of the search whose front it is about.
        cost: Objective along which the bins lie; None where there is one bin.
        bins: The bins.
        candidates: All networks, searched ones first.
        left_out: Competitors that could not be had, as records.
        recipes: Settings of all recipes by hash; the first is that of seeds A and B.
        seeds_a: Trainings per network that rank.
        seeds_b: Trainings per named network that judge.
        recipe_seeds: Trainings per named network and recipe.
        data: Fingerprint of the data.
        search_distillation: Share of soft labels in the loss that trained the supernet; trainings
            of a confirmation never use any.
    """

    planned: int
    cost: str | None
    bins: Bins
    candidates: tuple[Candidate, ...]
    left_out: tuple[Mapping[str, Any], ...]
    recipes: Mapping[str, Mapping[str, Any]]
    seeds_a: int
    seeds_b: int
    recipe_seeds: int
    data: str
    search_distillation: float

    @property
    def recipe(self) -> str:
        """Hash of the recipe of seeds A and B."""
        return next(iter(self.recipes))

    def to_record(self) -> dict[str, Any]:
        """Return the record of the plan."""
        return {
            "kind": PLANNED,
            "planned": self.planned,
            "cost": self.cost,
            "edges": list(self.bins.edges),
            "recipe_hash": self.recipe,
            "recipes": [
                {"recipe_hash": name, **settings} for name, settings in self.recipes.items()
            ],
            "seeds_a": self.seeds_a,
            "seeds_b": self.seeds_b,
            "recipe_seeds": self.recipe_seeds,
            "data": self.data,
            "distillation": False,
            "search_distillation": self.search_distillation,
            "candidates": [each.to_record() for each in self.candidates],
            "left_out": [dict(each) for each in self.left_out],
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Return the plan that a record holds."""
        recipes = {
            str(each["recipe_hash"]): {key: each[key] for key in each if key != "recipe_hash"}
            for each in record["recipes"]
        }
        return cls(
            planned=int(record["planned"]),
            cost=record["cost"],
            bins=Bins(tuple(record["edges"])),
            candidates=tuple(Candidate.from_record(each) for each in record["candidates"]),
            left_out=tuple(record["left_out"]),
            recipes=recipes,
            seeds_a=int(record["seeds_a"]),
            seeds_b=int(record["seeds_b"]),
            recipe_seeds=int(record["recipe_seeds"]),
            data=str(record["data"]),
            search_distillation=float(record["search_distillation"]),
        )


def read_plans(records: Iterable[Mapping[str, Any]]) -> list[Plan]:
    """Return the plans of a log in their order; more trials bring another one."""
    return [Plan.from_record(record) for record in records if record["kind"] == PLANNED]


def confirm_seed(run_seed: int, purpose: str, index: int) -> int:
    """Return a seed of a training; all networks share it, so that their trainings are pairs.

    Args:
        run_seed: Seed of the run.
        purpose: `seeds A` or `seeds B`; recipes use seeds A.
        index: Which of them, from 0.
    """
    return derive_seed(run_seed, _PURPOSES[SEEDS_A if purpose == RECIPES else purpose], index)
