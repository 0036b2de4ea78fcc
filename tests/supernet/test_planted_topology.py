"""Planted wirings: what a teacher is, and that students with its gates equal it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from nas.supernet.binding import Binder
from nas.supernet.mixtures.mixing import mix
from nas.supernet.mixtures.relaxed import relaxed_logits
from nas.supernet.planted_wiring import PlantedSetup, Question, plant, random_wiring
from nas.supernet.relaxation import Relaxation

QUESTIONS: list[Question] = ["subsets", "options"]


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_student_at_the_teachers_gates_is_the_teacher(question: Question) -> None:
    planted = plant(replace(PlantedSetup(), question=question), 0)
    student = planted.supernet().train()
    member = planted.space.decisions(planted.edges)
    relaxation = Relaxation(planted.space, operations="mixed")
    context, values = relaxation.context(member)
    mixing = mix(student, Binder(planted.space), context)
    images = torch.from_numpy(planted.parts.weights.images[:64])
    with torch.no_grad():
        teacher = student(images, planted.space.build(member))
        for plain in (True, False):  # state buffers hold the input of a level as well
            mixed = relaxed_logits(student, mixing, values, images, plain=plain)
            torch.testing.assert_close(mixed, teacher, rtol=1e-4, atol=1e-4)


def test_both_questions_have_one_teacher_and_shuffling_keeps_the_labels() -> None:
    subsets, options = (plant(replace(PlantedSetup(), question=name), 3) for name in QUESTIONS)
    shuffled = plant(PlantedSetup(), 3, shuffled=True)
    assert subsets.edges == options.edges == shuffled.edges
    labels = [planted.parts.training.labels for planted in (subsets, options, shuffled)]
    assert np.array_equal(labels[0], labels[1]) and not np.array_equal(labels[0], labels[2])
    assert np.array_equal(np.sort(labels[0]), np.sort(labels[2]))
    assert plant(PlantedSetup(), 4).edges != subsets.edges


def test_planted_wirings_are_sparse_and_node_operations_orthogonal() -> None:
    setup = PlantedSetup()
    for seed in range(20):
        edges = random_wiring(setup, np.random.default_rng(seed))
        assert len(edges) == setup.edges <= 0.3 * len(setup.optional)
        assert {target for _, target in edges} == set(range(2, setup.nodes + 1))
    kernels = [value for value in plant(setup, 0).arrays.values() if value.ndim == 4]
    assert len(kernels) == setup.nodes == 8
    for kernel in kernels:
        matrix = kernel[:, :, 0, 0]
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(setup.channels), atol=1e-5)


@pytest.mark.parametrize("faint", [1.0, 1e-20, 5e-40, 0.0])
def test_edges_of_any_presence_have_finite_gradients(faint: float) -> None:
    planted = plant(replace(PlantedSetup(), question="options"), 0)
    student = planted.supernet().train()
    relaxation = Relaxation(planted.space, operations="mixed")
    context, values = relaxation.context(planted.space.decisions(planted.edges))
    gates = {
        name: torch.tensor([1.0, faint], dtype=torch.float32, requires_grad=True) for name in values
    }
    mixing = mix(student, Binder(planted.space), context)
    images = torch.from_numpy(planted.parts.weights.images[:64])
    loss = relaxed_logits(student, mixing, gates, images).square().mean()
    gradients = torch.autograd.grad(loss, list(gates.values()))
    assert all(bool(torch.isfinite(gradient).all()) for gradient in gradients)
