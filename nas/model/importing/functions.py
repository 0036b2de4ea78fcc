"""Handlers of functions and methods: arithmetic, merges, views, pooling and nonlinearities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from nas.model.importing.calls import (
    Call,
    Learned,
    Zeros,
    copied,
    handles,
    layered,
    viewed,
)
from nas.model.importing.leaves import Read
from nas.model.importing.modules import run_module
from nas.model.importing.values import Term, refused
from nas.topology.layers import GlobalPool, Pool

_ACTIVATIONS: dict[str, tuple[type[nn.Module], tuple[str, ...]]] = {
    "relu": (nn.ReLU, ("inplace",)),
    "relu_": (nn.ReLU, ()),
    "relu6": (nn.ReLU6, ("inplace",)),
    "leaky_relu": (nn.LeakyReLU, ("negative_slope", "inplace")),
    "leaky_relu_": (nn.LeakyReLU, ("negative_slope",)),
    "silu": (nn.SiLU, ("inplace",)),
    "gelu": (nn.GELU, ("approximate",)),
    "mish": (nn.Mish, ("inplace",)),
    "sigmoid": (nn.Sigmoid, ()),
    "sigmoid_": (nn.Sigmoid, ()),
    "hardsigmoid": (nn.Hardsigmoid, ("inplace",)),
    "hardswish": (nn.Hardswish, ("inplace",)),
}

_POOLS: dict[str, tuple[type[nn.Module], tuple[str, ...]]] = {
    "max_pool2d": (
        nn.MaxPool2d,
        ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices"),
    ),
    "avg_pool2d": (
        nn.AvgPool2d,
        (
            "kernel_size",
            "stride",
            "padding",
            "ceil_mode",
            "count_include_pad",
            "divisor_override",
        ),
    ),
    "adaptive_avg_pool2d": (nn.AdaptiveAvgPool2d, ("output_size",)),
    "adaptive_max_pool2d": (nn.AdaptiveMaxPool2d, ("output_size",)),
}


@handles(*_ACTIVATIONS, *_POOLS)
def _as_module(call: Call) -> Any:
    kind, names = (_ACTIVATIONS | _POOLS)[call.name]
    given = call.bound(*names)
    if not given.get("stride", True):  # None and () both mean the kernel's size
        del given["stride"]
    return run_module(call, kind(**given))


@handles("interpolate", "upsample")
def _interpolate(call: Call) -> Any:
    given = call.bound("size", "scale_factor", "mode", "align_corners")
    if given.get("size") is not None:
        given.pop("scale_factor", None)
    return run_module(call, nn.Upsample(**given))


@handles("dropout", "dropout2d", "feature_dropout", "alpha_dropout")
def _dropout(call: Call) -> Term:
    if call.bound("p", "training", "inplace").get("training", True):
        raise refused(
            call.place,
            "draws random numbers outside training, too",
            "Write dropout(x, p, training=self.training), or use nn.Dropout.",
        )
    return call.term


@handles("contiguous", "detach")
def _same(call: Call) -> Term:
    return call.term


@handles("clone")
def _clone(call: Call) -> Term:
    return copied(call)


@handles("add", "iadd", "add_")
def _add(call: Call) -> Term:
    first, second = _operands(call)
    if not isinstance(first, Term):
        first, second = second, first
    if isinstance(second, Term):
        return call.steps.merged("sum", [first, second], call.place)
    if isinstance(second, Zeros) and tuple(call.value.shape[1:]) == first.shape:
        return copied(replace(call, args=(first,)))
    return _unshifted(call, first, second)


@handles("sub", "isub", "sub_")
def _subtract(call: Call) -> Term:
    first, second = _operands(call)
    if not isinstance(second, Term):
        return _unshifted(call, first, second)
    negative = call.steps.scaled(second, -1.0, call.place)
    if isinstance(first, Term):
        return call.steps.merged("sum", [first, negative], call.place)
    return _unshifted(call, negative, first)


def _unshifted(call: Call, term: Term, constant: object) -> Term:
    if isinstance(constant, int | float) and constant == 0:
        return term
    raise refused(call.place, "adds a constant", "Only biases of layers add constants.")


@handles("neg")
def _negate(call: Call) -> Term:
    return call.steps.scaled(call.term, -1.0, call.place)


@handles("mul", "imul", "mul_")
def _multiply(call: Call) -> Term:
    first, second = _operands(call)
    if not isinstance(first, Term):
        first, second = second, first
    if isinstance(second, Term):
        terms = [call.steps.whole(first, call.place), call.steps.whole(second, call.place)]
        return call.steps.merged("product", terms, call.place)
    if isinstance(second, Learned):
        return _gained(call, first, second)
    return call.steps.scaled(first, float(second), call.place)


def _gained(call: Call, term: Term, learned: Learned) -> Term:
    shape = tuple(learned.tensor.shape)
    per_channel = (term.shape[0], 1, 1)
    single = learned.tensor.numel() == 1
    if not single and (term.flat or shape not in (per_channel, (1, *per_channel))):
        raise refused(
            call.place,
            f"multiplies {term.shape} by learned numbers of shape {shape}",
            "Use one number, or one per channel.",
        )
    if not isinstance(learned.tensor, nn.Parameter) and not learned.tensor.requires_grad:
        if single:
            return call.steps.scaled(term, float(learned.tensor), call.place)
        raise refused(call.place, "multiplies by a buffer", "Make it a parameter, or a number.")
    return call.steps.weighted(term, learned.tensor, call.place)


@handles("truediv", "div", "itruediv", "div_")
def _divide(call: Call) -> Term:
    first, second = _operands(call)
    if not isinstance(first, Term) or not isinstance(second, int | float):
        raise refused(call.place, "divides by a tensor", "Divide by a number.")
    return call.steps.scaled(first, 1.0 / second, call.place)


def _operands(call: Call) -> tuple[Any, Any]:
    given = call.bound("other")
    if set(call.kwargs) - {"input", "other"} or len(call.args) > 2:
        raise refused(call.place, f"has the options {sorted(call.kwargs)}", "Leave them out.")
    return call.args[0], given["other"]


@handles("cat", "concat", "concatenate")
def _concatenate(call: Call) -> Term:
    terms: Sequence[Any] = call.args[0] if call.args else call.kwargs["tensors"]
    dim = call.bound("dim").get("dim", call.kwargs.get("axis", 0))
    if dim % len(call.value.shape) == 1 and isinstance(terms[-1], Zeros) and len(terms) == 2:
        return _zero_padded(replace(call, args=(terms[0],)))
    if dim % len(call.value.shape) != 1 or not all(isinstance(term, Term) for term in terms):
        raise refused(
            call.place,
            f"concatenates along dimension {dim}",
            "Concatenate images' tensors along their channels, dim=1.",
        )
    if len(terms) == 1:
        return replace(call.steps.whole(terms[0], call.place))
    return call.steps.merged("stack", terms, call.place)


@handles("flatten", "view", "reshape", "squeeze", "unsqueeze")
def _view(call: Call) -> Any:
    first = call.args[0] if call.args else None
    if isinstance(first, Learned):
        return Learned(getattr(first.tensor, call.name)(*call.args[1:], **call.kwargs))
    return viewed(call)


@handles("new_zeros", "zeros_like")
def _zeros(call: Call) -> Zeros:
    return Zeros(tuple(call.value.shape))


@handles("permute")
def _permute(call: Call) -> Zeros:
    if isinstance(call.args[0], Zeros):
        return Zeros(tuple(call.value.shape))
    raise refused(call.place, "reorders dimensions", "Keep (batch, channels, height, width).")


@handles("expand", "expand_as")
def _expand(call: Call) -> Term:
    """Leave the spreading to whatever merges the tensor."""
    return call.term


@handles("mean", "mean_")
def _mean(call: Call) -> Term:
    given = call.bound("dim", "keepdim")
    dims = given.get("dim", ())
    chosen = {dim % 4 for dim in (dims if isinstance(dims, tuple) else (dims,))}
    if chosen != {2, 3} or call.term.flat:
        raise refused(
            call.place, f"averages over {dims or 'everything'}", "Average over (2, 3), positions."
        )
    pooled = layered(call, Read(GlobalPool()), None)
    return pooled if given.get("keepdim", False) else replace(pooled, flat=True)


@handles("chunk", "split", "tensor_split")
def _split(call: Call) -> tuple[Term, ...]:
    given = call.bound("pieces", "dim")
    dim = given.get("dim", 0)
    term = _with_channels(call, dim)
    found, start = [], 0
    for piece in call.value:
        length = int(piece.shape[1])
        found.append(call.steps.taken(term, start, length, call.place))
        start += length
    return tuple(found)


@handles("narrow")
def _narrow(call: Call) -> Term:
    given = call.bound("dim", "start", "length")
    term = _with_channels(call, given["dim"])
    return call.steps.taken(term, given["start"], given["length"], call.place)


def _with_channels(call: Call, dim: int) -> Term:
    term = call.term
    if dim % (2 if term.flat else 4) != 1 or (term.flat and term.shape[1:] != (1, 1)):
        raise refused(
            call.place, f"splits dimension {dim}", "Split images' tensors by channels, dim=1."
        )
    return term


@handles("getitem")
def _item(call: Call) -> Any:
    owner, index = call.args
    if isinstance(owner, tuple):
        return owner[index]
    if isinstance(owner, Learned):
        return Learned(owner.tensor[index])
    places = index if isinstance(index, tuple) else (index,)
    if all(place is None or place == slice(None) for place in places):
        return viewed(call)
    if not all(isinstance(place, slice) for place in places) or places[0] != slice(None):
        raise refused(call.place, "picks single images, channels or positions", "Use slices.")
    return _sliced(call, places)


def _sliced(call: Call, places: tuple[slice, ...]) -> Term:
    """Take a range of channels, or every so many rows and columns."""
    term = _with_channels(call, 1)
    channels = places[1] if len(places) > 1 else slice(None)
    start, stop, step = channels.indices(term.shape[0])
    if step != 1:
        raise refused(call.place, "skips channels", "Take channels that stand together.")
    if stop - start != term.shape[0]:
        term = call.steps.taken(term, start, stop - start, call.place)
    rows = places[2:]
    if not rows or all(row == slice(None) for row in rows):
        return term
    strides = {row.step or 1 for row in rows}
    if len(rows) != 2 or len(strides) > 1 or any(row.start or row.stop for row in rows):
        raise refused(call.place, "cuts positions out", "Use a stride, the same for both sides.")
    read = Read(Pool(kind="max", kernel=1), strides.pop())
    return layered(replace(call, args=(term,)), read, None)


@handles("pad")
def _pad(call: Call) -> Term:
    """Append channels of zeros, behind a subsampling if there is one: an edge that does both."""
    given = call.bound("pad", "mode", "value")
    amounts = given["pad"]
    constant = given.get("mode", "constant") == "constant" and not given.get("value")
    if not constant or len(amounts) != 6 or any(amounts[:5]) or call.term.flat:
        raise refused(
            call.place,
            f"pads by {tuple(amounts)}",
            "Pad inside of convolutions; zeros behind the last channel can be appended.",
        )
    return _zero_padded(call)


def _zero_padded(call: Call) -> Term:
    """Append zeros to the channels of the first argument, as many as the result has more."""
    term = call.steps.whole(call.term, call.place)
    behind = call.steps.every[term.value]
    if behind.layer is not None and behind.layer.layer == Pool(kind="max", kernel=1):
        term = behind.terms[0] if behind.terms[0].plain else term
    channels, height, width = call.value.shape[1:]
    return replace(term, shape=(channels, height, width), transform="zero_pad")
