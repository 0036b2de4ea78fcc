"""What a module gives: a layer, a linear map of flattened numbers, or a merge of this package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from torch import nn

from nas.errors import ConfigError
from nas.model.importing.calls import Call, Head, copied, layered, viewed
from nas.model.importing.leaves import IDENTITIES, reader_of
from nas.model.importing.leaves import is_leaf as is_layer
from nas.model.importing.tracing import BATCH
from nas.model.importing.values import Term, Weighed, refused
from nas.model.merges import AbstractMerge, PairwiseMean, Stacked, Summed
from nas.topology.layers import Conv


def is_leaf(module: nn.Module) -> bool:
    """Tell whether a module is recorded as one call."""
    if isinstance(module, AbstractMerge):  # these three are plain arithmetic
        return not isinstance(module, Summed | Stacked | PairwiseMean)
    return is_layer(module) or _is_plain(module, nn.Linear) or _is_plain(module, nn.Flatten)


def _is_plain(module: nn.Module, kind: type[nn.Module]) -> bool:
    return isinstance(module, kind) and type(module).forward is kind.forward


def run_module(call: Call, module: nn.Module) -> Any:
    """Return what a module gives."""
    if isinstance(module, AbstractMerge):
        return _run_merge(call, module)
    if isinstance(module, nn.Flatten):
        return viewed(call)
    if _is_plain(module, nn.Linear):
        return _linear(call, cast(nn.Linear, module))
    read = reader_of(module)
    assert read is not None, "unknown modules were refused"
    try:
        found = read(module, call.term.shape, call.place)
    except ConfigError as error:  # a layer that cannot have these numbers
        raise refused(call.place, f"is no layer: {error.what}", error.fix or "") from error
    if found is None:
        is_same = isinstance(module, IDENTITIES)
        return call.term if is_same else copied(call)
    return layered(call, found, module)


def _linear(call: Call, module: nn.Linear) -> Term | Head:
    term = call.term
    if tuple(call.value.shape) != (BATCH, module.out_features):
        raise refused(
            call.place,
            f"reads a tensor of shape {term.shape} as rows of numbers",
            "Flatten the tensor in front of a Linear, or use a 1x1 convolution.",
        )
    high, wide = term.shape[1:]
    if call.ends:
        return _head(call, term, module)
    if high != wide:
        raise refused(
            call.place,
            f"reads {high}x{wide} positions",
            "A Linear reads a square of positions, or one: pool in front of it.",
        )
    conv = Conv(kernel=high, padding="valid", bias=module.bias is not None)
    weighed = Weighed(conv, 1, module.out_features, module, call.place)
    return call.steps.layer(term, weighed, flat=True)


def _head(call: Call, term: Term, module: nn.Linear) -> Head:
    if term.shape[1:] != (1, 1):
        raise refused(
            call.place,
            f"classifies {term.shape[1]}x{term.shape[2]} positions apart",
            "The last Linear reads one number per channel: put nn.AdaptiveAvgPool2d(1) in front.",
        )
    if module.bias is None:
        raise refused(
            call.place, "is a classifier without a bias", "A bias of zeros computes the same."
        )
    return Head(term, module)


def _run_merge(call: Call, module: AbstractMerge) -> Term:
    """Take over a merge module of this package by its name."""
    terms: Sequence[Term] = call.args[0]
    setup = getattr(module, "setup", None)
    factor = float(setup.factor if setup is not None else getattr(module, "factor", 1.0))
    count = len(terms)
    scales = {1.0: "none", count**-0.5: "rsqrt", 1.0 / count: "mean"}
    name = {"Weighted": "weighted", "Projected": "concat"}.get(type(module).__name__)
    masks = tuple(
        "mask" if role == "mask" else "default" for role in (setup.roles if setup else ())
    )
    return call.steps.merged(
        name or setup.rule.name,  # type: ignore[union-attr]
        terms,
        call.place,
        scale="auto" if setup is not None and setup.rule.fixed_scale else scales[factor],
        module=module if list(module.parameters()) else None,
        ports=masks if "mask" in masks else (),
    )
