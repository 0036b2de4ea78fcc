"""What may be said of made-up figures: ranks, cliques, ties with the best, the control."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from study_cases import made_study

from nas.errors import RunError
from nas.run_store import Run
from nas.search.driver import resume
from nas.search.front_view import front_document
from nas.statistics.ranks import mean_ranks
from nas.study.comparison import panels, ranking
from nas.study.results import read_results

CLEAR = {
    "good": [0.10, 0.11, 0.12, 0.10, 0.11],
    "close": [0.101, 0.109, 0.122, 0.101, 0.108],
    "bad": [0.30, 0.31, 0.32, 0.30, 0.31],
}


def test_ranks_over_the_seeds_of_one_data_set(tmp_path: Path) -> None:
    with made_study(tmp_path, CLEAR) as run:
        found = ranking(read_results(run))
    assert found is not None
    assert found.kind == "seeds"
    assert len(found.blocks) == 5
    assert found.ranks == tuple(mean_ranks(np.array(list(CLEAR.values())).T))
    assert found.friedman is not None
    assert found.friedman.f_p_value < 0.05
    assert ("good", "close") in [tuple(sorted(group, reverse=True)) for group in found.groups]


def test_ranks_over_data_sets_take_the_mean_over_seeds(tmp_path: Path) -> None:
    figures = {
        ("one", "s"): {"a": [0.1, 0.3], "b": [0.3, 0.3]},
        ("two", "s"): {"a": [0.1, 0.1], "b": [0.3, 0.0]},
        ("three", "s"): {"a": [0.4, 0.2], "b": [0.2, 0.2]},
    }
    with made_study(tmp_path, figures) as run:
        results = read_results(run)
        found = ranking(results)
    assert found is not None
    assert found.kind == "data sets and spaces"
    assert found.rank("a") == pytest.approx(4 / 3)
    assert len(panels(results)) == 3


def test_what_is_not_told_apart_from_the_best_is_marked(tmp_path: Path) -> None:
    with made_study(tmp_path, CLEAR) as run:
        (panel,) = panels(read_results(run))
    assert panel.best == "good"
    assert panel.like_best == {"close"}


def test_others_are_compared_to_the_control_in_pairs(tmp_path: Path) -> None:
    with made_study(tmp_path, CLEAR, control="bad") as run:
        (panel,) = panels(read_results(run))
    assert panel.control == "bad"
    good = panel.beside("good")
    assert good is not None
    assert good.difference.mean == pytest.approx(-0.2)
    assert good.told_apart
    assert good.signed_rank_p == pytest.approx(0.0625)
    assert panel.beside("bad") is None


def test_a_method_with_a_failed_training_is_not_ranked(tmp_path: Path) -> None:
    figures = {**CLEAR, "lost": [0.01, None, 0.01, 0.01, 0.01]}
    with made_study(tmp_path, figures) as run:
        results = read_results(run)
        found = ranking(results)
        (panel,) = panels(results)
    assert found is not None
    assert found.left_out == ("lost",)
    assert panel.best == "good"
    assert not results.complete
    assert panel.rows[3].mean == pytest.approx(0.01)


def test_a_single_whole_method_has_no_rank(tmp_path: Path) -> None:
    with made_study(tmp_path, {"a": [0.1, 0.2], "b": [None, 0.2]}) as run:
        results = read_results(run)
        assert ranking(results) is None
        (panel,) = panels(results)
    assert panel.best == "a"
    assert panel.against == ()


def test_equal_figures_are_not_told_apart(tmp_path: Path) -> None:
    with made_study(tmp_path, {"a": [0.1, 0.2, 0.3], "b": [0.1, 0.2, 0.3]}) as run:
        (panel,) = panels(read_results(run))
    assert panel.like_best == {"b"}


def test_a_search_is_not_read_as_a_study_nor_the_other_way_round(tmp_path: Path) -> None:
    with (
        Run.create(tmp_path, "other", {"schema": "nas.search/1"}, {}) as run,
        pytest.raises(RunError, match="'other' is no study of this version"),
    ):
        read_results(run)
    made_study(tmp_path, {"a": [0.1, 0.2], "b": [0.1, 0.2]}).close()
    with pytest.raises(RunError, match="'made' is a study, not a search"):
        resume(tmp_path / "made")
    with (
        Run.open(tmp_path / "made") as run,
        pytest.raises(RunError, match="'made' is a study, not a search"),
    ):
        front_document(run)
