"""The space of many patterns: one supernet holds them all, and spaces name patterns as text."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

import numpy as np
import pytest
import torch
from scale import is_full_scale, scaled
from supernet_cases import SHAPE, images, shaken

from nas.config_files import load_document
from nas.errors import ConfigError, NotFoundError, SpaceError
from nas.space import AbstractSpace, load_space, space_from_dict
from nas.space.choices import OneOf
from nas.space.declared import spaces_folder
from nas.supernet.binding import Binder
from nas.supernet.mixtures.mixing import mix
from nas.supernet.mixtures.relaxed import relaxed_logits
from nas.supernet.relaxation import Relaxation
from nas.supernet.supernet import Supernet
from nas.topology.patterns import PATTERNS

CLASSES = 5


@cache
def catalogue() -> AbstractSpace:
    return load_space("catalogue")


def offered(space: AbstractSpace) -> list[str]:
    choice = space.choices[0]
    assert isinstance(choice, OneOf)
    return [str(option.value) for option in choice.options]


# Read only, not built: every process that collects tests comes by here.
WRITTEN = load_document(spaces_folder() / "catalogue.yaml").data["stages"][0]["pattern"]["choices"]
CHECKED = WRITTEN if is_full_scale() else WRITTEN[1::3]


def one_stage(pattern: Any, **changes: Any) -> AbstractSpace:
    stage = {"pattern": pattern, "depth": 2, "width": 8, **changes}
    return space_from_dict(
        {"schema": "nas.space/1", "kind": "stages", "name": "one", "stages": [stage]}
    )


@lru_cache(maxsize=1)
def supernet() -> Supernet:
    return shaken(Supernet(catalogue(), SHAPE, CLASSES, seed=0).double()).eval()


def check_law_1(net: Supernet, space: AbstractSpace, decisions: dict[str, Any]) -> None:
    architecture = space.build(decisions)
    statistics = net.recalibrate(architecture, images(16))
    with torch.no_grad():
        inside = net(images(), architecture, statistics)
        alone = net.extract(architecture, statistics).eval()(images())
    assert (inside - alone).abs().max() <= 1e-10 * alone.abs().max(), architecture.wiring


@pytest.mark.parametrize("written", CHECKED)
def test_law_1_holds_for_every_pattern_of_the_catalogue_space(written: str) -> None:
    number = WRITTEN.index(written)
    rng, pattern = np.random.default_rng(number), offered(catalogue())[number]
    for _ in range(3 if is_full_scale() else 1):
        decisions = catalogue().sample(rng)
        while pattern not in catalogue().stage_patterns(decisions):
            decisions = catalogue().sample(rng)
        check_law_1(supernet(), catalogue(), decisions)


def test_the_catalogue_space_offers_most_patterns_and_some_inside_others() -> None:
    names = offered(catalogue())
    bases = {PATTERNS.get(name).base for name in names}
    assert len(bases) >= 30
    assert len(names) == len(WRITTEN)
    assert {"csp(inner=dense)", "looped(times=2)"} <= set(names)
    assert set(names) == set(offered_in_stage(2))


def offered_in_stage(number: int) -> list[str]:
    (choice,) = (each for each in catalogue().choices if each.name == f"stage{number}.pattern")
    assert isinstance(choice, OneOf)
    return [str(option.value) for option in choice.options]


def test_a_space_names_a_pattern_by_its_canonical_spelling() -> None:
    space = one_stage({"choices": ["csp(parts=2,inner=dense)", "csp(inner=residual)"]})
    assert offered(space) == ["csp(inner=dense)", "csp"]
    decisions = space.sample(np.random.default_rng(0))
    built = space.build(decisions)
    assert built.wiring == (decisions["stage1.pattern"],)
    assert set(space.known()) == {"csp", "csp(inner=dense)"}
    again = space_from_dict(space.to_dict())
    assert again.build(decisions) == built


def test_one_pattern_under_two_spellings_is_refused() -> None:
    with pytest.raises(SpaceError, match=r"offers an option twice: \['csp', 'csp'\]"):
        one_stage({"choices": ["csp", "csp(inner=residual)"]})


@pytest.mark.parametrize(
    ("pattern", "error", "message"),
    [
        ("csp(inner=dens)", NotFoundError, r"Did you mean 'dense'\?"),
        ("csp(iner=dense)", ConfigError, r"Did you mean 'inner'\?"),
        ("res2net(scale=400)", ConfigError, "Write scale=16"),
        ("fractal(", ConfigError, "does not spell a pattern"),
    ],
)
def test_a_misspelt_pattern_of_a_space_is_refused(
    pattern: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        one_stage(pattern)


def test_depths_that_a_pattern_lacks_are_refused_with_its_own_rule() -> None:
    with pytest.raises(SpaceError, match=r"none of the depths \[2\][\s\S]*multiples of 3"):
        one_stage("res2net")


@pytest.mark.parametrize("norms", ["shared", "own"])
def test_operations_of_a_loop_are_one_question_and_one_set_of_weights(norms: str) -> None:
    space = one_stage(
        f"looped(times=3,norms={norms})",
        operation={"choices": ["conv3x3", "separable3x3"], "per": "node"},
    )
    asked = [choice.name for choice in space.asked(space.cover()[0])]
    assert [name for name in asked if name.endswith("operation")] == [
        "stage1.op1.operation",
        "stage1.op2.operation",
    ]
    net = shaken(Supernet(space, SHAPE, CLASSES, seed=0).double()).eval()
    for decisions in space.enumerate():
        operations = [node.operation for node in space.build(decisions).nodes if node.tie]
        assert operations == operations[:2] * 3
        check_law_1(net, space, decisions)


@cache
def composed() -> AbstractSpace:
    return one_stage(
        {
            "choices": [
                "csp(inner=free)",
                "residual_attention",
                "res2net(scale=2)",
                "looped(inner=dense)",
                "recurrent_residual",
                "pyramidal",
                "nested_u",
            ]
        },
        depth={"choices": [2, 4]},
        operation={"choices": ["conv3x3", "separable3x3"], "per": "node"},
        merge={"choices": ["sum", "concat", "weighted"], "per": "node"},
    )


@pytest.mark.parametrize("operations", ["sampled", "mixed"])
def test_law_4_holds_for_composed_patterns(operations: str) -> None:
    net = shaken(Supernet(composed(), SHAPE, CLASSES).double())
    relaxation = Relaxation(composed(), operations=operations).double()  # type: ignore[arg-type]
    binder, rng, x = Binder(composed()), np.random.default_rng(0), images()
    for _ in range(scaled(200)):
        decisions = composed().sample(rng)
        context, values = relaxation.context(decisions)
        with torch.no_grad():
            ours = relaxed_logits(net, mix(net, binder, context), values, x)
            theirs = net(x, composed().build(decisions))
        assert float((ours - theirs).abs().max() / theirs.abs().max()) < 1e-10, decisions
