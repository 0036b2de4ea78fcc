"""Scores with inherited weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from supernet_cases import digits, digits_supernet, space

from nas.supernet.paths import PathConfig, train_paths
from nas.supernet.scoring.recalibration import Recalibration
from nas.supernet.scoring.score import score, score_all, scoring_data
from nas.training.evaluate import evaluate


def test_a_score_is_that_of_the_extracted_network() -> None:
    tiny, supernet = space("tiny_exhaustive"), digits_supernet()
    train_paths(supernet, digits(), PathConfig(epochs=2, batch_size=32), seed=0)
    supernet.eval()
    data = scoring_data(digits(), 0, recalibration=Recalibration(images=64))
    assert len(data.recalibration) == 64
    architecture = tiny.build(tiny.sample(np.random.default_rng(0)))
    ours = score(supernet, architecture, data)
    statistics = supernet.recalibrate(architecture, data.recalibration)
    theirs = evaluate(supernet.extract(architecture, statistics), data.images, data.labels)
    assert ours.count == theirs.count == len(digits().validation)
    assert ours.error == theirs.error
    assert ours.cross_entropy == pytest.approx(theirs.cross_entropy, rel=1e-5)


def test_scores_do_not_depend_on_each_other_and_validation_can_be_cut() -> None:
    tiny, supernet = space("tiny_exhaustive"), digits_supernet().eval()
    data = scoring_data(digits(), 0, validation_images=50)
    assert len(data.labels) == 50
    rng = np.random.default_rng(0)
    members = [tiny.build(tiny.sample(rng)) for _ in range(3)]
    seen: list[int] = []
    before = torch.get_num_threads()
    together = score_all(supernet, members, data, on_score=lambda index, _: seen.append(index))
    assert torch.get_num_threads() == before
    assert sorted(seen) == [0, 1, 2]  # members with much in common are scored side by side
    assert together == [score(supernet, member, data) for member in members]


def test_more_classes_than_images_asked_for_leave_one_image_of_each() -> None:
    data = scoring_data(digits(), 0, recalibration=Recalibration(images=4), validation_images=3)
    assert len(data.recalibration) == 10
    assert sorted(data.labels.tolist()) == list(range(10))
