"""Budgets: what is read, and what contradicting or absurd ones are told."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.errors import ConfigError, NotFoundError
from nas.objectives import Constraint, parse_constraints
from nas.objectives.constraints import doubt_of_unit
from nas.units import Unit

LATENCY = "latency_ms[eager,b1,fp32]"


@pytest.mark.parametrize(
    ("given_as", "objective", "upper"),
    [
        ("latency <= 2 ms", LATENCY, 2.0),
        ("latency_ms<=2", LATENCY, 2.0),
        ("latency < 2e-3 s", LATENCY, 2.0),
        ("latency ≤ 2000 us", LATENCY, 2.0),
        ("latency[b8] <= 2.5 ms", "latency_ms[eager,b8,fp32]", 2.5),
        ({"latency": {"max": 2}}, LATENCY, 2.0),
        ({"latency": 2.0}, LATENCY, 2.0),
        ({"latency": {"max": "2e-3 s"}}, LATENCY, 2.0),
        ([{"latency": {"max": 2.0}}], LATENCY, 2.0),
        (["error <= 20 %"], "error", 0.2),
        ("error <= 0.1", "error", 0.1),
        ("parameters <= 5M", "parameters", 5e6),
        ("macs <= 300_000", "macs", 3e5),
        ("macs <= 20 M", "macs", 2e7),
        ("bytes <= 2 MiB", "bytes", 2.0**21),
        ("cross_entropy <= .5 nats", "cross_entropy", 0.5),
    ],
)
def test_a_budget_is_read_into_the_objectives_unit(
    given_as: Any, objective: str, upper: float
) -> None:
    (constraint,) = parse_constraints(given_as)
    assert (constraint.objective, constraint.upper) == (objective, upper)
    assert constraint.lower is None


@pytest.mark.parametrize("nothing", [None, [], {}])
def test_no_constraints_are_none(nothing: Any) -> None:
    assert parse_constraints(nothing) == ()


def test_bounds_of_several_objectives_keep_their_order() -> None:
    found = parse_constraints(["macs <= 1M", "latency >= 1 ms", "latency <= 3 ms"])
    assert found == (
        Constraint("macs", 1e6, None, Unit.MACS),
        Constraint(LATENCY, 3.0, 1.0, Unit.MILLISECONDS),
    )
    assert str(found[1]) == f"{LATENCY} <= 3 ms, >= 1"


@given(value=st.floats(0, 10), upper=st.floats(0.1, 5), lower=st.none() | st.floats(0, 0.1))
def test_the_violation_is_positive_exactly_outside_the_bounds(
    value: float, upper: float, lower: float | None
) -> None:
    constraint = Constraint("latency", upper, lower)
    inside = value <= upper and (lower is None or value >= lower)
    assert constraint.allows(value) == inside == (constraint.violation(value) <= 0)


@pytest.mark.parametrize(
    ("given_as", "first", "second"),
    [
        (["latency <= 2 ms", "latency_ms <= 3 ms"], "latency <= 2 ms", "latency_ms <= 3 ms"),
        (
            {"latency": {"max": 2}, "latency_ms": {"max": 2}},
            "latency: {max: 2}",
            "latency_ms: {max",
        ),
        (["macs >= 1k", "macs <= 2M", "macs > 3k"], "macs >= 1k", "macs > 3k"),
    ],
)
def test_two_bounds_on_the_same_side_are_both_named(given_as: Any, first: str, second: str) -> None:
    with pytest.raises(ConfigError, match=r"(?s)both give.*bound.*Keep one") as error:
        parse_constraints(given_as)
    assert f"'{first}" in error.value.what
    assert f"'{second}" in error.value.what


@pytest.mark.fault("C9")
@pytest.mark.parametrize(
    ("given_as", "first", "second"),
    [
        ({"latency": {"min": 3, "max": 2}}, "latency: {min: 3}", "latency: {max: 2}"),
        (["latency_ms >= 3 ms", "latency <= 2 ms"], "latency_ms >= 3 ms", "latency <= 2 ms"),
    ],
)
def test_contradicting_bounds_are_both_named(given_as: Any, first: str, second: str) -> None:
    with pytest.raises(ConfigError, match="contradict each other") as error:
        parse_constraints(given_as)
    assert f"'{first}'" in error.value.what
    assert f"'{second}'" in error.value.what


@pytest.mark.parametrize(
    "given_as",
    ["latency <= -1 ms", "latency <= 0 ms", {"macs": {"max": -5}}, {"error": {"max": 0}}],
)
def test_bounds_of_zero_and_below_are_refused(given_as: Any) -> None:
    with pytest.raises(ConfigError, match=r"is never below 0, so it must be greater than 0"):
        parse_constraints(given_as)


@pytest.mark.fault("C4")
@pytest.mark.parametrize(
    "given_as",
    [{"latency": {"max": float("nan")}}, {"macs": {"max": float("inf")}}, "latency <= nan ms"],
)
def test_bounds_that_are_no_finite_number_are_refused(given_as: Any) -> None:
    with pytest.raises(ConfigError, match="it must be a finite number"):
        parse_constraints(given_as)


@pytest.mark.parametrize("given_as", ["error <= 150 %", {"error": {"max": 1.0}}])
def test_a_bound_that_every_network_meets_is_refused(given_as: Any) -> None:
    with pytest.raises(ConfigError, match="error is a fraction and must be below 1"):
        parse_constraints(given_as)


def test_a_lower_bound_alone_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"a lower bound only[\s\S]*upper bound too"):
        parse_constraints("latency >= 1 ms")


@pytest.mark.parametrize("text", ["latency 2 ms", "latency <= fast", "<= 2", "latency == 2", ""])
def test_text_that_is_no_comparison_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"is no constraint[\s\S]*latency <= 2 ms"):
        parse_constraints(text)


def test_a_unit_that_does_not_fit_is_refused_with_those_that_do() -> None:
    with pytest.raises(
        ConfigError, match=r"'latency <= 2 MB'[\s\S]*has the unit 'MB'[\s\S]*us, ms, s"
    ):
        parse_constraints("latency <= 2 MB")


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"maximum": 2}, "unknown key 'maximum'"),
        ({}, "has no bound"),
        ({"max": "fast"}, "no number with a unit"),
        ({"max": "2 MB"}, "has the unit 'MB'"),
        ({"max": True}, "holds no number"),
        (None, "holds no number"),
    ],
)
def test_mappings_of_the_wrong_form_are_refused(limits: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_constraints({"latency": limits})


@pytest.mark.parametrize("given_as", [3, [3], [["latency <= 2"]]])
def test_constraints_of_the_wrong_type_are_refused(given_as: Any) -> None:
    with pytest.raises(ConfigError, match=r"no constraint"):
        parse_constraints(given_as)


def test_a_constraint_on_an_unknown_objective_lists_what_there_is() -> None:
    with pytest.raises(NotFoundError, match=r"Unknown objective 'speed'[\s\S]*parameters"):
        parse_constraints("speed <= 2")


@pytest.mark.parametrize(
    ("given_as", "words"),
    [
        ("latency <= 0.002", "in ms, so the bound is 2 us; write '0.002 s'"),
        ({"latency": {"max": 0.002}}, "in ms, so the bound is 2 us; write '0.002 s'"),
        ("latency <= 2000", "in ms, so the bound is 2 s; write '2000 us'"),
    ],
)
def test_seconds_taken_for_milliseconds_are_told_with_the_unit(
    given_as: Any, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "nas"):
        parse_constraints(given_as)
        assert not caplog.records
        parse_constraints(given_as, say_doubts=True)
    assert words in caplog.text


@pytest.mark.parametrize(
    "given_as", ["latency <= 2", "latency <= 0.002 ms", "latency <= 2000 ms", "macs <= 0.002"]
)
def test_bounds_with_a_unit_and_usual_ones_are_taken_without_a_word(
    given_as: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "nas"):
        parse_constraints(given_as, say_doubts=True)
    assert not caplog.records


@pytest.mark.parametrize(
    ("given_as", "taken", "doubted"),
    [
        ("latency <= 0.02", 3.0, True),
        ("latency <= 900", 2.0, True),
        ("latency <= 1", 3.0, False),
        ("latency <= 0.02 ms", 3.0, False),
        ({"latency": "0.02 ms"}, 3.0, False),
        ({"latency": "0.02"}, 3.0, True),
        ("macs <= 2", 1e6, False),
        ("latency <= 0.02", 0.0, False),
    ],
)
def test_a_bare_bound_far_from_what_networks_take_is_doubted(
    given_as: Any, taken: float, doubted: bool
) -> None:
    (constraint,) = parse_constraints(given_as)
    doubt = doubt_of_unit(constraint, taken)
    assert (doubt is not None) == doubted
    assert doubt is None or f"A network here takes {taken:g} ms" in doubt


def test_a_verdict_grants_the_noise_either_way() -> None:
    bound = parse_constraints("latency <= 2 ms")[0]
    assert bound.verdict(1.8, 2.0) == "kept"
    assert bound.verdict(1.9, 2.1) == "not told apart from the bound"
    assert bound.verdict(2.01, 2.1) == "violated"
    both = parse_constraints({"latency": {"max": 2.0, "min": 1.0}})[0]
    assert both.verdict(0.8, 0.9) == "violated"
    assert both.verdict(0.9, 2.1) == "not told apart from the bound"
    assert both.to_dict()["lower"] == 1.0 and both.to_dict()["unit"] == "ms"
