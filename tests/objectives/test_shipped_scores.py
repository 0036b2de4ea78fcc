"""Error and cross-entropy of members as they ship: stand-alone, in a runtime, in int8."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from supernet_cases import digits, digits_supernet, space

from nas.errors import ConfigError
from nas.objectives import EvaluationContext, resolve_objective
from nas.objectives.deployment import FLOAT32, Deployment
from nas.objectives.latency_config import LatencyConfig
from nas.objectives.runtimes import RUNTIMES, prepare
from nas.objectives.shipped_score import CALIBRATION_IMAGES, score_shipped
from nas.objectives.standalone import build_standalone, reference_network
from nas.search.front.errors import noise_of, standard_error
from nas.supernet.paths import PathConfig, train_paths
from nas.supernet.scoring.recalibration import Recalibration
from nas.supernet.scoring.score import ScoringData, score, scoring_data
from nas.supernet.supernet import Supernet
from nas.topology.graph import Architecture
from nas.training.evaluate import evaluate

SHAPE = (1, 8, 8)
INT8 = Deployment("int8")


@dataclass(frozen=True)
class Trained:
    supernet: Supernet
    data: ScoringData
    member: Architecture


@pytest.fixture(scope="module")
def trained() -> Trained:
    tiny, supernet = space("tiny_exhaustive"), digits_supernet()
    train_paths(supernet, digits(), PathConfig(epochs=4, batch_size=32), seed=0)
    supernet.eval()
    data = scoring_data(digits(), 0, recalibration=Recalibration(images=200))
    member = tiny.build(tiny.sample(np.random.default_rng(0)))
    return Trained(supernet, data, member)


@pytest.fixture(scope="module")
def quantised(trained: Trained) -> float:
    found = score_shipped(trained.supernet, trained.member, trained.data, "ort", INT8)
    return found.cross_entropy


@pytest.mark.parametrize("runtime", ["eager", "ort"])
def test_in_float32_it_is_the_inherited_score(runtime: str, trained: Trained) -> None:
    wanted = score(trained.supernet, trained.member, trained.data)
    found = score_shipped(trained.supernet, trained.member, trained.data, runtime, FLOAT32)
    assert found.count == wanted.count
    assert found.error == wanted.error
    assert found.cross_entropy == pytest.approx(wanted.cross_entropy, rel=1e-4)


def test_the_score_without_recalibration_has_the_running_statistics(trained: Trained) -> None:
    policy = Recalibration(policy="none")
    data = scoring_data(digits(), 0, recalibration=policy)
    wanted = score(trained.supernet, trained.member, data)
    found = score_shipped(trained.supernet, trained.member, data, "eager", FLOAT32)
    assert found.cross_entropy == pytest.approx(wanted.cross_entropy, rel=1e-4)


def test_int8_costs_something_and_little(trained: Trained, quantised: float) -> None:
    exact = score(trained.supernet, trained.member, trained.data).cross_entropy
    assert quantised != exact
    assert quantised == pytest.approx(exact, rel=0.2)


def test_the_same_member_has_the_same_int8_score_again(trained: Trained, quantised: float) -> None:
    again = score_shipped(trained.supernet, trained.member, trained.data, "ort", INT8)
    assert again.cross_entropy == quantised


def test_ranges_are_measured_on_the_weights_part_and_never_on_validation(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nas.objectives import shipped_score

    seen: list[np.ndarray] = []
    real = shipped_score.prepare

    def watched(*arguments: object) -> object:
        seen.append(arguments[4])  # type: ignore[arg-type]
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(shipped_score, "prepare", watched)
    score_shipped(trained.supernet, trained.member, trained.data, "ort", INT8)
    (images,) = seen
    assert len(images) == CALIBRATION_IMAGES
    part = trained.data.recalibration.numpy()
    assert all(any(np.array_equal(image, other) for other in part) for image in images[:8])


def test_stages_kept_in_float32_bring_the_logits_nearer_and_all_of_them_bring_them_back() -> None:
    network = build_standalone(_two_stages(), SHAPE, 10)
    images = torch.rand(32, *SHAPE, generator=torch.Generator().manual_seed(0)).numpy()
    exact = prepare(network, SHAPE, LatencyConfig(batch=8)).logits(images)

    def distance(*kept: str) -> float:
        config = LatencyConfig(runtime="ort", dtype="int8", batch=8)
        own = prepare(network, SHAPE, config, "cpu", images, frozenset(kept))
        return float(np.abs(own.logits(images) - exact).max() / np.abs(exact).max())

    assert distance("stage1", "stage2") < 1e-5 < distance("stage1")
    assert distance("stage1") != distance("stage2")
    assert distance() > 1e-3


def _two_stages() -> Architecture:
    tiny = space("tiny_exhaustive")
    return tiny.build(tiny.known()["residual"])


def test_stages_can_stay_in_float32_in_int8_networks_alone() -> None:
    network = build_standalone(_two_stages(), SHAPE, 10)
    stages = frozenset({"stage1"})
    with pytest.raises(ConfigError, match=r"in an int8 network only; the number format is fp32"):
        prepare(network, SHAPE, LatencyConfig(runtime="ort"), "cpu", None, stages)
    config = LatencyConfig(runtime="ort", dtype="int8")
    prepare(network, SHAPE, config, "cpu", None, frozenset({"stage7"}))  # it may hold nothing
    with pytest.raises(ConfigError, match=r"has no stages, so 'stage1' cannot[\s\S]*per: network"):
        prepare(reference_network(SHAPE), SHAPE, config, "cpu", None, stages)


@dataclass(frozen=True)
class Score:
    error: float
    cross_entropy: float
    details: Mapping[str, Any] = field(default_factory=dict)


def context(asked: list[tuple[str, Deployment]], deployment: Deployment) -> EvaluationContext:
    def shipped(runtime: str, formats: Deployment) -> Score:
        asked.append((runtime, formats))
        return Score(0.25, 0.75)

    return EvaluationContext(_two_stages(), SHAPE, 10, deployment=deployment, score_shipped=shipped)


def test_a_shipped_score_brings_its_own_noise() -> None:
    evaluation = evaluate(torch.nn.Flatten(), torch.eye(8).repeat(2, 1), torch.arange(16) % 4)
    shown = EvaluationContext(_two_stages(), SHAPE, 10, score_shipped=lambda *_: evaluation)
    for name in ("error[ort,int8]", "cross_entropy[ort,int8]"):
        found = resolve_objective(name).evaluate(shown)
        assert found.details["count"] == 16
        assert found.details["noise"]["cross_entropy_error"] > 0
        entry = {"values": {name: found.to_dict()}, "measurements": {name: found.details}}
        bar = standard_error(name, entry)
        assert bar is not None and bar > 0
        assert noise_of(name, [entry, entry]).loadings.shape[1] == len(
            found.details["noise"]["images"]
        )


def test_error_and_cross_entropy_of_one_runtime_share_one_evaluation() -> None:
    asked: list[tuple[str, Deployment]] = []
    shown = context(asked, INT8)
    assert resolve_objective("error[ort,int8]").evaluate(shown).value == 0.25
    assert resolve_objective("cross_entropy[int8,ort]").evaluate(shown).value == 0.75
    assert resolve_objective("error[ort,policy]").evaluate(shown).value == 0.25
    assert resolve_objective("error[ort]").evaluate(shown).value == 0.25
    assert asked == [("ort", INT8), ("ort", FLOAT32)]


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("error[ort,int8]", "error[ort,int8]"),
        ("error[int8]", "error[ort,int8]"),
        ("error[eager]", "error[eager,fp32]"),
        ("cross_entropy[policy]", "cross_entropy[ort,policy]"),
        ("latency[policy,ort]", "latency_ms[ort,b1,policy]"),
        ("error", "error"),
    ],
)
def test_a_name_says_how_the_network_is_executed(given: str, name: str) -> None:
    found = resolve_objective(given)
    assert found.name == name
    assert resolve_objective(name) == found


def test_a_score_in_a_runtime_needs_a_supernet_and_a_fitting_number_format() -> None:
    shown = EvaluationContext(_two_stages(), SHAPE, 10)
    with pytest.raises(ConfigError, match=r"there is no supernet here"):
        resolve_objective("error[ort,int8]").evaluate(shown)
    with pytest.raises(ConfigError, match=r"'eager' does not execute int8[\s\S]*int8 runs in: ort"):
        resolve_objective("error[eager,int8]")
    with pytest.raises(ConfigError, match=r"'b8' is no runtime or number format"):
        resolve_objective("error[ort,b8]")


def test_a_latency_reads_the_formats_decided_for_the_member() -> None:
    seen: list[tuple[str, frozenset[str]]] = []

    class Reading:
        latency_ms, iqr_ms = 1.0, 0.1

        def details(self) -> dict[str, object]:
            return {}

    class Meter:
        def __init__(self, dtype: str) -> None:
            self.dtype = dtype

        def measure(self, network: object, stages: frozenset[str]) -> Reading:
            seen.append((self.dtype, stages))
            return Reading()

    mixed = Deployment("int8", frozenset({"stage1"}))
    shown = EvaluationContext(
        _two_stages(),
        SHAPE,
        10,
        deployment=mixed,
        meter=lambda config, shape, device: Meter(config.dtype),  # type: ignore[arg-type,return-value]
    )
    found = resolve_objective("latency_ms[ort,b1,policy]").evaluate(shown)
    resolve_objective("latency_ms[ort,b1,fp32]").evaluate(shown)
    assert seen == [("int8", frozenset({"stage1"})), ("fp32", frozenset())]
    assert found.details == {"runtime": "ort", "batch": 1, "dtype": "int8"}


def test_objectives_are_refused_before_any_work_where_their_runtime_cannot_be_had() -> None:
    for name in ("latency_ms[cudagraph,b1,fp32]", "error[cudagraph,fp32]"):
        with pytest.raises(ConfigError, match=r"'cudagraph' does not run on the device 'cpu'"):
            resolve_objective(name).check_here(LatencyConfig(), "cpu")
    for name in ("latency[ort,policy]", "error[ort,policy]", "error[ort,int8]", "error", "macs"):
        resolve_objective(name).check_here(LatencyConfig(), "cpu", ["fp32", "int8"])
    assert "int8" in RUNTIMES.get("ort").dtypes


def test_formats_of_stages_make_one_deployment() -> None:
    assert Deployment.of_stages({"stage1": "int8", "stage2": "int8"}) == INT8
    mixed = Deployment.of_stages({"stage1": "int8", "stage2": "fp32"})
    assert mixed == Deployment("int8", frozenset({"stage2"}))
    assert str(mixed) == "int8, stage2 fp32"
    with pytest.raises(ConfigError, match=r"cannot mix fp16, int8[\s\S]*per: network"):
        Deployment.of_stages({"stage1": "int8", "stage2": "fp16"})
