"""Every registered merge inside a supernet: law 1, slots, slices, and what is mixed or sampled."""

from __future__ import annotations

from functools import cache
from itertools import combinations

import numpy as np
import pytest
import torch
from supernet_cases import SHAPE, images, one_stage, shaken

from nas.cost.shapes import plan
from nas.errors import ConfigError, SpaceError
from nas.model.network import Network
from nas.space import AbstractSpace, OneOf, Option
from nas.supernet.binding import Binder, role
from nas.supernet.execution import batch_norm
from nas.supernet.mixtures.mixing import mix
from nas.supernet.mixtures.relaxed import relaxed_logits
from nas.supernet.relaxation import Relaxation
from nas.supernet.relaxation_config import RelaxationSettings
from nas.supernet.relaxation_parts import check_fit
from nas.supernet.scoring.shared_passes import Expressions, SharedPass
from nas.supernet.supernet import Supernet
from nas.topology.graph import Architecture
from nas.topology.merges import MERGES

NAMES = list(MERGES)
WHOLE = [name for name in NAMES if not MERGES.get(name).linear]
LEARNED = [name for name in WHOLE if MERGES.get(name).parameters]
PATTERNS = ("free", "residual", "dense")


def wirings(*merges: str) -> AbstractSpace:
    """Wirings of several in-degrees at two widths."""
    return one_stage(*merges, patterns=PATTERNS, depth=4)


@cache
def fresh(name: str) -> Supernet:
    """A supernet of one merge with the weights it starts from; tests only read it."""
    return Supernet(wirings(name), SHAPE, 5)


def members(space: AbstractSpace, count: int = 6, seed: int = 7) -> list[Architecture]:
    rng = np.random.default_rng(seed)
    return [space.build(space.sample(rng)) for _ in range(count)]


def merging(name: str, architecture: Architecture) -> int:
    """Count the nodes that merge several inputs by the given rule."""
    steps = plan(architecture, SHAPE).steps
    return sum(len(step.inputs) > 1 and step.node.merge == name for step in steps)


@pytest.mark.parametrize("name", NAMES)
def test_law_1_the_subnet_equals_the_network_it_is_cut_out_as(name: str) -> None:
    space = wirings(name)
    supernet = shaken(Supernet(space, SHAPE, 5).double()).eval()
    drawn, x = members(space), images()
    assert sum(merging(name, each) for each in drawn) > 3
    assert len({each.nodes[1].width for each in drawn}) == 2
    for architecture in drawn:
        statistics = supernet.recalibrate(architecture, images(16, seed=1))
        with torch.no_grad():
            inside = supernet(x, architecture, statistics)
            alone = supernet.extract(architecture, statistics).eval()(x)
        assert (inside - alone).abs().max() <= 1e-10 * alone.abs().max()


@pytest.mark.parametrize("name", WHOLE)
def test_members_scored_together_get_the_logits_of_each_alone(name: str) -> None:
    space = wirings(name, "sum")
    supernet = shaken(Supernet(space, SHAPE, 5).double())
    expressions = Expressions(supernet.weights, supernet.classify)
    drawn, x = members(space, 8), images()
    found: dict[int, torch.Tensor] = {}
    programs = [supernet.program(each) for each in drawn]
    outputs = [expressions.member(each, supernet.head_uses(each)) for each in programs]
    SharedPass(expressions.table, outputs, 2**30).run(x, lambda _: batch_norm, found.__setitem__)
    with torch.no_grad():
        for place, architecture in enumerate(drawn):
            assert torch.equal(found[place], supernet.run(x, architecture))


@pytest.mark.parametrize("name", LEARNED)
def test_a_slot_starts_as_the_network_alone_does_where_no_noise_is_drawn(name: str) -> None:
    space = wirings(name)
    architecture = next(each for each in members(space) if merging(name, each))
    alone = dict(Network(architecture, SHAPE, 5).named_parameters())
    inside = dict(fresh(name).extract(architecture).named_parameters())
    fixed = {
        entry.name for entry in MERGES.get(name).parameters if entry.start in ("zeros", "ones")
    }
    compared = 0
    for key, value in inside.items():
        if ".merge." in key and key.rpartition(".")[2] in fixed:
            assert torch.equal(value, alone[key])
            compared += 1
    assert compared or not fixed


@pytest.mark.parametrize("name", LEARNED)
def test_weights_of_an_input_are_its_edges_and_all_others_the_nodes(name: str) -> None:
    """So wirings in which a node has other inputs share the weights of those they share."""
    space, supernet = wirings(name), fresh(name)
    declared = {entry.name: entry for entry in MERGES.get(name).parameters}
    degrees: dict[str, set[int]] = {}
    for architecture in members(space, 20):
        for call in supernet.program(architecture).calls:
            for entry in call.merge:
                assert entry.per_input == (declared[entry.name].per == "input")
                assert len(entry.uses) == declared[entry.name].tensors(len(call.inputs))
                for use in entry.uses:
                    assert ("<" in use.key) == entry.per_input
                    degrees.setdefault(use.key, set()).add(len(call.inputs))
    assert any(len(found) > 1 for found in degrees.values())


@pytest.mark.parametrize("name", LEARNED)
def test_a_narrower_member_reads_leading_slices(name: str) -> None:
    space, supernet = wirings(name), fresh(name)
    shapes: dict[str, set[tuple[int, ...]]] = {}
    for architecture in members(space, 20):
        for call in supernet.program(architecture).calls:
            for use in (use for entry in call.merge for use in entry.uses):
                shapes.setdefault(use.key, set()).add(use.shape)
                slot = supernet.weights.slot(use.key)
                assert all(a <= b for a, b in zip(use.shape, slot.shape, strict=True))
                read = supernet.weights.read(use)
                assert read.data_ptr() == slot.data_ptr()
    sized = any(
        size in ("channels", "inputs") for e in MERGES.get(name).parameters for size in e.shape
    )
    assert any(len(found) > 1 for found in shapes.values()) == sized


def test_ranks_of_one_merge_are_slices_of_the_same_weights() -> None:
    space = wirings("laurel_lr(rank=2)", "laurel_lr(rank=3)")
    supernet = Supernet(space, SHAPE, 5)
    keys = [key for key, _ in supernet.weights.slots() if "laurel" in key]
    assert keys
    assert not any("rank" in key for key in keys)
    ranks = {supernet.weights.slot(key).shape[0] for key in keys if key.endswith("|down")}
    assert ranks == {3}


@pytest.mark.parametrize("name", NAMES)
def test_a_choice_that_offers_a_merge_of_another_form_is_sampled_whole(name: str) -> None:
    choice = OneOf("x", tuple(Option(each) for each in sorted({"sum", name, "default"})))
    assert role(choice) == ("merge" if MERGES.get(name).linear else "joint")


@pytest.mark.parametrize("name", WHOLE)
def test_a_mixture_around_merges_that_are_sampled_whole_has_exact_vertices(name: str) -> None:
    space = one_stage(name, "sum", patterns=("residual",))
    supernet = shaken(Supernet(space, SHAPE, 5).double())
    relaxation = Relaxation(space, operations="mixed").double()
    binder, rng, x = Binder(space), np.random.default_rng(0), images()
    check_fit(RelaxationSettings(operations="mixed"), space)
    seen = set()
    for _ in range(4):
        decisions = space.sample(rng)
        context, values = relaxation.context(decisions)
        assert all(not each.name.endswith(".merge") for each in context.relaxed)
        seen |= {node.merge for node in space.build(decisions).nodes}
        with torch.no_grad():
            ours = relaxed_logits(supernet, mix(supernet, binder, context), values, x)
            theirs = supernet.run(x, space.build(decisions))
        assert (ours - theirs).abs().max() < 1e-10 * theirs.abs().max()
    assert {name, "sum"} <= seen


@pytest.mark.parametrize("name", WHOLE)
def test_edges_into_a_merge_of_another_form_are_not_relaxed_and_the_way_out_is_named(
    name: str,
) -> None:
    space = one_stage(name, patterns=("free",))
    with pytest.raises(
        ConfigError,
        match=rf"the node 'stage1\.\w+' may merge by {name}\.[\s\S]*'concat'[\s\S]*or set",
    ):
        check_fit(RelaxationSettings(), space)
    context, _ = Relaxation(space).context(space.reference(SHAPE))
    with pytest.raises(
        SpaceError, match=rf"merges by '{name}', which cannot be relaxed[\s\S]*paths"
    ):
        mix(Supernet(space, SHAPE, 5), Binder(space), context)


def test_two_merges_are_two_sets_of_weights() -> None:
    rules = [name for name in LEARNED if "laurel" not in name]
    space = wirings(*rules)
    keys = {key for key, _ in Supernet(space, SHAPE, 5).weights.slots() if "|merge " in key}
    families = {key.split("|merge ")[1].split("|")[0] for key in keys}
    assert families == set(rules)
    assert all(one != other for one, other in combinations(sorted(keys), 2))


def test_behind_a_stack_that_is_no_sum_of_slices_every_set_of_inputs_has_its_own_weights() -> None:
    """A layer norm over stacked inputs makes of each what the others beside it allow."""
    for operation, apart in (("conv3x3", False), ("ln+conv3x3", True)):
        space = one_stage("stack", patterns=("free",), depth=5, operations=(operation,))
        supernet = shaken(Supernet(space, SHAPE, 5).double())
        x, found = images(), dict[str, set[tuple[str, ...]]]()
        for architecture in members(space, 20):
            with torch.no_grad():
                inside = supernet.run(x, architecture)
                alone = supernet.extract(architecture).train()(x)
            assert (inside - alone).abs().max() <= 1e-10 * alone.abs().max()
            for call in supernet.program(architecture).calls:
                if call.step.node.operation == operation and len(call.inputs) > 1:
                    sources = tuple(edge.source_name for edge in call.inputs)
                    kernel = next(
                        u for layer in call.layers for u in layer.weights if len(u.shape) == 4
                    )
                    found.setdefault(kernel.key, set()).add(sources)
        shared = max(len(each) for each in found.values())
        assert (shared == 1) == apart
