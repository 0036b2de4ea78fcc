"""The verdicts of a confirmation on the report page."""

from __future__ import annotations

from typing import Any

import pytest

from dashboards.verdicts import verdict_section


def document(**changes: Any) -> dict[str, Any]:
    own = {"name": "trial-3", "test": {"mean": 0.05, "std": 0.01}}
    other = {"name": "<resnet>", "test": {"mean": 0.07, "std": None}}
    difference = {"mean": -0.02, "low": -0.03, "high": -0.01}
    entry = {
        "above": 1.0,
        "up_to": None,
        "candidate": own,
        "comparisons": [{"rival": other, "kind": "hand_made", "difference": difference}],
        "p_holm": 0.012,
        "outcome": "gain",
        "why": "better",
        **changes,
    }
    return {
        "confirmation": {
            "bins": [entry],
            "seeds_a": [1, 2],
            "seeds_b": [3, 4, 5, 6, 7],
            "recipe_hash": "abc",
            "data": "0123456789abcdef",
            "distillation": False,
            "cost": "macs",
            "left_out": [{"name": "fractalnet", "reason": "images < 2 pixels"}],
            "recipes": {"kendall_w": 0.5, "complete": 6},
        }
    }


def test_a_verdict_stands_with_its_figures() -> None:
    page = verdict_section(document())
    for text in ("above 1", "trial-3", "5.00 % ± 1.00", "&lt;resnet&gt;", "7.00 %"):
        assert f"<td>{text}" in page
    assert "-2.00 (-3.00 to -1.00)" in page
    assert "<td>0.012</td><td>gain</td>" in page
    assert "Seeds A (2) chose on validation, seeds B (5) judge on test" in page
    assert "left out: fractalnet: images &lt; 2 pixels" in page
    assert "Kendall&#x27;s W 0.50" in page or "Kendall's W 0.50" in page


def test_a_rival_that_is_better_is_told() -> None:
    page = document(outcome="none found", p_holm=1.0)
    (entry,) = page["confirmation"]["bins"]
    entry["comparisons"][0]["difference"] = {"mean": 0.02, "low": 0.01, "high": 0.03}
    assert "<td>1.000</td><td>none found: the rival is better</td>" in verdict_section(page)


def test_what_could_not_be_judged_says_why() -> None:
    why = "no claim: 2 seeds, a claim takes 5"
    page = verdict_section(document(outcome="no claim", why=why, p_holm=None))
    assert f"<td>-</td><td>{why}</td>" in page
    empty = document(candidate=None, comparisons=[], above=None, p_holm=None, outcome="no claim")
    assert "<td>all</td><td>-</td>" in verdict_section(empty)


@pytest.mark.parametrize("front", [{}, {"confirmation": None}, {"confirmation": {"bins": []}}])
def test_a_front_without_verdicts_has_no_section(front: dict[str, Any]) -> None:
    assert verdict_section(front) == ""
