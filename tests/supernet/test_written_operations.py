"""Written operations in relaxed members and from a hypernetwork: the same numbers as alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from operation_rows import ROWS, keeps_positions
from supernet_cases import SHAPE, images, one_stage, shaken

from nas.supernet.binding import Binder
from nas.supernet.mixtures.mixing import mix
from nas.supernet.mixtures.relaxed import relaxed_logits
from nas.supernet.relaxation import Relaxation
from nas.supernet.supernet import Supernet

QUIET = tuple(name for name in ROWS if keeps_positions(name) and "dropout" not in name)
GROUPS = [QUIET[start : start + 5] for start in range(0, len(QUIET), 5)]


@pytest.mark.parametrize("operations", GROUPS)
@pytest.mark.parametrize("mode", ["sampled", "mixed"])
def test_every_vertex_of_a_relaxed_choice_of_rows_is_the_discrete_network(
    operations: tuple[str, ...], mode: str
) -> None:
    declared = one_stage("sum", "concat", patterns=("free", "residual"), operations=operations)
    supernet = shaken(Supernet(declared, SHAPE, 5).double())
    relaxation = Relaxation(declared, operations=mode).double()  # type: ignore[arg-type]
    binder, rng, x = Binder(declared), np.random.default_rng(0), images()
    for _ in range(4):
        decisions = declared.sample(rng)
        context, values = relaxation.context(decisions)
        with torch.no_grad():
            ours = relaxed_logits(supernet, mix(supernet, binder, context), values, x)
            theirs = supernet(x, declared.build(decisions))
        assert float((ours - theirs).abs().max() / theirs.abs().max()) < 1e-10, decisions


@pytest.mark.parametrize("operations", GROUPS)
def test_a_hypernetwork_emits_kernels_of_every_form(operations: tuple[str, ...]) -> None:
    declared = one_stage(patterns=("chain",), operations=operations)
    supernet = shaken(Supernet(declared, SHAPE, 5, weights="hypernetwork").double()).eval()
    rng = np.random.default_rng(1)
    for _ in range(3):
        architecture = declared.build(declared.sample(rng))
        statistics = supernet.recalibrate(architecture, images(8, seed=1))
        with torch.no_grad():
            ours = supernet(images(), architecture, statistics)
            theirs = supernet.extract(architecture, statistics)(images())
        assert float((ours - theirs).abs().max() / theirs.abs().max()) < 1e-10


def test_numbers_are_dropped_in_training_and_never_in_scores() -> None:
    declared = one_stage("sum", patterns=("chain",), operations=("bn+relu+dropout30+conv3x3",))
    supernet = shaken(Supernet(declared, SHAPE, 5).double())
    architecture = declared.build(declared.reference(SHAPE))
    statistics = supernet.eval().recalibrate(architecture, images(8, seed=1))
    with torch.no_grad():
        scores = [supernet(images(), architecture, statistics) for _ in range(2)]
        trained = [supernet.train()(images(), architecture) for _ in range(2)]
    assert torch.equal(scores[0], scores[1])
    assert not torch.allclose(trained[0], trained[1])
