"""The front of a run as data: `front.json`, `front.csv` and `trials.parquet`, made from the log.

Pure functions of the records, so that a view made twice has the same bytes. The points are the
non-dominated feasible trials in the searched objectives as they were recorded; how sure that is,
and what the confirmation found, stands beside them and never chooses among them.

Inherited scores are compared within each family, or across families by the calibrated scores where
the verdict of `nas supernet rank` trusts these. The document's `trust` says which, and
`unverified` where there is no verdict.
"""

from __future__ import annotations

import json
from typing import Any, Final
from weakref import WeakKeyDictionary

from nas.run_store import Run, Trial, register_view
from nas.search.confirm.view import confirmation
from nas.search.front.families import with_families
from nas.search.front.points import Points
from nas.search.front.reading import PREPARE, Facts, check_is_search, is_feasible
from nas.search.front.tables import table_csv, trials_parquet
from nas.search.front.uncertainty import Uncertainty
from nas.search.ledger import ledger_document

__all__ = [
    "PREPARE",
    "SCHEMA",
    "front_csv",
    "front_document",
    "front_json",
    "front_trials",
    "is_feasible",
    "register_views",
    "table_csv",
    "trials_parquet",
]

SCHEMA: Final = "nas.front/1"
SMOKE_STAMP: Final = "smoke, not evidence"


def front_document(run: Run, *, calibrated: bool = False) -> dict[str, Any]:
    """Return the front of a run, schema `nas.front/1`; empty lists while nothing is finished.

    Args:
        run: The run.
        calibrated: Compare calibrated scores across families even where the verdict does not
            trust them.

    Raises:
        RunError: If `calibrated` is asked for and the run has no calibration, or it is a study.
    """
    check_is_search(run)
    return document_of(run, Uncertainty(Facts(run, calibrated)))


def document_of(run: Run, uncertainty: Uncertainty) -> dict[str, Any]:
    """Return the front of a run whose log has been read already, schema `nas.front/1`.

    Args:
        run: The run, a search.
        uncertainty: What noise leaves of its front, as far as it is computed.
    """
    facts = uncertainty.facts
    points = Points(facts, uncertainty)
    on_front = [points.of_trial(place) for place in uncertainty.front]
    return {
        "schema": SCHEMA,
        "run": run.name,
        "objectives": facts.objectives,
        "stamp": SMOKE_STAMP if run.config.get("preset") == "smoke" else None,
        "trust": facts.trusted(),
        "points": on_front,
        "near_front": [
            {"trial": facts.finished[place].number, "probability_front": share}
            for place, share in uncertainty.near()
        ],
        "hypervolume": uncertainty.volume(),
        "knee": _knee(facts, uncertainty),
        "constraints": _constraints(facts, on_front),
        "best_per_pattern": [
            {"pattern": family, **points.of_trial(place)}
            for family, place in facts.best_per_family().items()
        ],
        "baselines": with_families(points.baselines()),
        "simple_baselines": [dict(each) for each in facts.simple.get("classifiers", [])],
        "confirmation": confirmation(run),
        "ledger": ledger_document(run),
    }


def _knee(facts: Facts, uncertainty: Uncertainty) -> dict[str, Any] | None:
    if uncertainty.knee is None:
        return None
    place, share = uncertainty.knee
    return {"trial": facts.finished[place].number, "probability": share}


def _constraints(facts: Facts, points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return each constraint with the points of the front that its verdict is not sure of."""
    return [
        {
            **bound,
            "verdicts": {
                str(point["trial"]): point["constraints"][bound["objective"]]["verdict"]
                for point in points
            },
        }
        for bound in facts.bounds
    ]


def front_trials(run: Run) -> list[Trial]:
    """Return the trials on the front, best first objective first."""
    facts = Facts(run)
    return [facts.finished[position] for position in facts.front()]


def front_json(run: Run) -> bytes:
    """Return `front.json`."""
    return json.dumps(_current(run), indent=1, allow_nan=False).encode() + b"\n"


def front_csv(run: Run) -> bytes:
    """Return `front.csv`: one row per point, the searched objectives last."""
    return table_csv(_current(run)["points"])


_documents: WeakKeyDictionary[Run, tuple[int, dict[str, Any]]] = WeakKeyDictionary()


def _current(run: Run) -> dict[str, Any]:
    """Return the front as of the last record: two views are made of it, one after the other."""
    seen = run.table().num_records
    known = _documents.get(run)
    if known is None or known[0] != seen:
        known = _documents[run] = (seen, front_document(run))
    return known[1]


def register_views() -> None:
    """Tell the run store how the views of a search are made."""
    register_view("front.json", front_json)
    register_view("front.csv", front_csv)
    register_view("trials.parquet", trials_parquet)
