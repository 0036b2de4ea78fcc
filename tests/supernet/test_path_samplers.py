"""Path samplers one by one: what each promises beyond the contract."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from path_cases import (
    BATCH,
    CLASSES,
    SHAPE,
    config,
    declaration,
    fitting_space,
    five_parts,
    fixed_space,
    part,
    staged,
    supernet,
    training,
)
from scale import scaled
from scipy.stats import chisquare
from supernet_cases import space as named_space

from nas.errors import ConfigError, NotFoundError, SpaceError
from nas.space import AbstractSpace, Decisions, OneOf, SubsetOf
from nas.supernet.blocks import BlockTeacher, rating
from nas.supernet.declared_parts import make_part
from nas.supernet.footprints import joined, pieces
from nas.supernet.member_sizes import MemberSizes, bin_of, every_question
from nas.supernet.path_samplers import PATH_SAMPLERS, AbstractPathSampler, Lesson, Moment, Scene
from nas.supernet.path_samplers.attentive import Attentive
from nas.supernet.path_samplers.nested import Nested
from nas.supernet.path_samplers.partition import Partition, pattern_questions
from nas.supernet.path_samplers.preferred import Preferred
from nas.supernet.path_samplers.shrinking import Shrinking
from nas.supernet.path_samplers.surrogate import Surrogate, answers, fit
from nas.supernet.paths import PathTraining, train_paths
from nas.supernet.supernet import Supernet


def begun(
    name: str,
    space: AbstractSpace | None = None,
    score: Callable[[str, Decisions], float] = lambda *_: 0.0,
    predictor: Callable[[Decisions], float] | None = None,
    **options: Any,
) -> Any:
    sampler: AbstractPathSampler = make_part(PATH_SAMPLERS, declaration(name, **options), "here")
    sizes = MemberSizes(space or fitting_space(), SHAPE, CLASSES)
    sampler.begin(Scene(space or fitting_space(), sizes, 5, BATCH, score, predictor))
    return sampler


def moment(step: int, progress: float = 0.0, loss_of: Any = lambda _: 0.0) -> Moment:
    return Moment(step, progress, np.random.default_rng((1, step)), loss_of)


def drawn(sampler: AbstractPathSampler, count: int, progress: float = 0.0) -> list[Decisions]:
    lessons = [sampler.lessons(moment(step, progress)) for step in range(count)]
    return [each.decisions for row in lessons for each in row]


@pytest.mark.parametrize(
    ("name", "progress"), [("uniform", 0), ("fair", 0), ("batch_split", 0), ("shrinking", 0.99)]
)
def test_answers_are_uniform(name: str, progress: float) -> None:
    members = drawn(begun(name), scaled(3000), progress)
    for question in ("stage1.pattern", "stage2.pattern", "stage1.width", "stage2.op1.operation"):
        counts = Counter(str(member[question]) for member in members if question in member)
        assert chisquare(list(counts.values())).pvalue > 0.01, (question, counts)
    edges = [member["cross.stage3.inputs"] for member in members]
    assert chisquare(list(Counter(map(str, edges)).values())).pvalue > 0.01


def test_fair_uses_every_option_equally_often_over_a_round_of_its_question() -> None:
    counts: dict[str, Counter[object]] = {}
    asked: Counter[str] = Counter()
    space = fitting_space()
    for member in drawn(begun("fair"), 60):
        for choice in space.asked(member):
            if not isinstance(choice, OneOf):
                continue
            deck = choice.name + choice.describe()
            asked[deck] += 1
            counts.setdefault(deck, Counter())[member[choice.name]] += 1
            if asked[deck] % len(choice.options) == 0:  # a round is over
                assert len(set(counts[deck].values())) == 1, deck
                assert len(counts[deck]) == len(choice.options), deck
    assert len(asked) > 8


def test_fair_uses_every_edge_equally_often_over_a_round_of_its_question() -> None:
    seen: dict[str, list[list[str]]] = {}
    choices: dict[str, SubsetOf] = {}
    for member in drawn(begun("fair"), 200):
        for choice in fitting_space().asked(member):
            if isinstance(choice, SubsetOf):
                deck = choice.name + choice.describe()
                choices[deck] = choice
                seen.setdefault(deck, []).append(list(member[choice.name]))  # type: ignore[arg-type]
    assert {len(choice.items) for choice in choices.values()} >= {2, 3, 4}
    for deck, answers_given in seen.items():
        size = len(choices[deck].items)
        for start in range(0, len(answers_given) - size + 1, size):
            uses = Counter(item for given in answers_given[start : start + size] for item in given)
            assert len({uses[item] for item in choices[deck].items}) == 1, deck


def test_the_smallest_member_is_the_smallest_of_all() -> None:
    tiny = named_space("tiny_exhaustive")
    sizes = MemberSizes(tiny, SHAPE, CLASSES)
    every = [sizes.macs(member) for member in tiny.enumerate()]
    assert sizes.macs(sizes.smallest) == min(every)
    assert sizes.macs(sizes.largest) == max(every)


def test_sandwich_trains_both_ends_of_the_space() -> None:
    sampler = begun("sandwich", members=3)
    members = drawn(sampler, 4)
    assert len(members) == 4 * 5
    sizes = sampler.scene.sizes
    assert members[0] == members[5] == sizes.largest
    assert members[1] == members[6] == sizes.smallest
    assert all(sizes.macs(sizes.smallest) <= sizes.macs(each) for each in members)


def test_a_split_batch_reaches_every_image_once() -> None:
    (row,) = (begun("batch_split", members=5).lessons(moment(0)) for _ in range(1))
    bounds = [each.rows for each in row]
    assert bounds[0][0] == 0 and bounds[-1][1] == BATCH
    assert all(first[1] == second[0] for first, second in pairwise(bounds))


def test_nested_members_are_prefixes_that_share_storage() -> None:
    sampler: Nested = begun("nested", members=3)
    net = supernet()
    chains = 0
    for step in range(12):
        members = [each.decisions for each in sampler.lessons(moment(step))]
        for larger, smaller in pairwise(members):
            chains += 1
            for name, answer in smaller.items():
                if isinstance(answer, int):
                    assert answer <= larger[name]  # type: ignore[operator]
            outer = net.active(net.space.build(larger))
            inner = net.active(net.space.build(smaller))
            common = outer.keys() & inner.keys()
            assert len(common) > 4
            for key in common:
                slot = net.weights.slot(key)
                views = [pieces(slot, shape[key])[0] for shape in (outer, inner)]
                assert views[0].data_ptr() == views[1].data_ptr() == slot.data_ptr()
    assert chains > 6


def test_shrinking_opens_depth_then_width_then_edges() -> None:
    sampler: Shrinking = begun("shrinking")
    assert sampler.opened(0.2) == {"depth": 0, "width": 0, "in_degree": 0}
    assert sampler.opened(0.25 + 0.5 / 3)["depth"] == pytest.approx(1)
    assert sampler.opened(0.25 + 0.5 / 3)["width"] == pytest.approx(0)
    assert set(sampler.opened(0.8).values()) == {1}

    def smallest(progress: float, question: str) -> set[object]:
        return {str(each.get(question)) for each in drawn(sampler, 40, progress)}

    assert smallest(0.1, "stage1.depth") == {"3"} and smallest(0.1, "stage1.width") == {"6"}
    assert smallest(0.3, "stage1.depth") == {"2", "3"}
    assert smallest(0.41, "stage1.depth") == {"1", "2", "3"}
    assert smallest(0.41, "stage1.width") == {"6"} and smallest(0.5, "stage1.width") == {"4", "6"}
    assert smallest(0.5, "cross.stage3.inputs") == {"['stem', 'stage1']"}
    assert len(smallest(0.9, "cross.stage3.inputs")) == 4


@pytest.mark.parametrize(("towards", "choose"), [("best", min), ("worst", max)])
def test_attentive_trains_the_predicted_best_or_worst_of_its_bin(
    towards: str, choose: Callable[..., float]
) -> None:
    rng = np.random.default_rng(0)
    table: dict[str, float] = {}

    def predictor(member: Decisions) -> float:
        return table.setdefault(str(member), float(rng.random()))

    sampler: Attentive = begun(
        "attentive", by="predictor", predictor=predictor, towards=towards, bins=3, candidates=4
    )
    bins = set()
    for step in range(20):
        (lesson,) = sampler.lessons(moment(step))
        again = np.random.default_rng((1, step))
        wanted = int(again.integers(len(sampler.bounds) + 1))
        candidates = sampler.candidates(wanted, again)
        numbers = {bin_of(sampler.scene.sizes.macs(each), sampler.bounds) for each in candidates}
        assert numbers == {wanted} and len(candidates) == 4
        bins.add(wanted)
        losses = [predictor(each) for each in candidates]
        assert predictor(lesson.decisions) == choose(losses)
    assert bins == {0, 1, 2}


def test_attentive_reads_the_loss_of_the_step_where_nothing_predicts() -> None:
    asked: list[float] = []

    def loss_of(member: Decisions) -> float:
        asked.append(len(str(member)))
        return asked[-1]

    (lesson,) = begun("attentive").lessons(moment(0, loss_of=loss_of))
    assert len(asked) == 2 and len(str(lesson.decisions)) == min(asked)


def test_the_surrogate_finds_planted_effects_while_losses_fall() -> None:
    rng = np.random.default_rng(0)
    members = [fitting_space().sample(rng) for _ in range(200)]
    planted = {"stage1.pattern=chain": 0.5, "stage2.width=4": -0.3}
    losses = [
        2 - 0.005 * at + sum(planted.get(each, 0) for each in answers(member))
        for at, member in enumerate(members)
    ]
    effects = fit([answers(member) for member in members], losses, 1e-3)
    fresh = [fitting_space().sample(rng) for _ in range(40)]
    predicted = [sum(effects.get(each, 0) for each in answers(member)) for member in fresh]
    expected = [sum(planted.get(each, 0) for each in answers(member)) for member in fresh]
    offsets = np.array(predicted) - np.array(expected)
    assert np.abs(offsets - offsets.mean()).max() < 0.01


def test_the_surrogate_draws_low_losses_more_often_but_not_only() -> None:
    sampler: Surrogate = begun("surrogate", window=256, refit_steps=16, ridge=0.1)
    for step in range(64):
        lessons = sampler.lessons(moment(step))
        bad = lessons[0].decisions["stage1.pattern"] == "chain"
        sampler.observe(lessons, [3.0 if bad else 1.0])
    share = np.mean([each["stage1.pattern"] == "chain" for each in drawn(sampler, 200, 0.9)])
    assert 0.0 < share < 0.2


def test_the_preferred_members_are_the_best_of_every_group_of_sizes() -> None:
    def score(name: str, member: Decisions) -> float:
        assert name == "parameters"
        return float(len(str(member)))

    sampler: Preferred = begun("preferred", score=score, pool=40, keep=8, groups=2)
    seen = {str(each) for each in drawn(sampler, 120)}
    assert seen == {str(each) for each in sampler.members} and len(seen) == 8
    sizes = sorted(sampler.members, key=sampler.scene.sizes.macs)
    rng = np.random.default_rng(3)
    mean = np.mean([len(str(fitting_space().sample(rng))) for _ in range(60)])
    assert np.mean([len(str(each)) for each in sampler.members]) > mean
    assert len(sizes) == 8


def test_preferred_members_are_scored_as_untrained_networks() -> None:
    sampler = {"name": "preferred", "pool": 6, "keep": 2, "groups": 1, "score": "naswot"}
    course = training("uniform", sampler=sampler)
    members = [each.decisions for each in course.lessons(0, torch.empty(0), torch.empty(0))]
    preferred = course.sampler.members  # type: ignore[attr-defined]
    assert members[0] in preferred and len(preferred) == 2
    scores = [course._zero_cost("naswot", each) for each in preferred]
    assert scores == sorted(scores, reverse=True)


def test_only_preferred_members_are_proposed_and_only_once_the_training_is_over() -> None:
    course = training("preferred", epochs=1)
    assert course.run(should_stop=lambda: True).proposals == ()
    done = course.run()
    assert len(done.proposals) == 6
    again = training("preferred", epochs=1).restore(course.checkpoint()).run()
    assert again.proposals == done.proposals
    assert training("uniform", epochs=1).run().proposals == ()


def test_partition_gives_every_pattern_copies_and_trains_all_for_the_same_cost() -> None:
    assert pattern_questions(fitting_space()) == {"stage1.pattern": 0, "stage2.pattern": 1}
    net = supernet()
    member = net.space.sample(np.random.default_rng(0))
    architecture = net.space.build(member)
    x = torch.randn(4, *SHAPE)
    before, common = net(x, architecture), net.state_arrays()
    net.divide(1)
    active = net.active(architecture)
    assert active and all(key.startswith(f"{architecture.wiring[1]}>") for key in active)
    assert torch.equal(net(x, architecture), before)
    net.divide(None)
    assert set(net.state_arrays()) == set(common)
    assert torch.equal(net(x, architecture), before)

    sampler: Partition = begun("partition", question="stage2.pattern")
    drawn(sampler, 90, 0.9)
    spent = sampler.state()["spent"]
    most = sampler.scene.sizes.macs(sampler.scene.sizes.largest)
    assert set(spent) == {"chain", "residual", "free"}
    assert max(spent.values()) - min(spent.values()) <= most


def test_a_partitioned_training_ends_with_parts_that_another_supernet_can_read() -> None:
    net = supernet()
    train_paths(net, five_parts(), config("partition"), seed=0)
    other = supernet()
    other.load_arrays(net.state_arrays())
    assert other.rule.division == 0
    rng = np.random.default_rng(1)
    for _ in range(5):
        architecture = net.space.build(net.space.sample(rng))
        x = torch.randn(4, *SHAPE)
        assert torch.equal(net(x, architecture), other(x, architecture))
    slots = dict(net.weights.slots())
    kernels = {key.split(">")[0]: value for key, value in slots.items() if "stem|conv3x3|0" in key}
    assert len(kernels) == 4  # three patterns, and the common start
    assert not torch.equal(kernels["chain"], kernels["residual"])


def test_auto_sharing_and_a_partition_exclude_each_other() -> None:
    net = Supernet(fitting_space(), SHAPE, CLASSES, sharing="auto")
    with pytest.raises(ConfigError, match="both take weights apart"):
        PathTraining(net, part(), config("partition"), seed=0)


def test_a_hypernetwork_is_neither_divided_nor_trained_by_stages() -> None:
    net = Supernet(fitting_space(), SHAPE, CLASSES, weights="hypernetwork")
    with pytest.raises(ConfigError, match="nothing can be divided"):
        net.divide(0)
    with pytest.raises(ConfigError, match="emits the weights of whole members"):
        PathTraining(net, part(), config("blockwise"), seed=0)


def test_blockwise_trains_the_teacher_first_and_then_leaves_it_alone() -> None:
    sampler = begun("blockwise")
    (first,) = sampler.lessons(moment(0, 0.39))
    assert first == Lesson(sampler.scene.sizes.largest, distilled=False)
    lessons = sampler.lessons(moment(1, 0.41))
    assert [each.stage for each in lessons] == [1, 2, 3]
    net = supernet()
    course = PathTraining(net, part(), config("blockwise"), seed=3)
    course.run()
    assert course.teacher is not None
    kept = course.teacher.arrays()
    slots = {key: value.detach().numpy() for key, value in net.weights.slots()}
    assert any(not np.array_equal(kept[key], slots[key]) for key in kept)
    assert len(course.teacher.rate(net.space.sample(np.random.default_rng(2)), batch()[0])) == 3


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    return next(training("uniform").batches.epoch(0, 0))


def test_blocks_rate_the_teacher_best_and_members_by_the_sum_of_their_stages() -> None:
    net = supernet()
    largest = MemberSizes(net.space, SHAPE, CLASSES).largest
    teacher = BlockTeacher.copy_of(net, largest)
    images, _ = batch()
    assert rating(teacher.rate(largest, images)) < 1e-8
    rng = np.random.default_rng(0)
    for member in (net.space.sample(rng) for _ in range(4)):
        losses = teacher.rate(member, images)
        assert set(losses) == {1, 2, 3} and rating(losses) == pytest.approx(sum(losses.values()))
        if member != largest:
            assert rating(losses) > 1e-4


def test_a_stage_reads_the_teachers_states_and_nothing_of_other_stages() -> None:
    net = supernet()
    largest = MemberSizes(net.space, SHAPE, CLASSES).largest
    teacher = BlockTeacher.copy_of(net, largest)
    images, _ = batch()
    member = net.space.sample(np.random.default_rng(1))
    before = teacher.rate(member, images)
    with torch.no_grad():
        for key, value in net.weights.slots():
            if key.startswith(("stem", "stage1")):
                value += 0.5
    after = teacher.rate(member, images)
    assert after[2] == before[2] and after[1] != before[1]


def test_distillation_mixes_labels_with_the_largest_members_logits() -> None:
    images, labels = batch()
    course = training("sandwich", distillation=0.25, sampler=declaration("sandwich", members=1))
    net = course.supernet
    lessons = course.lessons(0, images, labels)
    losses, _, _ = course.gradients(lessons, images, labels)
    with torch.no_grad():
        logits = [net(images, net.space.build(each.decisions)) for each in lessons]
    hard = [F.cross_entropy(each, labels) for each in logits]
    soft = [-(logits[0].softmax(1) * each.log_softmax(1)).sum(1).mean() for each in logits]
    assert float(losses[0]) == pytest.approx(float(hard[0]), rel=1e-5)
    for at in (1, 2):
        expected = 0.75 * hard[at] + 0.25 * soft[at]
        assert float(losses[at]) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("name", ["uniform", "batch_split"])
def test_distillation_asks_the_largest_member_where_a_step_has_none(name: str) -> None:
    images, labels = batch()
    course = training(name, distillation=1.0)
    lessons = course.lessons(0, images, labels)
    course.optimizer.zero_grad()
    losses, _, _ = course.gradients(lessons, images, labels)
    net, largest = course.supernet, course.supernet.space.build(course.sizes.largest)
    for lesson, loss in zip(lessons, losses, strict=True):
        mine = images[slice(*(lesson.rows or (0, BATCH)))]
        with torch.no_grad():
            soft = net(mine, largest).softmax(1)
            logits = net(mine, net.space.build(lesson.decisions))
        expected = F.cross_entropy(logits, soft)
        assert float(loss) == pytest.approx(float(expected), rel=1e-5)


def test_distillation_is_off_by_default_and_stands_in_every_result() -> None:
    result, _ = train_paths(supernet(), five_parts(), config("uniform"), seed=0)
    assert result.declared == {"sampler": "uniform", "sampler_options": {}, "distillation": 0.0}
    result, _ = train_paths(supernet(), five_parts(), config("sandwich", distillation=0.5), seed=0)
    assert result.declared["distillation"] == 0.5
    assert result.declared["sampler_options"] == {"members": 2}


def test_what_several_members_read_is_cut_into_boxes_that_do_not_overlap() -> None:
    shapes = [(8, 4), (4, 8), (2, 2), (6, 6)]
    footprint = joined({"slot": shape} for shape in shapes)["slot"]
    counts = torch.zeros(10, 10)
    for piece in pieces(counts, footprint):
        piece += 1
    expected = torch.zeros(10, 10)
    for rows, columns in shapes:
        expected[:rows, :columns] = 1
    assert torch.equal(counts, expected)
    assert joined([{"slot": (8, 8)}, {"slot": (4, 8)}]) == {"slot": (8, 8)}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nested", "No depth and no width is open"),
        ("shrinking", "None of depth, width, in_degree is open"),
        ("partition", "No question asks for the pattern of a stage"),
        ("preferred", "It has 4 members and 6 are to be kept"),
    ],
)
def test_a_space_that_a_sampler_does_not_fit_is_refused(name: str, why: str) -> None:
    pattern = rf"'{name}' does not fit the space 'fixed'[\s\S]*{why}[\s\S]*fix:"
    with pytest.raises(SpaceError, match=pattern):
        training(name, fixed_space())


def test_blockwise_refuses_a_space_without_stages() -> None:
    with pytest.raises(SpaceError, match=r"'cell.edge0-1' belongs to no stage"):
        PATH_SAMPLERS.get("blockwise")().check(named_space("nasbench201"))


def test_attentive_refuses_a_space_of_one_size() -> None:
    choices = {"choices": ["chain", "residual"]}
    equal = staged("equal", {"pattern": choices, "depth": 2, "width": 4, "merge": "sum"})
    with pytest.raises(SpaceError, match="All its members have the same multiply-adds"):
        begun("attentive", equal)


def test_partition_refuses_a_question_that_is_none() -> None:
    with pytest.raises(SpaceError, match=r"'stage9.pattern' asks for[\s\S]*stage1.pattern"):
        begun("partition", question="stage9.pattern")


def test_a_missing_predictor_is_refused() -> None:
    with pytest.raises(ConfigError, match="to compare by a predictor, and none is given") as caught:
        begun("attentive", by="predictor")
    assert caught.value.fix and "train_paths" in caught.value.fix


def test_an_unknown_zero_cost_score_is_refused_before_training() -> None:
    with pytest.raises(NotFoundError, match="Unknown zero-cost score 'magic'"):
        training("preferred", sampler=declaration("preferred", score="magic"))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("shrinking", {"largest_share": 0.6, "open_share": 0.5}, "must leave room for phases"),
        ("preferred", {"keep": 200}, "keep must be below pool"),
        ("sandwich", {"members": -1}, "members"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        make_part(PATH_SAMPLERS, declaration(name, **options), "here")


def test_a_teacher_and_distillation_exclude_each_other() -> None:
    with pytest.raises(ConfigError, match="'blockwise' cannot distil as well"):
        training("blockwise", distillation=0.5)


def test_a_teacher_and_weights_that_are_taken_apart_exclude_each_other() -> None:
    net = Supernet(fitting_space(), SHAPE, CLASSES, sharing="auto")
    with pytest.raises(ConfigError, match="between states of a fixed teacher, and the sharing"):
        PathTraining(net, part(), config("blockwise"), seed=0)


def test_a_batch_too_small_for_batch_norm_is_refused_before_training() -> None:
    with pytest.raises(ConfigError, match=r"trained on 1 image at a time[\s\S]*divides the 12"):
        training("batch_split", sampler={"name": "batch_split", "members": 8})
    with pytest.raises(ConfigError, match=r"trained on 1 image at a time[\s\S]*There are 1 images"):
        PathTraining(supernet(), replace(part(), rows=np.array([4])), config("uniform"), seed=0)


def test_every_question_is_listed_once() -> None:
    found = every_question(fitting_space())
    assert len({id(each) for each in found}) == len(found)
    assert {"stage1.pattern", "stage2.op3.inputs", "stage1.op1.operation"} <= {
        each.name for each in found
    }
