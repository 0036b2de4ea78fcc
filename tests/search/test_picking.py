"""One point of a front by a word: which, and by which figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nas.errors import ConfigError, NotFoundError
from nas.search.front.picking import is_word, pick

RUN = Path("elsewhere/run")


def point(trial: int, latency: float | None, loss: float, **more: Any) -> dict[str, Any]:
    objectives = {"cross_entropy": {"value": loss, "source": "inherited"}}
    return {"trial": trial, "latency_ms": latency, "objectives": objectives, **more}


def front(*points: dict[str, Any]) -> dict[str, Any]:
    return {"points": list(points), "knee": {"trial": 2, "probability": 0.5}}


PLAIN = front(point(1, 3.0, 0.1), point(2, 1.5, 0.2, knee=True), point(3, 0.5, 0.4))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("best", True),
        ("knee", True),
        ("under-2ms", True),
        ("under-0.25ms", True),
        ("under-2", False),
        ("under--2ms", False),
        ("12", False),
        ("", False),
    ],
)
def test_only_known_words_pick(text: str, says: bool) -> None:
    assert is_word(text) is says


@pytest.mark.parametrize(
    ("word", "trial"), [("best", 1), ("knee", 2), ("under-2ms", 2), ("under-0.5ms", 3)]
)
def test_without_retrainings_the_first_objective_decides_within_the_budget(
    word: str, trial: int
) -> None:
    assert pick(PLAIN, word, RUN).trial == trial


def test_what_was_picked_and_why_is_said() -> None:
    told = pick(PLAIN, "under-2ms", RUN).why
    assert told == (
        "trial 2: cross_entropy 0.2 (inherited), the least of 2 on the front up to 2 ms; none was "
        "trained alone, 1.5 ms"
    )
    assert pick(PLAIN, "knee", RUN).why == "knee: trial 2, the knee in 50 % of the draws, 1.5 ms"


def test_retrained_networks_are_compared_by_validation_and_never_by_test_errors() -> None:
    document = front(
        point(1, 3.0, 0.1),
        point(2, 1.5, 0.2, error_validation_mean=0.03, error_confirmed_mean=0.01),
        point(3, 0.5, 0.4, error_validation_mean=0.02, error_confirmed_mean=0.09),
    )
    picked = pick(document, "best", RUN)
    assert picked.trial == 3
    assert (
        "error 2.00 % trained alone, the least of the 2 that were retrained, of 3 on" in picked.why
    )


def test_equal_figures_go_to_the_faster_network() -> None:
    assert pick(front(point(1, 3.0, 0.1), point(2, 1.0, 0.1)), "best", RUN).trial == 2


def test_a_front_without_such_a_point_is_told_with_the_way_out() -> None:
    with pytest.raises(NotFoundError, match=r"run 'run' is empty[\s\S]*nas front elsewhere/run"):
        pick(front(), "best", RUN)
    with pytest.raises(NotFoundError, match=r"0\.1 ms or less[\s\S]*fastest takes 0\.5 ms"):
        pick(PLAIN, "under-0.1ms", RUN)
    with pytest.raises(ConfigError, match=r"has no latencies[\s\S]*elsewhere/run:best"):
        pick(front(point(1, None, 0.1)), "under-2ms", RUN)
