"""Frozen weights: gates alone learn, whatever the alternation."""

from __future__ import annotations

import numpy as np
import pytest
from supernet_cases import digits, digits_supernet, space

from nas.supernet.alternations import ALTERNATIONS
from nas.supernet.relaxation import Relaxation
from nas.supernet.relaxed_training import RelaxationConfig, train_relaxation


@pytest.mark.parametrize("alternation", ALTERNATIONS.names())
def test_frozen_weights_stay_and_the_gates_learn(alternation: str) -> None:
    supernet = digits_supernet()
    before = supernet.state_arrays()
    relaxation = Relaxation(space("tiny_exhaustive"))
    config = RelaxationConfig(
        epochs=1,
        batch_size=32,
        gate_warmup_epochs=0.25,
        alternation=alternation,
        rules=["frozen_weights"],
    )
    result, _ = train_relaxation(supernet, relaxation, digits(), config, seed=0)
    after = supernet.state_arrays()
    assert result.steps > 1
    assert all(np.array_equal(after[key], value) for key, value in before.items())
    assert bool((relaxation.logits.detach() != 0).any())
