"""How a person writes each merge: in a line of the forward pass, or as a small class of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

import nas.export.source.parts.merges  # noqa: F401  (registers what files carry)
from nas.errors import NotFoundError
from nas.export.source.layer_forms import convolution, raw_factor
from nas.export.source.pieces import (
    PRODUCT,
    SUM,
    Argument,
    Call,
    Form,
    Stored,
    Term,
    Value,
    source_form,
)
from nas.model.merges import (
    AbstractDeclaredMerge,
    AbstractMerge,
    PairwiseMean,
    Projected,
    Stacked,
    Summed,
    Weighted,
)

MERGE_FORMS: dict[str, Callable[[AbstractDeclaredMerge], Form]] = {}
"""Forms of the merges that are modules, by family."""


def merge_form(*families: str) -> Callable[[MergeForm], MergeForm]:
    """Register the decorated function as what writes the merges of some families."""

    def decorate(write: MergeForm) -> MergeForm:
        for family in families:
            MERGE_FORMS[family] = write
        return write

    return decorate


MergeForm = Callable[[AbstractDeclaredMerge], Form]


def form_of_merge(merge: AbstractMerge, degree: int) -> Form:
    """Return how a merge of `degree` inputs is written; a projection's concatenation alone.

    Raises:
        NotFoundError: If nobody said how.
    """
    if isinstance(merge, Summed):
        return Form("sum", None, _sum(merge.factor, degree), inline=True)
    if isinstance(merge, PairwiseMean):
        return Form("mean", None, _pairwise, inline=True)
    if isinstance(merge, Stacked):
        return stacked()
    if isinstance(merge, Weighted):
        starts = [merge.factor] * degree
        stored = Stored("weights", merge.weights.detach() * merge.factor, (id(merge.weights),))
        return Form("merge", _weighted_sum(starts), tensors=(stored,))
    assert isinstance(merge, AbstractDeclaredMerge)
    family = merge.setup.rule.family
    if family not in MERGE_FORMS:
        raise NotFoundError(
            f"No source form is known for the merge '{family}'.",
            fix="Register one with nas.export.source.merge_form. "
            f"Known merges: {', '.join(sorted(MERGE_FORMS))}.",
        )
    return MERGE_FORMS[family](merge)


def stacked() -> Form:
    """Return the form of a concatenation of channels."""

    def write(_: str, inputs: Sequence[Term]) -> Term:
        return Term(f"torch.cat([{', '.join(term.text for term in inputs)}], 1)")

    return Form("cat", None, write, inline=True)


class ProjectionConv(nn.Conv2d):
    """The convolution behind a concatenation, made of a merge's slices.

    Attributes:
        sources: What it was made from, for merges that share it.
    """

    sources: tuple[int, ...]


def projection(merge: Projected) -> ProjectionConv:
    """Return a projecting merge as the one convolution that it is, its factor included."""
    slices = list(merge.slices)
    with torch.no_grad():
        weight = torch.cat(slices, dim=1)[:, :, None, None] * merge.factor
        conv = ProjectionConv(weight.shape[1], weight.shape[0], 1, bias=False, device="meta")
        conv.weight = nn.Parameter(weight)
    conv.sources = tuple(id(entry) for entry in slices)
    return conv


@source_form(ProjectionConv)
def _projection(module: ProjectionConv) -> Form:
    form = replace(convolution(module), label="mix")
    if module.bias is not None:  # a norm was folded in, so it is nobody else's
        return form
    return replace(form, tensors=(replace(form.tensors[0], source=module.sources),))


def _sum(factor: float, degree: int) -> Callable[[str, Sequence[Term]], Term]:
    def write(_: str, inputs: Sequence[Term]) -> Term:
        total = Term(" + ".join(term.held(SUM) for term in inputs), SUM)
        if factor == 1.0:
            return total
        if factor == 1.0 / degree:
            return Term(f"({total.text}) / {degree}", PRODUCT)
        return Term(f"({total.text}) * {degree}**-0.5", PRODUCT)

    return write


def _pairwise(_: str, inputs: Sequence[Term]) -> Term:
    total = inputs[0]
    for term in inputs[1:]:
        total = Term(f"({total.held(SUM)} + {term.held(SUM)}) / 2", PRODUCT)
    return total


def _weighted_sum(starts: Sequence[float]) -> Call:
    # Only where training would start: a file of weights says the rest.
    return Call("WeightedSum", tuple(Argument(round(float(start), 4)) for start in starts))


def _parameter(merge: AbstractDeclaredMerge, name: str) -> Tensor:
    return merge.get_parameter(name)


def _kept(merge: AbstractDeclaredMerge, name: str, shape: Sequence[int], path: str = "") -> Stored:
    """Return a parameter in the shape that the written class has it in."""
    parameter = _parameter(merge, name)
    return Stored(path or name, parameter.detach().reshape(tuple(shape)), (id(parameter),))


def _scale(merge: AbstractDeclaredMerge) -> Argument:
    factor = raw_factor(merge.setup.factor, merge.setup.degree)
    return Argument(factor, "scale", "scale", 1.0)


@merge_form("product")
def _product(_: AbstractDeclaredMerge) -> Form:
    def write(_: str, inputs: Sequence[Term]) -> Term:
        return Term(" * ".join(term.held(PRODUCT) for term in inputs), PRODUCT)

    return Form("product", None, write, inline=True)


@merge_form("one_plus_mask", "one_plus_raw_mask")
def _one_plus_mask(merge: AbstractDeclaredMerge) -> Form:
    setup = merge.setup
    squashed = setup.rule.family == "one_plus_mask"

    def total(inputs: Sequence[Term], role: str) -> Term:
        found = [term for term, own in zip(inputs, setup.roles, strict=True) if own == role]
        if len(found) == 1:
            return found[0]
        return Term(" + ".join(term.held(SUM) for term in found), SUM)

    def write(_: str, inputs: Sequence[Term]) -> Term:
        trunk, mask = total(inputs, "trunk"), total(inputs, "mask")
        shown = f"torch.sigmoid({mask.text})" if squashed else mask.held(SUM)
        return Term(f"(1 + {shown}) * {trunk.held(PRODUCT)}", PRODUCT)

    return Form("mask", None, write, inline=True)


@merge_form("weighted_zero", "dwa")
def _role_weighted(merge: AbstractDeclaredMerge) -> Form:
    setup = merge.setup
    newest = float(setup.rule.family == "dwa")
    starts = [1.0 - newest] * (setup.degree - 1) + [newest]
    learned = _parameter(merge, "weights")
    values = (learned.detach().flatten() + learned.new_tensor(starts)) * setup.factor
    call = _weighted_sum([start * setup.factor for start in starts])
    return Form("merge", call, tensors=(Stored("weights", values, (id(learned),)),))


@merge_form("weighted_normalised")
def _softmax_weighted(merge: AbstractDeclaredMerge) -> Form:
    degree = merge.setup.degree
    call = Call("SoftmaxSum", (Argument(degree),))
    return Form("merge", call, tensors=(_kept(merge, "logits", [degree]),))


@merge_form("weighted_fast")
def _fast_weighted(merge: AbstractDeclaredMerge) -> Form:
    degree = merge.setup.degree
    call = Call("FastNormalisedSum", (Argument(degree),))
    return Form("merge", call, tensors=(_kept(merge, "weights", [degree]),))


@merge_form("softmax_b")
def _softmax_mean(merge: AbstractDeclaredMerge) -> Form:
    return Form("merge", Call("SoftmaxMean"), tensors=(_kept(merge, "b", [1]),))


@merge_form("power_mean_p")
def _power_mean(merge: AbstractDeclaredMerge) -> Form:
    return Form("merge", Call("PowerMean"), tensors=(_kept(merge, "p", [1]),))


@merge_form("selective_kernel")
def _selective_kernel(merge: AbstractDeclaredMerge) -> Form:
    degree, channels = merge.setup.degree, merge.setup.channels
    hidden = _parameter(merge, "squeeze").shape[-2]
    call = Call("SelectiveKernel", _sizes(channels=channels, hidden=hidden, inputs=degree))
    tensors = (
        _kept(merge, "squeeze", [hidden, channels], "squeeze.weight"),
        _kept(merge, "select", [degree * channels, hidden], "select.weight"),
    )
    return Form("merge", call, tensors=tensors)


def _sizes(**sizes: Value) -> tuple[Argument, ...]:
    return tuple(
        Argument(size, role="count" if role == "inputs" else role) for role, size in sizes.items()
    )


@merge_form("laurel_rw")
def _residual_weights(merge: AbstractDeclaredMerge) -> Form:
    tensors = tuple(_kept(merge, name, [1]) for name in ("alpha", "beta"))
    return Form("merge", Call("LearnedResidual", (_scale(merge),)), tensors=tensors)


@merge_form("laurel_lr", "laurel_pa", "laurel_rw_lr", "laurel_rw_lr_pa")
def _low_rank(merge: AbstractDeclaredMerge) -> Form:
    setup = merge.setup
    present = dict(merge.named_parameters())
    rank, channels = present["down"].shape
    previous = len(present["gamma"].flatten()) if "gamma" in present else 0
    tensors = [
        _kept(merge, "down", [rank, channels, 1, 1], "down.weight"),
        _kept(merge, "up", [channels, rank, 1, 1], "up.weight"),
    ]
    shapes = {"gamma": [previous], "alpha": [1], "beta": [1]}
    tensors += [_kept(merge, name, shape) for name, shape in shapes.items() if name in present]
    call = Call(
        "LowRankResidual",
        (
            Argument(channels, role="channels"),
            Argument(rank, role="rank"),
            Argument(previous, "previous", "previous", 0),
            Argument("alpha" in present, "weighted", "weighted", False),
            Argument("lr" in setup.rule.family.split("_"), "reads_skip", "reads_skip", True),
            _scale(merge),
        ),
    )
    return Form("merge", call, tensors=tuple(tensors))


@merge_form("grn_v2", "grn_v3")
def _channel_weighted(merge: AbstractDeclaredMerge) -> Form:
    degree, channels = merge.setup.degree, merge.setup.channels
    sizes = (*_sizes(inputs=degree, channels=channels), _scale(merge))
    weights = _kept(merge, "weights", [degree, channels])
    if merge.setup.rule.family == "grn_v2":
        return Form("merge", Call("ChannelWeightedSum", sizes), tensors=(weights,))
    query = _kept(merge, "query", [1, channels, 1, 1], "query.weight")
    return Form("merge", Call("QueriedSum", sizes), tensors=(weights, query))


@merge_form("mudd")
def _dynamic_dense(merge: AbstractDeclaredMerge) -> Form:
    degree, channels = merge.setup.degree, merge.setup.channels
    static = _parameter(merge, "static")
    start = torch.zeros(degree, dtype=static.dtype, device=static.device)
    start[-1] = 1.0
    tensors = (
        _kept(merge, "keys", [degree, channels, 1, 1], "keys.weight"),
        _kept(merge, "values", [degree, degree, 1, 1], "values.weight"),
        Stored("static", static.detach().flatten() + start, (id(static),)),
    )
    sizes = (*_sizes(inputs=degree, channels=channels), _scale(merge))
    return Form("merge", Call("DynamicDense", sizes), tensors=tensors)
