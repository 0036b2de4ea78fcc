"""Every alternation moves the gates at its step, resumes with the same bits, and says its paper."""

from __future__ import annotations

import numpy as np
import pytest
from supernet_cases import digits, one_stage

from nas.supernet.alternations import ALTERNATIONS
from nas.supernet.loop import Checkpoint
from nas.supernet.relaxed_training import RelaxationConfig, make_relaxation, train_relaxation
from nas.supernet.supernet import Supernet


def train(alternation: str, steps: int | None, state: Checkpoint | None = None) -> Checkpoint:
    config = RelaxationConfig(
        alternation=alternation, epochs=1, batch_size=32, warmup_epochs=0, gate_warmup_epochs=0.25
    )
    supernet = Supernet(one_stage("sum", patterns=("free",)), (1, 8, 8), 10, seed=0)
    done = 0

    def should_stop() -> bool:
        nonlocal done
        done += 1
        return steps is not None and done > steps

    relaxation = make_relaxation(supernet, config)
    _, training = train_relaxation(
        supernet, relaxation, digits(), config, seed=0, should_stop=should_stop, state=state
    )
    return training.checkpoint()


@pytest.mark.parametrize("name", ALTERNATIONS.names())
def test_gates_stand_still_in_the_warmup_and_move_behind_it(name: str) -> None:
    assert not train(name, 1)["gates/logits"].any()
    assert train(name, 3)["gates/logits"].any()


@pytest.mark.parametrize("name", ALTERNATIONS.names())
def test_an_alternation_resumes_with_the_same_bits(name: str) -> None:
    whole, resumed = train(name, None), train(name, None, train(name, 2))
    assert set(whole) == set(resumed)
    assert all(np.array_equal(whole[key], resumed[key]) for key in whole)


@pytest.mark.parametrize("name", ALTERNATIONS.names())
def test_an_alternation_names_its_paper(name: str) -> None:
    assert ALTERNATIONS.paper(name) is not None
    assert (ALTERNATIONS.get(name).__doc__ or "").strip()
