"""`nas front` in plain words: bars, ties, the knee, what may be on the front as well."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from noisy_runs import noisy_run, noisy_trial

from nas.cli.front import front_lines
from nas.search.ranking.trust import CALIBRATED, PER_FAMILY

RAW = "  (over raw scores of several families)"
Nas = Callable[..., Any]


@pytest.fixture
def noisy(tmp_path: Path) -> Path:
    """A run whose trials 1 and 2 cannot be told apart, 1 being the knee, and 4 just behind."""
    along, against = (0.3, -0.3), (-0.3, 0.3)
    trials = [
        noisy_trial(1.0, 1.0),
        noisy_trial(0.3, 1.3, along),
        noisy_trial(0.29, 1.305, against, unstable=True),
        noisy_trial(0.2, 3.0),
        noisy_trial(0.305, 1.306, along),
    ]
    return noisy_run(tmp_path, trials, upper=3.01, name="noisy").path


def test_the_table_says_how_sure_the_front_is(noisy: Path, nas: Nas) -> None:
    out = nas("front", noisy).out
    head, *rows = [line for line in out.splitlines() if line][1 if "ranking" in out else 0 :]
    while "P(front)" not in head:
        head, *rows = rows
    assert "remarks" in head
    row = {line.split()[0]: line for line in rows}
    assert "1.3 ± 0.013" in row["1"] and "0.3 ± 0.039" in row["1"] and "10.00 ± 2" in row["1"]
    assert "ties: 2" in row["1"] and "ties: 1" in row["2"] and "unstable" in row["2"]
    assert sum("knee;" in line for line in rows) == 1
    assert "\nknee: trial " in out and "% of the draws" in out
    assert "may be on the front as well, P(front) in brackets: 4 (0." in out
    assert "hypervolume: " in out and "below cross_entropy" in out
    assert "kept by 3 of 4 points (measured); not told apart from the bound: 3" in out
    assert max(map(len, out.splitlines())) <= 100


def test_what_all_points_are_flagged_with_is_said_once(tmp_path: Path, nas: Nas) -> None:
    trials = [noisy_trial(1.0, 1.0, busy=True), noisy_trial(0.3, 1.3, busy=True, unstable=True)]
    out = nas("front", noisy_run(tmp_path, trials, name="busy").path).out
    assert out.count("busy") == 1 and "\nevery point: busy\n" in out
    assert "unstable" in next(line for line in out.splitlines() if line.strip().startswith("1 "))


def test_the_knee_alone_can_be_asked_for(noisy: Path, nas: Nas) -> None:
    document = nas("front", noisy, "--knee", "--json").document
    assert [point["trial"] for point in document["points"]] == [document["knee"]["trial"]]
    assert document["baselines"] == [] and document["near_front"] == []
    assert document["hypervolume"] is None
    rows = list(csv.DictReader(io.StringIO(nas("front", noisy, "--knee", "--csv").out)))
    assert [row["knee"] for row in rows] == ["true"]
    assert nas("front", noisy, "--knee").out.count("knee") == 2


def test_a_selection_has_no_volume_of_the_whole(noisy: Path, nas: Nas) -> None:
    document = nas("front", noisy, "--max-latency=1.2", "--json").document
    assert [point["trial"] for point in document["points"]] == [0]
    assert document["hypervolume"] is None and document["knee"] is None
    answer = nas("front", noisy, "--max-latency=1.2", "--knee")
    assert answer.code == 0 and "the front is empty" in answer.err


def test_only_the_most_probable_behind_the_front_are_named() -> None:
    near = [{"trial": 100 + place, "probability_front": 0.5 - 0.01 * place} for place in range(9)]
    (line,) = front_lines({"points": [], "near_front": near})
    assert line.endswith("100 (0.50), 101 (0.49), 102 (0.48) and 6 more")
    assert len(line) <= 100


def test_a_knee_over_raw_scores_of_several_families_says_so() -> None:
    points = [{"trial": 0, "family": "chain"}, {"trial": 1, "family": "dense"}]
    document = {
        "points": points[1:],
        "best_per_pattern": points,
        "near_front": [],
        "knee": {"trial": 1, "probability": 0.5},
        "trust": {"front": PER_FAMILY},
    }
    told = front_lines(document)
    assert told == ["knee: trial 1, in 50 % of the draws", RAW]
    assert RAW not in front_lines({**document, "best_per_pattern": points[:1]})
    assert RAW not in front_lines({**document, "trust": {"front": CALIBRATED}})


def test_the_chart_stands_above_the_table_where_it_is_asked_for(noisy: Path, nas: Nas) -> None:
    plain, out = nas("front", noisy).out, nas("front", noisy, "--chart").out
    assert out.endswith(plain) and len(out) > len(plain)
    chart = out.removesuffix(plain)
    assert chart.startswith("cross_entropy (nats)\n")
    assert "latency_ms[eager,b1,fp32] (ms)" in chart
    assert "● front, by trial" in chart and "◆ knee" in chart and "· other trials" in chart
    drawn = chart.rpartition("· other trials")[0]
    assert drawn.count("●") + drawn.count("◆") == 3  # trials 1 and 2 share a cell
    assert all(name in drawn for name in ("0", "1", "3"))
    assert nas("front", noisy, "--no-chart").out == plain


def test_a_chart_is_drawn_on_a_terminal_alone_and_fits_it(
    noisy: Path, nas: Nas, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    out = nas("front", noisy).out
    chart = out.partition("ranking:")[0]
    assert "● front" in chart
    assert max(map(len, chart.splitlines())) <= 60
    assert "◆ knee" not in nas("front", noisy, "--no-chart").out


def test_trials_far_from_the_front_are_counted_not_drawn(tmp_path: Path, nas: Nas) -> None:
    trials = [noisy_trial(0.3, 1.0), noisy_trial(0.2, 2.0), noisy_trial(50.0, 90.0)]
    out = nas("front", noisy_run(tmp_path, trials, name="far").path, "--chart").out
    assert "1 other trial beyond this window" in out
    assert "·" not in out.partition("ranking:")[0]


def test_a_chart_is_no_data(noisy: Path, nas: Nas) -> None:
    answer = nas("front", noisy, "--chart", "--json")
    assert answer.code == 2 and answer.out == ""
    assert "A chart is for people, --csv and --json are not." in answer.err
