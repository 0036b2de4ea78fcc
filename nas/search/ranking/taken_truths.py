"""Truths of another run, copied into a run that they are true of as well."""

from __future__ import annotations

from typing import Any, Final

from nas.errors import RunError
from nas.run_store import Run
from nas.search.ranking.stage import TRUTH, ZERO_COST_SCORES, RankSettings, truths_of

_SAME_DATA: Final = ("image_size", "max_train_images", "max_train_megapixels")


def take_truths(run: Run, other: Run, settings: RankSettings) -> int:
    """Copy the truths of another run of the same space, data and seed; return how many are new.

    Its zero-cost scores come with them: they depend on the same things.

    Raises:
        RunError: If the runs differ in what a truth depends on, or the other has no such truth.
    """
    for what, (mine, theirs) in _differences(run, other).items():
        if mine != theirs:
            raise RunError(
                f"The truths of run '{other.name}' are not those of run '{run.name}': its {what} "
                f"is {theirs}, not {mine}.",
                why="A truth depends on the space, the data, their split and the seed.",
                fix="Name a run that agrees in them, or train the members here: leave out --truth.",
            )
    wanted = settings.recipe.recipe_hash
    found = truths_of(other.records(), wanted)
    if not found:
        recipes = sorted({str(r["recipe"]) for r in other.records() if r["kind"] == TRUTH})
        raise RunError(
            f"Run '{other.name}' has no truths of the recipe {wanted}.",
            where=str(other.path),
            why=f"It has those of: {', '.join(recipes) or 'none'}.",
            fix="Choose the same --epochs, or leave out --truth.",
        )
    known = truths_of(run.records(), wanted)
    new = [record for key, record in found.items() if key not in known]
    counted = {r["member"] for r in run.records() if r["kind"] == ZERO_COST_SCORES}
    scores = [
        record
        for record in other.records()
        if record["kind"] == ZERO_COST_SCORES and record["member"] not in counted
    ]
    for record in (*new, *scores):
        run.append({**record, "taken_from": other.name})
    return len(new)


def _differences(run: Run, other: Run) -> dict[str, tuple[Any, Any]]:
    pairs: dict[str, tuple[Any, Any]] = {
        f"{part} fingerprint": (
            run.environment.get(part, {}).get("fingerprint"),
            other.environment.get(part, {}).get("fingerprint"),
        )
        for part in ("space", "data")
    }
    for key in (*_SAME_DATA, "seed"):
        pairs[key] = (run.config.get(key), other.config.get(key))
    return pairs
