"""Numbers that are none, not finite, equal, or of a channel that never changes."""

from __future__ import annotations

import json
import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from image_makers import four_arrays, save_npz
from search_runs import fake_search, points
from supernet_cases import digits, digits_supernet, space

from nas.errors import TrialError
from nas.objectives import AbstractObjective, EvaluationContext, Measurement, Source
from nas.pareto import non_dominated
from nas.search.executors.base import perform
from nas.supernet.scoring.recalibration import Recalibration
from nas.supernet.scoring.score import score, score_all, scoring_data
from nas.topology.graph import Architecture, Edge, Node
from nas.training.data import load_data
from nas.training.fit import fit
from nas.training.parts import channel_statistics
from nas.training.recipe import Recipe
from nas.units import Unit


@dataclass(frozen=True)
class Given(AbstractObjective):
    """Gives what it is told to."""

    given: Any
    family: ClassVar[str] = "given"
    unit: ClassVar[Unit] = Unit.FRACTION
    source: ClassVar[Source] = "computed"

    def measure(self, context: EvaluationContext) -> Measurement:
        """Give it."""
        return self.given  # type: ignore[no-any-return]


def measured(value: Any) -> Measurement:
    return Measurement(value, Unit.FRACTION, "computed")


CONTEXT = EvaluationContext(Architecture((Node(), Node()), (Edge(0, 1),)), (1, 8, 8), 10)


@pytest.mark.fault("E2")
@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        (measured(math.nan), "nonfinite", "is nan; it must be finite"),
        (measured(math.inf), "nonfinite", "is inf; it must be finite"),
        (measured(-math.inf), "nonfinite", "is -inf; it must be finite"),
        (measured(np.float32("nan")), "nonfinite", "is nan"),
        (measured(None), "crash", "gave 'None', which is no measurement"),
        (measured("0.5"), "crash", "gave '0.5'"),
        (measured(True), "crash", "gave 'True'"),
        (measured([0.5]), "crash", r"gave '\[0.5\]'"),
        (measured(1 + 2j), "crash", "no measurement of a number"),
        (0.5, "crash", "gave '0.5'"),
        (None, "crash", "gave 'None'"),
    ],
)
def test_what_is_no_finite_number_fails_its_trial(given: Any, kind: str, message: str) -> None:
    with pytest.raises(TrialError, match=message) as caught:
        Given(given).evaluate(CONTEXT)
    assert caught.value.kind == kind and caught.value.fix
    answer = perform(lambda _: Given(given).evaluate(CONTEXT).to_dict(), {})
    assert answer["reason"] == kind
    json.dumps(answer, allow_nan=False)


@pytest.mark.fault("E2")
@pytest.mark.parametrize("number", [np.float32(0.5), np.int64(3), 7, np.float64(-0.0)])
def test_numbers_of_other_libraries_become_pythons_own(number: Any) -> None:
    value = Given(measured(number)).evaluate(CONTEXT).value
    assert type(value) is float and value == number


@pytest.mark.fault("D11", "E1")
def test_poisoned_weights_cost_the_members_that_read_them_and_no_other() -> None:
    tiny, supernet = space("tiny_exhaustive"), digits_supernet().eval()
    data = scoring_data(digits(), 0, recalibration=Recalibration(images=64))
    rng = np.random.default_rng(1)
    members = [tiny.build(tiny.sample(rng)) for _ in range(12)]
    sound = score_all(supernet, members, data)
    names = [name for name, value in supernet.weights.slots() if value.dim() == 4]
    poisoned = next(name for name in names if "conv5x5" in name or "op3" in name or "op2" in name)
    with torch.no_grad():
        dict(supernet.weights.slots())[poisoned].fill_(math.nan)
    failed = 0
    for member, before in zip(members, sound, strict=True):
        try:
            assert score(supernet, member, data) == before
        except TrialError as error:
            assert error.kind == "nonfinite"
            failed += 1
    assert 0 < failed < len(members)


@pytest.mark.fault("E5", "E6")
def test_equal_points_and_signed_zeros_are_on_the_front_in_the_order_of_their_numbers() -> None:
    values = np.array([[0.0, 1.0], [-0.0, 1.0], [0.0, 1.0], [0.0, 2.0], [1.0, -0.0], [1.0, 0.0]])
    assert non_dominated(values).tolist() == [True, True, True, False, True, True]


@pytest.mark.fault("E5", "D9")
def test_networks_that_are_equally_good_are_each_on_the_front_once(tmp_path: Path) -> None:
    run = fake_search(tmp_path, "objectives=[constant]", "search.trials=16")
    found = [point["trial"] for point in points(run)]
    assert found == sorted(found) and len(found) == len(run.table().finished()) == 16
    identities = {point["architecture"] for point in points(run)}
    assert len(identities) == len(found)


@pytest.mark.fault("E12")
def test_a_channel_that_never_changes_is_said_and_does_no_harm(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    arrays = four_arrays(shape=(8, 8, 3))
    for name in ("x_train", "x_test"):
        arrays[name][..., 1] = 7
    data = load_data(save_npz(tmp_path / "set.npz", **arrays))
    with caplog.at_level(logging.WARNING):
        statistics = channel_statistics(data.x_train)
    assert "channels [1] are constant in training" in caplog.text
    assert statistics.mean[1] == 7 and statistics.deviation[1] == 1


@pytest.mark.fault("E14")
def test_a_batch_larger_than_the_part_is_the_part() -> None:
    part = digits(40).weights
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    result = fit(network, part, Recipe(epochs=2, batch_size=10_000, warmup_epochs=0), seed=0)
    assert result.steps == 2 and all(math.isfinite(loss) for loss in result.losses)
