"""Where the weights of a trial may come from, read from the log alone.

The order of preference: trained by `nas arch train`, for that is what somebody asked for; kept by
the confirmation, which trained on all training images; inherited from the supernet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, final

from nas.errors import ConfigError, NotFoundError
from nas.registry import suggest
from nas.run_store import Run
from nas.run_store.layout import typed
from nas.search.confirm.results import TESTED

TRAINED_RECORD: Final = "network_trained"
"""Kind of the record that `nas arch train` leaves."""

SUPERNET_STAGE: Final = "supernet"

Kind = Literal["trained", "confirmed", "inherited"]
KINDS: Final[tuple[Kind, ...]] = ("trained", "confirmed", "inherited")
AUTOMATIC: Final = "auto"


@final
@dataclass(frozen=True)
class Source:
    """Weights of a trial.

    Args:
        kind: Where they come from.
        sha256: Of the file in `weights/`: of the network itself, or of the whole supernet.
        record: The record that names them; that of the stage for a supernet.
    """

    kind: Kind
    sha256: str
    record: Mapping[str, Any]


def sources_of(run: Run, number: int) -> list[Source]:
    """Return the weights of a trial that are there, those to be preferred first.

    Of several networks that `nas arch train` kept, the last one comes first.
    """
    records = run.records()
    own = [each for each in records if each.get("trial") == number and each.get("weights")]
    trained = [each for each in reversed(own) if each["kind"] == TRAINED_RECORD]
    # More trials bring another confirmation; the last one is about the front as it is now.
    confirmed = [each for each in reversed(own) if each["kind"] == TESTED]
    found = [Source("trained", str(each["weights"]), each) for each in trained]
    found += [Source("confirmed", str(each["weights"]), each) for each in confirmed]
    stage = run.table().stages.get(SUPERNET_STAGE)
    if stage is not None and stage.state == "finished" and stage.checkpoint:
        found.append(Source("inherited", stage.checkpoint, stage.finish))
    return found


def choose_source(run: Run, number: int, wanted: str = AUTOMATIC) -> Source:
    """Return the weights to take for a trial.

    Args:
        run: The run.
        number: Of the trial.
        wanted: `auto`, or one of the kinds.

    Raises:
        ConfigError: If `wanted` is none of these.
        NotFoundError: If the trial has no such weights.
    """
    known = [AUTOMATIC, *KINDS]
    if wanted not in known:
        near = suggest(wanted, known)
        raise ConfigError(
            f"There are no weights '{wanted[:40]}'.",
            where="--weights",
            fix=(f"Did you mean '{near}'? " if near else "") + f"Write one of: {', '.join(known)}.",
        )
    there = sources_of(run, number)
    fitting = [each for each in there if wanted in (AUTOMATIC, each.kind)]
    if fitting:
        return fitting[0]
    raise NotFoundError(
        f"Trial {number} of run '{run.path.name}' has no "
        + ("weights." if wanted == AUTOMATIC else f"weights '{wanted}'."),
        where=str(run.path),
        why=_why_none(wanted, there),
        fix=f"Train it: nas arch train {typed(run.path)}:{number}",
    )


def _why_none(wanted: str, there: Sequence[Source]) -> str:
    reasons = {
        "trained": "It was not trained by `nas arch train`.",
        "confirmed": "The confirmation keeps networks that it named for a range of cost only.",
        "inherited": "The run trained no supernet, or has not finished training it.",
        AUTOMATIC: "The run trained no supernet, and nothing trained this network alone.",
    }
    kinds = list(dict.fromkeys(each.kind for each in there))
    return reasons[wanted] + (f" It has: {', '.join(kinds)}." if kinds else "")
