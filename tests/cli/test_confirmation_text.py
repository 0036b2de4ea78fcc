"""A confirmation in words: every verdict, what is missing, and nothing where there is none."""

from __future__ import annotations

from typing import Any

import pytest

from nas.cli.confirmation import print_confirmation


def entrant(name: str, kind: str = "searched", **fields: Any) -> dict[str, Any]:
    return {
        "key": name,
        "name": name,
        "kind": kind,
        "cost": 1.5,
        "wiring": "dense",
        "not_measured": None,
        "validation": {"mean": 0.04, "std": None, "seeds": 1},
        "validation_failures": [],
        "test": {"mean": 0.05, "std": 0.01, "seeds": 6},
        "test_failures": [],
        **fields,
    }


def bin_of(outcome: str, why: str, **fields: Any) -> dict[str, Any]:
    difference = {"mean": -0.02, "low": -0.031, "high": -0.009, "p_value": 0.0004}
    rival = entrant("residual", "hand_made", test={"mean": 0.07, "std": 0.02, "seeds": 6})
    return {
        "bin": 0,
        "above": None,
        "up_to": 2.0,
        "candidate": entrant("trial-3"),
        "comparisons": [
            {"rival": rival, "kind": "hand_made", "pairs": 6, "difference": difference}
        ],
        "p_holm": 0.0008 if outcome != "no claim" else None,
        "outcome": outcome,
        "why": why,
        **fields,
    }


def found(*bins: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "look": 1,
        "cost": "latency_ms[eager,b1,fp32]",
        "unit": "ms",
        "recipe_hash": "abc123",
        "data": "0123456789abcdef",
        "distillation": False,
        "seeds_a": [1],
        "seeds_b": [1, 2, 3, 4, 5, 6],
        "bins": list(bins),
        "entrants": [entrant("trial-3"), entrant("residual", "hand_made")],
        "left_out": [],
        "recipes": None,
        **fields,
    }


def said(document: dict[str, Any] | None, capsys: pytest.CaptureFixture[str]) -> str:
    print_confirmation(document)
    return capsys.readouterr().out


def test_a_gain_stands_with_its_interval_and_p(capsys: pytest.CaptureFixture[str]) -> None:
    out = said(found(bin_of("gain", "better")), capsys)
    assert "1 seed A rank on validation, 6 seeds B judge on test" in out
    assert "recipe abc123, data 0123456789ab, distillation off" in out
    (row,) = (line for line in out.splitlines() if line.startswith("up to 2"))
    cells = [cell for cell in row.split("  ") if cell]
    assert [cell.strip() for cell in cells] == [
        "up to 2",
        "trial-3",
        "residual",
        "6",
        "-2.00 (-3.10 to -0.90)",
        "<0.001",
        "<0.001",
        "gain",
    ]
    assert "latency ms" in out
    assert "5.00 ± 1.00" in out and max(map(len, out.splitlines())) <= 100
    assert "points of the front that are not named here have no test error" in out


def test_a_kind_of_rival_out_of_reach_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    entrants = [entrant("trial-3"), entrant("residual", "hand_made"), entrant("r", "random")]
    out = said(found(bin_of("gain", "better"), entrants=entrants, cost="macs", unit="MACs"), capsys)
    assert "up to 2: no random network is as cheap, so this verdict is not about them" in out
    assert "macs" not in out
    assert "is as cheap" not in said(found(bin_of("gain", "better")), capsys)


def test_nothing_found_and_no_claim_are_results(capsys: pytest.CaptureFixture[str]) -> None:
    out = said(found(bin_of("none found", "noise", above=2.0, up_to=None)), capsys)
    assert "above 2" in out
    assert "none found" in out
    assert "no gain found: what differs is not beyond noise" in out
    lost = bin_of("none found", "residual is better")
    lost["comparisons"][0]["difference"] = {
        "mean": 0.02,
        "low": 0.01,
        "high": 0.03,
        "p_value": 0.01,
    }
    out = said(found(lost), capsys)
    assert "up to 2: residual has the smaller test error, beyond noise" in out
    assert "no gain found; differences" in out
    out = said(found(bin_of("no claim", "no claim: 2 seeds, a claim takes 5")), capsys)
    assert "no claim: 2 seeds, a claim takes 5" in out
    assert "no claim is made" in out
    assert out.count("a claim takes 5") == 1
    bins = [bin_of("no claim", "no claim: few"), bin_of("gain", "", above=2.0, up_to=None)]
    assert "\nup to 2: no claim: few\n" in said(found(*bins), capsys)


def test_a_bin_without_candidate_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    empty = bin_of("no claim", "no claim: nobody", candidate=None, comparisons=[], up_to=None)
    out = said(found(empty, cost=None, unit=None), capsys)
    assert "no claim: nobody" in out
    assert "\nall " in out


def test_what_is_missing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    document = found(
        entrants=[entrant("slow", "random", not_measured="out of memory", test_failures=["oom"])],
        left_out=[{"arm": "published", "name": "published fractalnet", "reason": "too small"}],
        look=2,
    )
    out = said(document, capsys)
    assert "no verdict yet" in out
    assert "left out: published fractalnet: too small" in out
    assert "not measured: slow: out of memory" in out
    assert "look 2: earlier verdicts of this run count in Holm" in out


def test_rank_stability_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    recipes = {
        "complete": 6,
        "kendall_w": 0.8333,
        "bins": [{"candidate": "trial-3", "rivals": ["residual"], "first": 5, "of": 6}],
    }
    out = said(found(bin_of("gain", "better"), recipes=recipes), capsys)
    assert "over 6 recipes (rate x decay): Kendall's W 0.83" in out
    assert "trial-3 comes before its rivals under 5 of 6 recipes" in out
    assert "Kendall's W -" in said(found(recipes={**recipes, "kendall_w": None}), capsys)


def test_a_run_without_confirmation_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(None, capsys) == ""
