"""Failed trials by reason, each with what it means and the way out."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from nas.run_store import Trial
from nas.run_store.trial_rules import FAILURE_REASONS

from .plain import mapping, text
from .reading import Reading

SCHEMA = "nas.dash.failures/1"
MOST_MESSAGES = 20
MOST_TRIALS = 50
LONGEST_MESSAGE = 2000

_TOLD = {
    "nonfinite": (
        "A value came out as infinite or not a number, so it cannot be compared.",
        "Lower supernet.training.learning_rate, or raise its warmup_epochs; one such trial among "
        "many needs nothing.",
    ),
    "oom": (
        "The trial needed more memory than there was.",
        "Give the workers less to hold: fewer executor.workers, a smaller batch_size, or smaller "
        "widths and depths in the space.",
    ),
    "timeout": (
        "The trial was given up after search.trial_timeout_s.",
        "Raise search.trial_timeout_s, or let less run beside the search.",
    ),
    "crash": (
        "The evaluation ended with an error.",
        "Read the message. The error of one trial does not stop a search; if all crash alike, the "
        "space or a plugin is at fault.",
    ),
    "died": (
        "The process that evaluated the trial ended each time it was tried.",
        "Read the message. A layer or a plugin that ends its process does so for every network "
        "that has it; the search goes on without these.",
    ),
    "lost": (
        "The machine that evaluated the trial, or the way to it, was lost each time.",
        "See whether nodes of the cluster go away under load (memory, preemption), then give the "
        "run more trials.",
    ),
    "infeasible": (
        "The network breaks a bound that is known before it is evaluated.",
        "Nothing is wrong: the search learns from it. If nearly all are infeasible, loosen the "
        "constraints or offer cheaper options.",
    ),
    "unmeasured": (
        "The trial finished with predicted numbers, and measuring them failed: it is on no front.",
        "Let less run beside the search, or raise latency.max_seconds and latency.retries.",
    ),
}


def failures_document(reading: Reading) -> dict[str, Any]:
    """Return the failed trials of a run, most frequent message first within a reason."""
    by_reason: dict[str, list[tuple[Trial, str]]] = defaultdict(list)
    for trial in reading.trials:
        unmeasured = mapping(trial.extra.get("unmeasured"))
        if trial.state == "failed":
            by_reason[trial.reason or "crash"].append((trial, trial.message or ""))
        elif unmeasured:
            by_reason["unmeasured"].append((trial, text(unmeasured.get("message")) or ""))
    order = [*FAILURE_REASONS, "unmeasured"]
    return {
        "schema": SCHEMA,
        "seq": reading.seq,
        "total": sum(map(len, by_reason.values())),
        "groups": [_group(name, by_reason[name]) for name in order if name in by_reason],
    }


def _group(reason: str, failed: list[tuple[Trial, str]]) -> dict[str, Any]:
    meaning, way_out = _TOLD[reason]
    trials: dict[str, list[int]] = defaultdict(list)
    for trial, message in failed:
        trials[_one_message(message)].append(trial.number)
    ordered = sorted(trials, key=lambda message: (-len(trials[message]), trials[message][0]))
    return {
        "reason": reason,
        "count": len(failed),
        "meaning": meaning,
        "way_out": way_out,
        "messages": [
            {"message": each, "count": len(trials[each]), "trials": trials[each][:MOST_TRIALS]}
            for each in ordered[:MOST_MESSAGES]
        ],
    }


def _one_message(message: object) -> str:
    told = message if isinstance(message, str) else ""
    return told if len(told) <= LONGEST_MESSAGE else told[:LONGEST_MESSAGE] + "…"
