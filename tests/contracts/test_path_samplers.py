"""Every registered path sampler keeps the promises of one, unasked."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from path_cases import BATCH, SHAPE, declaration, fitting_space, part, same, trained, training
from scale import is_full_scale

from nas.errors import ConfigError
from nas.supernet.declared_parts import make_part
from nas.supernet.footprints import joined, pieces
from nas.supernet.member_sizes import MemberSizes
from nas.supernet.path_samplers import (
    PATH_SAMPLERS,
    AbstractPathSampler,
    Lesson,
    Moment,
    Scene,
)
from nas.supernet.paths import PathTraining

NAMES = PATH_SAMPLERS.names()
STEPS = 24


def begun(name: str) -> AbstractPathSampler:
    sampler = make_part(PATH_SAMPLERS, declaration(name), "here")
    sizes = MemberSizes(fitting_space(), SHAPE, 3)
    score = lambda _, member: float(sizes.macs(member))  # noqa: E731
    sampler.begin(Scene(fitting_space(), sizes, 5, BATCH, score))
    return sampler


def ask(sampler: AbstractPathSampler, step: int) -> tuple[Lesson, ...]:
    def loss_of(member: dict[str, object]) -> float:
        return len(json.dumps(member)) / 100

    rng = np.random.default_rng((7, step))
    lessons = sampler.lessons(Moment(step, step / STEPS, rng, loss_of))
    if sampler.learns:
        sampler.observe(lessons, [loss_of(dict(each.decisions)) for each in lessons])
    return lessons


@pytest.mark.parametrize("name", NAMES)
def test_it_names_its_paper_and_tells_what_it_does(name: str) -> None:
    assert PATH_SAMPLERS.paper(name) is not None
    assert len(PATH_SAMPLERS.get(name).__doc__ or "") > 40
    for field in PATH_SAMPLERS.get(name).Options.model_fields.values():
        assert not field.is_required()


@pytest.mark.parametrize("name", NAMES)
def test_lessons_are_members_with_weights_that_add_up_to_one(name: str) -> None:
    sampler = begun(name)
    for step in range(STEPS):
        lessons = ask(sampler, step)
        assert lessons
        assert sum(each.weight for each in lessons) == pytest.approx(1)
        for each in lessons:
            assert fitting_space().normalise(each.decisions) == each.decisions
            start, end = each.rows or (0, BATCH)
            assert 0 <= start < end <= BATCH
            assert end - start >= sampler.images_per_member(BATCH) >= 2


@pytest.mark.parametrize("name", NAMES)
def test_its_state_is_plain_json_and_goes_on_where_it_was(name: str) -> None:
    whole = begun(name)
    expected = [ask(whole, step) for step in range(STEPS)]
    for cut in (1, STEPS // 2, STEPS - 1):
        first, second = begun(name), begun(name)
        for step in range(cut):
            assert ask(first, step) == expected[step]
        second.load_state(json.loads(json.dumps(first.state(), allow_nan=False)))
        for step in range(cut, STEPS):
            assert ask(second, step) == expected[step]


def footprint(course: PathTraining, lessons: tuple[Lesson, ...]) -> dict[str, object]:
    actives = []
    for each in lessons:
        architecture = course.supernet.space.build(each.decisions)
        if each.stage is None:
            actives.append(course.supernet.active(architecture))
        else:
            assert course.teacher is not None
            actives.append(course.teacher.active(architecture, each.stage))
    return dict(joined(actives))


def untouched(before: torch.Tensor, now: torch.Tensor, read: object) -> bool:
    """Tell whether all outside of what was read is as before."""
    outside = torch.ones_like(now, dtype=torch.bool)
    if read is not None:
        for piece in pieces(outside, read):  # type: ignore[arg-type]
            piece.fill_(False)
    return bool(torch.equal(before[outside], now[outside]))


@pytest.mark.parametrize("name", NAMES)
def test_what_no_lesson_reads_has_no_gradient_no_momentum_and_no_decay(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    course = training(name, momentum=0.9, weight_decay=0.1)
    taught: list[tuple[Lesson, ...]] = []
    lessons = course.sampler.lessons
    monkeypatch.setattr(
        course.sampler, "lessons", lambda moment: taught.append(lessons(moment)) or taught[-1]
    )
    weights, buffers = course.supernet.weights, course.optimizer.buffers
    for step, (images, labels) in enumerate(batches(course)):
        course.step = step
        course.supernet.divide(course.sampler.division(course._progress(course.step)))
        values = {key: value.detach().clone() for key, value in weights.slots()}
        momenta = {key: value.clone() for key, value in buffers.items()}
        course.train_step(images, labels, 0.05)
        read = footprint(course, taught[-1])
        for key, value in weights.slots():
            assert (value.grad is None) or key in read, key
            if key in values and values[key].shape == value.shape:
                assert untouched(values[key], value.detach(), read.get(key)), key
            if key in momenta and momenta[key].shape == buffers[key].shape:
                assert untouched(momenta[key], buffers[key], read.get(key)), key


def batches(course: PathTraining) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [
        batch for epoch in range(course.config.epochs) for batch in course.batches.epoch(0, epoch)
    ]


@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_of_a_step_is_the_weighted_mean_of_separate_gradients(name: str) -> None:
    course = training(name)
    course.supernet.double()
    for step in (0, 11):  # at the start, and behind every phase
        images, labels = batches(course)[step]
        lessons = course.lessons(step, images.double(), labels)
        course.optimizer.zero_grad()
        course.gradients(lessons, images.double(), labels)
        slots = dict(course.supernet.weights.slots())
        found = {k: v.grad.clone() for k, v in slots.items() if v.grad is not None}
        expected: dict[str, torch.Tensor] = {}
        for each in lessons:
            course.optimizer.zero_grad()
            course.gradients([replace(each, weight=1.0)], images.double(), labels)
            for key, value in slots.items():
                if value.grad is not None:
                    expected[key] = expected.get(key, 0) + each.weight * value.grad
        assert set(found) == set(expected)
        for key, gradient in found.items():
            assert torch.allclose(gradient, expected[key], rtol=0, atol=1e-6), key


@pytest.mark.parametrize("name", NAMES)
def test_a_training_cut_at_random_steps_has_the_weights_of_an_uncut_one(name: str) -> None:
    whole = trained(name)
    steps = 3 * (len(part()) // BATCH)
    rng = np.random.default_rng(sum(map(ord, name)))
    cuts = min(20, steps - 1) if is_full_scale() else 1  # another one for every sampler
    for cut in rng.choice(np.arange(1, steps), size=cuts, replace=False):
        assert same(trained(name, state=trained(name, stop_after=int(cut))), whole), cut


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_option_is_refused_and_the_known_ones_named(name: str) -> None:
    with pytest.raises(ConfigError, match=f"path sampler '{name}' has no option 'nonsense'"):
        make_part(PATH_SAMPLERS, {"name": name, "nonsense": 1}, "here")
