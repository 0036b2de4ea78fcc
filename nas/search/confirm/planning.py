"""Making a plan: which bins, which points of the front, which rivals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from nas.run_store import Run, Trial
from nas.search.confirm.arms import ARMS, ArmContext
from nas.search.confirm.plan import Plan
from nas.search.confirm.protocol import Bins, make_bins, shortlist
from nas.search.front_view import front_trials
from nas.search.ranking.trust import Trust
from nas.search.session import Session
from nas.search.settings.goals import Goals

FRONT: Final = "front"

_INHERITED: Final = ("error", "cross_entropy")


def make_plan(session: Session, total: int) -> Plan:
    """Return the plan for the front of the first `total` trials.

    Args:
        session: Of the run.
        total: Trials of the search, as the plan names them.
    """
    settings = session.config.confirm
    goals = session.goals
    cost = cost_objective(goals)
    points = front_trials(session.run)
    bins = make_bins([each.value(cost) for each in points], settings.bins) if cost else Bins()
    ordered = _best_first(session.run, points, goals, cost, bins)
    costs = [each.value(cost) if cost else None for each in ordered]
    chosen = shortlist(bins, costs, settings.shortlist)
    context = ArmContext(session, tuple(ordered[place] for row in chosen for place in row))
    candidates = [
        candidate
        for name in (FRONT, *settings.rivals)
        for candidate in ARMS.get(name)().candidates(context)
    ]
    recipes = settings.varied_recipes()
    return Plan(
        planned=total,
        cost=cost,
        bins=bins,
        candidates=tuple(candidates),
        left_out=tuple(each.to_record() for each in context.left_out),
        recipes={each.recipe_hash: each.as_dict() for each in recipes},
        seeds_a=settings.seeds_a,
        seeds_b=settings.seeds_b,
        recipe_seeds=settings.recipes.seeds,
        data=session.material.data.fingerprint,
        search_distillation=session.config.supernet.training.distillation,
    )


def cost_objective(goals: Goals) -> str | None:
    """Return the objective along which bins lie: latency, else the first cost; None without one."""
    latencies = [each.name for each in goals.every if each.family.startswith("latency")]
    here = [name for name in latencies if "@" not in name]  # behind an @ stands another device
    if latencies:
        return (here or latencies)[0]
    if len(goals.searched) < 2:
        return None
    counted = [
        each.name
        for each in goals.searched
        if each.source == "computed" and each.unit != "fraction"
    ]
    others = [each.name for each in goals.searched[1:] if each.family not in _INHERITED]
    return next(iter(counted or others), None)


def _best_first(
    run: Run, points: Sequence[Trial], goals: Goals, cost: str | None, bins: Bins
) -> list[Trial]:
    """Return the points of a front by what validation says of them, the best first.

    Raw inherited scores are not compared across families: within a bin families take turns, each
    with its best first, unless calibrated scores are trusted.
    """
    quality = next((name for name in goals.names if name != cost), goals.names[0])
    inherited = any(each.family in _INHERITED for each in goals.searched)
    trust = Trust.read(run.table(), run.records())
    calibrated = {each.number: trust.calibrated(each) for each in points} if trust.across else {}

    def score(trial: Trial) -> float:
        found = calibrated.get(trial.number)
        return trial.value(quality) if found is None else found

    turns: Counter[tuple[int, str]] = Counter()
    placed: list[tuple[int, float, int, Trial]] = []
    for trial in sorted(points, key=lambda each: (score(each), each.number)):
        apart = inherited and not trust.across
        group = (
            bins.find(trial.value(cost) if cost else None),
            str(trial.extra.get("family", "")) if apart else "",
        )
        turn = turns[group] if apart else 0
        turns[group] += 1
        placed.append((turn, score(trial), trial.number, trial))
    return [each[-1] for each in sorted(placed, key=lambda each: each[:3])]
