"""The ledger of a run: what each part of it spent, read from the log and the config alone.

A comparison at equal cost needs one price for everything. Work on a CPU costs its time times the
threads it computes with; work on an accelerator costs its time. Waiting for a device on which
somebody measures is no work. Jobs that run beside each other are each charged their own time, so
the price of a search does not depend on the number of workers as long as they do not slow one
another down.

Every piece of work writes its seconds into the record that closes it. What a killed owner spent is
counted as far as its last record tells, and a row says how many pieces there are whose rest nobody
knows: it is never guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Self, final

from nas.run_store import Run

RELAX: Final = "relax"
SUPERNET: Final = "supernet"
EXPLORE: Final = "explore"
MEASURING: Final = "measuring"
SEARCH_PARTS: Final = (RELAX, SUPERNET, EXPLORE, MEASURING)
"""What a search spends before anything is confirmed: as much may a rival at equal cost spend."""

RANDOM_SUPERNET: Final = "random_supernet"
"""Stage in which the arm `random_weight_sharing` trains weights of its own."""

BASELINES: Final = "baselines"
"""Trainings of hand-made and random networks, with the seeds and recipes of the searched ones."""

_ORDER: Final = (
    *SEARCH_PARTS,
    "random_halving",
    "random_weight_sharing",
    "measuring candidates",
    "seeds A",
    "seeds B",
    "recipes",
    BASELINES,
    "confirm",
    "rank",
)
_TRAININGS: Final = {RELAX: RELAX, SUPERNET: SUPERNET, RANDOM_SUPERNET: "random_weight_sharing"}
"""Stages that are one training each, and the part that pays for it."""

_CONFIRM_KINDS: Final = (
    "confirm_validated",
    "confirm_validation_failed",
    "confirm_finished",
    "confirm_failed",
)
_RANK_KINDS: Final = ("rank_truth", "rank_truth_failed", "rank_scores", "zero_cost_scores")


@final
@dataclass(frozen=True)
class Spending:
    """One row of the ledger.

    Args:
        part: What the time was spent on.
        jobs: Pieces of work that the log knows to be over.
        seconds: Their time without waiting, added up.
        device_s: Their device-seconds.
        wall_s: Time that passed for the driver, where the part is a stage of its own; with several
            workers it is less than `seconds`.
        unknown: Pieces of work that ended without a word (a killed owner, an attempt that was given
            up): what they spent after their last record is not in this row.
    """

    part: str
    jobs: int = 0
    seconds: float = 0.0
    device_s: float = 0.0
    wall_s: float | None = None
    unknown: int = 0


def ledger(run: Run) -> list[Spending]:
    """Return what every part of a run spent, in the order of the work; parts without any are out.

    Args:
        run: The run; its log and its settings are read, nothing is measured.
    """
    book = _Book(Prices.of(run))
    for record in run.records():
        book.read(record)
    return book.rows()


def search_cost(rows: Iterable[Spending]) -> float:
    """Return the device-seconds of the search itself: what a rival at equal cost may spend."""
    return sum(row.device_s for row in rows if row.part in SEARCH_PARTS)


def training_cost(run: Run, stage: str) -> float:
    """Return the device-seconds of one stage that is a training, over all its owners."""
    book = _Book(Prices.of(run))
    for record in run.records():
        if record["kind"] == "run_resumed" or record.get("stage") == stage:
            book.read(record)
    return sum(row.device_s for row in book.rows())


def ledger_document(run: Run) -> dict[str, Any]:
    """Return the ledger as `front.json` carries it."""
    rows = ledger(run)
    return {
        "unit": "device-seconds",
        "search_device_s": round(search_cost(rows), 3),
        "total_device_s": round(sum(row.device_s for row in rows), 3),
        "unknown": sum(row.unknown for row in rows),
        "rows": [asdict(row) for row in rows],
    }


@final
class Prices:
    """What a second of each kind of work costs.

    Args:
        config: Settings of the run.
        device: Where it computes.
    """

    def __init__(self, config: Mapping[str, Any], device: str) -> None:
        self._on_cpu = device.partition(":")[0] == "cpu"
        self.training = self._threads(config, "supernet", "threads")
        self.evaluation = self._threads(config, "search", "threads_per_evaluation")
        self.measuring = self._threads(config, "latency", "threads")

    @classmethod
    def of(cls, run: Run) -> Self:
        """Return the prices of a run."""
        return cls(run.config, str(run.environment.get("device", "cpu")))

    def of_arm(self, record: Mapping[str, Any]) -> float:
        """Return the device-seconds of a piece of work that an arm closed."""
        evaluating = float(record["seconds"]) * self.evaluation
        return evaluating + float(record.get("measuring_seconds", 0.0)) * self.measuring

    def _threads(self, config: Mapping[str, Any], part: str, key: str) -> int:
        return int(config.get(part, {}).get(key, 1)) if self._on_cpu else 1


@final
class _Book:
    """Adds up the records of a log, one after another."""

    def __init__(self, prices: Prices) -> None:
        self.prices = prices
        self._rows: dict[str, Spending] = {}
        self._open_stages: dict[str, float] = {}
        self._asked: set[int] = set()
        self._arm_jobs: dict[str, str] = {}
        self._stage_measuring_s = 0.0

    def read(self, record: Mapping[str, Any]) -> None:
        """Take in the next record."""
        reader = _READERS.get(str(record["kind"]))
        if reader is not None:
            reader(self, record)

    def rows(self) -> list[Spending]:
        """Return the rows in the order of the work, once every record was read."""
        for stage, seconds in self._open_stages.items():
            if stage in _TRAININGS and seconds:
                self._charge(_TRAININGS[stage], seconds, self.prices.training)
        places = {part: place for place, part in enumerate(_ORDER)}
        found = sorted(self._rows.values(), key=lambda row: places.get(row.part, len(places)))
        return [_rounded(row) for row in found]

    def _charge(self, part: str, seconds: float, price: int, *, jobs: int = 1) -> None:
        self._change(part, jobs=jobs, seconds=seconds, device_s=seconds * price)

    def _change(self, part: str, **more: float) -> None:
        row = self._rows.get(part, Spending(part))
        grown: dict[str, Any] = {
            key: (getattr(row, key) or 0) + value for key, value in more.items()
        }
        self._rows[part] = replace(row, **grown)

    def _take_started(self, record: Mapping[str, Any]) -> None:
        stage = str(record["stage"])
        self._open_stages[stage] = 0.0
        if stage == EXPLORE:
            self._stage_measuring_s = 0.0

    def _take_checkpoint(self, record: Mapping[str, Any]) -> None:
        self._open_stages[str(record["stage"])] = float(record.get("seconds", 0.0))

    def _take_ended(self, record: Mapping[str, Any]) -> None:
        stage = str(record["stage"])
        self._open_stages.pop(stage, None)
        wall = float(record.get("wall_seconds", 0.0))
        if stage in _TRAININGS:
            part = _TRAININGS[stage]
            self._charge(part, float(record.get("seconds", wall)), self.prices.training)
            if part == stage:
                self._change(part, wall_s=wall)
        elif stage == EXPLORE:
            self._change(EXPLORE, wall_s=max(0.0, wall - self._stage_measuring_s))
        elif stage == "confirm" and record["kind"] == "stage_left":
            # Trainings under way when it was left have no record.
            self._change("confirm", unknown=1)

    def _take_new_owner(self, record: Mapping[str, Any]) -> None:
        """Close what a killed owner left open: a stage that ends in good order says so."""
        for stage, seconds in self._open_stages.items():
            if stage in _TRAININGS:
                self._charge(_TRAININGS[stage], seconds, self.prices.training)
                self._change(_TRAININGS[stage], unknown=1)
            elif stage == "confirm":
                self._change("confirm", unknown=1)
        self._open_stages.clear()
        for part in self._arm_jobs.values():
            self._change(part, unknown=1)
        self._arm_jobs.clear()

    def _take_asked(self, record: Mapping[str, Any]) -> None:
        number = int(record["trial"])
        if number in self._asked:
            self._change(EXPLORE, unknown=1)  # an earlier attempt was given up
        self._asked.add(number)

    def _take_trial(self, record: Mapping[str, Any]) -> None:
        self._asked.discard(int(record["trial"]))
        self._charge(EXPLORE, float(record.get("seconds", 0.0)), self.prices.evaluation)
        measuring = float(record.get("measuring_seconds", 0.0))
        if measuring:
            self._charge(MEASURING, measuring, self.prices.measuring)
            self._change(MEASURING, wall_s=measuring)
            self._stage_measuring_s += measuring

    def _take_measured(self, record: Mapping[str, Any]) -> None:
        seconds = float(record.get("measuring_seconds", 0.0))
        self._charge(MEASURING, seconds, self.prices.measuring)
        self._change(MEASURING, wall_s=seconds)

    def _take_arm_asked(self, record: Mapping[str, Any]) -> None:
        self._arm_jobs |= {f"{record['arm']} {key}": str(record["arm"]) for key in record["keys"]}

    def _take_arm_closed(self, record: Mapping[str, Any]) -> None:
        arm = str(record["arm"])
        self._arm_jobs.pop(f"{arm} {record['key']}", None)
        seconds = float(record["seconds"]) + float(record.get("measuring_seconds", 0.0))
        self._change(arm, jobs=1, seconds=seconds, device_s=self.prices.of_arm(record))

    def _take_candidate_measured(self, record: Mapping[str, Any]) -> None:
        seconds = float(record.get("seconds", 0.0))
        self._charge("measuring candidates", seconds, self.prices.measuring)

    def _take_confirmed(self, record: Mapping[str, Any]) -> None:
        self._charge(_confirm_part(record), float(record["seconds"]), self.prices.evaluation)

    def _take_simple(self, record: Mapping[str, Any]) -> None:
        self._charge(BASELINES, float(record.get("seconds", 0.0)), 1)

    def _take_rank(self, record: Mapping[str, Any]) -> None:
        if "taken_from" not in record:  # else another run paid for it
            self._charge("rank", float(record.get("seconds", 0.0)), self.prices.evaluation)


def _confirm_part(record: Mapping[str, Any]) -> str:
    """Return which part of the confirmation a training belongs to."""
    return str(record["purpose"]) if record["role"] == "searched" else BASELINES


def _rounded(row: Spending) -> Spending:
    wall = None if row.wall_s is None else round(row.wall_s, 3)
    device, seconds = round(row.device_s, 3), round(row.seconds, 3)
    return Spending(row.part, row.jobs, seconds, device, wall, row.unknown)


_READERS: Final[Mapping[str, Callable[[_Book, Mapping[str, Any]], None]]] = {
    "stage_started": _Book._take_started,
    "checkpoint_saved": _Book._take_checkpoint,
    "stage_finished": _Book._take_ended,
    "stage_left": _Book._take_ended,
    "run_resumed": _Book._take_new_owner,
    "trial_asked": _Book._take_asked,
    "trial_finished": _Book._take_trial,
    "trial_failed": _Book._take_trial,
    "trial_measured": _Book._take_measured,
    "trial_unmeasured": _Book._take_measured,
    "arm_asked": _Book._take_arm_asked,
    "arm_result": _Book._take_arm_closed,
    "arm_failed": _Book._take_arm_closed,
    "confirm_measured": _Book._take_candidate_measured,
    **dict.fromkeys(_CONFIRM_KINDS, _Book._take_confirmed),
    "simple_baselines": _Book._take_simple,
    **dict.fromkeys(_RANK_KINDS, _Book._take_rank),
}
