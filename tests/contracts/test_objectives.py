"""What every objective promises, those of plugins included."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, get_args

import pytest

from nas.errors import ConfigError, TrialError
from nas.objectives import (
    OBJECTIVES,
    AbstractObjective,
    EvaluationContext,
    LatencyConfig,
    Measurement,
    Source,
    resolve_objective,
)
from nas.objectives.names import objective
from nas.topology.graph import Architecture, Edge, Node
from nas.units import Unit

ARCHITECTURE = Architecture(
    (Node(), Node("conv3x3", width=8), Node("conv3x3")), (Edge(0, 1), Edge(1, 2))
)
SHAPE = (1, 8, 8)


@dataclass(frozen=True)
class Score:
    error: float = 0.25
    cross_entropy: float = 0.75
    details: Mapping[str, Any] = field(default_factory=dict)


class Counter:
    """Counts how often the subnet is scored."""

    def __init__(self, score: Score) -> None:
        self.score = score
        self.calls = 0

    def __call__(self) -> Score:
        self.calls += 1
        return self.score


def context(score: Score | None = None) -> EvaluationContext:
    return EvaluationContext(
        ARCHITECTURE,
        SHAPE,
        10,
        score=None if score is None else Counter(score),
        latency=LatencyConfig(max_seconds=0.03, warm_up=2),
    )


@pytest.mark.parametrize("name", OBJECTIVES.names())
def test_an_objective_is_final_frozen_and_complete(name: str) -> None:
    kind = OBJECTIVES.get(name)
    entry = resolve_objective(name)
    assert kind.__final__
    assert kind.family == name
    assert kind.direction == "minimise"
    assert kind.source in get_args(Source)
    assert kind.unit
    assert kind.__doc__
    assert resolve_objective(entry.name) == entry
    assert entry.needs_weights == (kind.source == "inherited")
    assert entry.needs_quiet_device == (kind.source == "measured")
    with pytest.raises(dataclasses.FrozenInstanceError):
        entry.name_of_nothing = 1


@pytest.mark.parametrize("name", OBJECTIVES.names())
def test_a_shipped_objective_is_one_file_of_its_name(name: str) -> None:
    assert OBJECTIVES.get(name).__module__ == f"nas.objectives.kinds.{name}"


@pytest.mark.parametrize("name", OBJECTIVES.names())
def test_it_answers_with_a_finite_number_in_its_unit(name: str) -> None:
    entry = resolve_objective(name)
    answer = entry.evaluate(context(Score()))
    assert math.isfinite(answer.value)
    assert answer.value > 0
    assert (answer.unit, answer.source) == (entry.unit, entry.source)
    assert answer.iqr is None or (answer.iqr >= 0 and entry.source == "measured")
    assert answer.to_dict() == {
        "value": answer.value,
        "unit": entry.unit,
        "iqr": answer.iqr,
        "source": entry.source,
    }


@pytest.mark.parametrize("name", OBJECTIVES.names())
def test_a_deterministic_objective_gives_the_same_number_again(name: str) -> None:
    entry = resolve_objective(name)
    if entry.deterministic:
        first, second = (entry.evaluate(context(Score())) for _ in range(2))
        assert first == second


@pytest.mark.parametrize("name", OBJECTIVES.names())
def test_it_needs_a_supernet_exactly_where_it_says_so(name: str) -> None:
    entry = resolve_objective(name)
    if not entry.needs_weights:
        entry.evaluate(context(score=None))
        return
    with pytest.raises(ConfigError, match=r"there is no supernet here[\s\S]*computed and measured"):
        entry.evaluate(context(score=None))


@pytest.mark.parametrize("name", OBJECTIVES.names())
def test_computed_objectives_build_no_network(name: str) -> None:
    entry = resolve_objective(name)
    if entry.source != "computed":
        return

    def refuse() -> None:
        raise AssertionError("a network was built")

    shown = dataclasses.replace(context(), build=refuse)  # type: ignore[arg-type]
    entry.evaluate(shown)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["error", "cross_entropy"])
def test_a_score_that_is_not_finite_fails_the_trial(name: str, value: float) -> None:
    with pytest.raises(TrialError, match=rf"'{name}' is {value}; it must be finite") as error:
        resolve_objective(name).evaluate(context(Score(value, value)))
    assert error.value.kind == "nonfinite"


def test_error_and_cross_entropy_share_one_evaluation() -> None:
    counter = Counter(Score())
    shown = EvaluationContext(ARCHITECTURE, SHAPE, 10, score=counter)
    assert resolve_objective("error").evaluate(shown).value == 0.25
    assert resolve_objective("cross_entropy").evaluate(shown).value == 0.75
    assert counter.calls == 1


def test_counted_objectives_are_those_of_the_cost_model() -> None:
    shown = context()
    for name in ("macs", "parameters", "depth", "bytes"):
        assert resolve_objective(name).evaluate(shown).value == getattr(shown.cost, name)


def test_latency_measures_the_stand_alone_network_and_tells_how() -> None:
    answer = resolve_objective("latency").evaluate(context())
    assert answer.iqr is not None
    told = {"p95_ms", "pairs", "rejected_pairs", "unstable", "ratio", "reference_ms", "device"}
    assert told <= set(answer.details)


def test_latency_is_measured_by_the_meter_and_network_it_is_given() -> None:
    from torch import nn

    asked: list[object] = []

    class Reading:
        latency_ms = 1.5
        iqr_ms = 0.1

        def details(self) -> dict[str, object]:
            return {"pairs": 4}

    class Meter:
        def measure(self, network: nn.Module, float_stages: frozenset[str]) -> Reading:
            asked.append(network)
            return Reading()

    own = nn.Identity()

    def meter(config: LatencyConfig, shape: object, device: str) -> Meter:
        asked.append((config.batch, config.dtype, config.threads, shape, device))
        return Meter()

    shown = EvaluationContext(
        ARCHITECTURE,
        SHAPE,
        10,
        build=lambda: own,
        meter=meter,  # type: ignore[arg-type]
        latency=LatencyConfig(threads=2),
    )
    answer = resolve_objective("latency[b4,bf16]").evaluate(shown)
    assert asked == [(4, "bf16", 2, SHAPE, "cpu"), own]
    executed = {"runtime": "eager", "batch": 4, "dtype": "bf16"}
    assert answer == Measurement(1.5, Unit.MILLISECONDS, "measured", 0.1, {**executed, "pairs": 4})


def test_a_plugin_registers_an_objective_of_its_own_and_a_taken_name_is_refused() -> None:
    @dataclass(frozen=True)
    class Nodes(AbstractObjective):
        family: ClassVar[str] = "error"
        unit: ClassVar[Unit] = Unit.COUNT
        source: ClassVar[Source] = "computed"

        def measure(self, context: EvaluationContext) -> Measurement:
            return self.answer(len(context.architecture.nodes))

    OBJECTIVES.load()
    with pytest.raises(ConfigError, match="The objective 'error' is registered already"):
        objective()(Nodes)
    assert Nodes().evaluate(context()) == Measurement(3.0, Unit.COUNT, "computed")


def test_an_objective_with_a_unit_of_its_own_is_refused_with_the_units_there_are() -> None:
    with pytest.raises(ConfigError, match=r"'furlongs' is no unit[\s\S]*count"):

        @objective()
        @dataclass(frozen=True)
        class Strange(AbstractObjective):
            family: ClassVar[str] = "strange"
            unit: ClassVar[Unit] = "furlongs"  # type: ignore[assignment]
            source: ClassVar[Source] = "computed"

            def measure(self, context: EvaluationContext) -> Measurement:
                return self.answer(1.0)

    assert "strange" not in OBJECTIVES
