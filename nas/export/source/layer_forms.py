"""How a person writes each layer and adapter of `nas.model`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import nn

import nas.export.source.parts.layers  # noqa: F401  (registers what files carry)
from nas.export.source.pieces import (
    ATOM,
    PRODUCT,
    Argument,
    Call,
    Form,
    Raw,
    Stored,
    Term,
    Value,
    Writer,
    form_of,
    own_tensors,
    simple_call,
    source_form,
)
from nas.model.adapters import ChannelPart, Resample, Scaling, ZeroPad
from nas.model.layer_modules import (
    ChannelAffine,
    ChannelGate,
    ChannelNorm,
    Classifier,
    Convolution,
    GateLayer,
    GlobalAverage,
    Rectifier,
    Resize,
    Shuffle,
    TokenMixer,
)


def _plain(value: int | str | tuple[int, ...]) -> int | tuple[int, ...]:
    """Return one number for equal ones, as people write them."""
    assert not isinstance(value, str), "our convolutions pad by numbers"
    numbers = (value,) if isinstance(value, int) else value
    return numbers[0] if len(set(numbers)) == 1 else numbers


def _function(template: str) -> Writer:
    """Return the writer of a function of one input, `{}` in the template."""

    def write(_: str, inputs: Sequence[Term]) -> Term:
        return Term(template.format(inputs[0].text))

    return write


def convolution(module: nn.Conv2d) -> Form:
    """Return the form of any convolution."""
    depthwise = module.groups > 1 and module.groups == module.in_channels
    call = Call(
        "nn.Conv2d",
        (
            Argument(module.in_channels, role="inputs"),
            Argument(module.out_channels, role="outputs"),
            Argument(_plain(module.kernel_size), role="kernel"),
            Argument(_plain(module.stride), "stride", "stride", 1),
            Argument(_plain(module.padding), "padding", "padding", 0),
            Argument(_plain(module.dilation), "dilation", "dilation", 1),
            Argument(module.groups, "groups", "groups", 1),
            Argument(module.bias is not None, "bias", "bias", True),
        ),
    )
    return Form("depthwise" if depthwise else "conv", call, tensors=own_tensors(module))


for _class in (nn.Conv2d, Convolution, GateLayer):
    source_form(_class)(convolution)


@source_form(nn.BatchNorm2d)
def _batch_norm(module: nn.BatchNorm2d) -> Form:
    call = Call(
        "nn.BatchNorm2d",
        (
            Argument(module.num_features, role="channels"),
            Argument(module.eps, "eps", "eps", 1e-5),
            Argument(module.affine, "affine", "affine", True),
        ),
    )
    return Form("norm", call, tensors=own_tensors(module))


@source_form(ChannelNorm)
def _channel_norm(module: ChannelNorm) -> Form:
    channels = Argument(len(module.weight), role="channels")
    call = Call("ChannelNorm", (channels, Argument(module.eps, "eps", "eps", 1e-6)))
    return Form("norm", call, tensors=own_tensors(module))


@source_form(ChannelAffine)
def _channel_affine(module: ChannelAffine) -> Form:
    call = Call("ChannelAffine", (Argument(len(module.weight), role="channels"),))
    return Form("affine", call, tensors=own_tensors(module))


@source_form(ChannelGate)
def _channel_gate(module: ChannelGate) -> Form:
    calls = [form_of(layer).call for layer in module.layers]
    arguments = tuple(Argument(call) for call in calls if call is not None)
    return Form("gate", Call("ChannelGate", arguments), tensors=own_tensors(module))


@source_form(TokenMixer)
def _token_mixer(module: TokenMixer) -> Form:
    call = Call(
        "TokenMixer",
        (
            Argument(module.in_features, role="positions"),
            Argument(module.out_features, role="positions"),
        ),
    )
    return Form("mixer", call, tensors=own_tensors(module))


def classifier(module: nn.Linear) -> Form:
    """Return the form of a linear layer."""
    call = Call(
        "nn.Linear",
        (
            Argument(module.in_features, role="inputs"),
            Argument(module.out_features, role="outputs"),
            Argument(module.bias is not None, "bias", "bias", True),
        ),
    )
    return Form("head", call, tensors=own_tensors(module))


source_form(Classifier)(classifier)


@source_form(nn.MaxPool2d)
def _max_pool(module: nn.MaxPool2d) -> Form:
    kernel = _plain(module.kernel_size)
    call = Call(
        "nn.MaxPool2d",
        (
            Argument(kernel, role="kernel"),
            Argument(_plain(module.stride), "stride", "stride"),
            Argument(_plain(module.padding), "padding", "padding", 0),
            Argument(bool(module.ceil_mode), "ceil_mode", "ceil_mode", False),
        ),
    )
    return Form("pool", _without_stride(call, kernel))


@source_form(nn.AvgPool2d)
def _average_pool(module: nn.AvgPool2d) -> Form:
    kernel = _plain(module.kernel_size)
    exact = _plain(module.padding) == 0 and not module.ceil_mode
    counts = exact or bool(module.count_include_pad)  # says nothing where nothing is padded
    call = Call(
        "nn.AvgPool2d",
        (
            Argument(kernel, role="kernel"),
            Argument(_plain(module.stride), "stride", "stride"),
            Argument(_plain(module.padding), "padding", "padding", 0),
            Argument(bool(module.ceil_mode), "ceil_mode", "ceil_mode", False),
            Argument(counts, "count_include_pad", "count_padding", True),
        ),
    )
    return Form("pool", _without_stride(call, kernel))


def _without_stride(call: Call, kernel: Value) -> Call:
    """Return the call without a stride that is the kernel, as torch has it by default."""
    return replace(
        call,
        arguments=tuple(
            entry
            for entry in call.arguments
            if not (entry.keyword == "stride" and entry.value == kernel)
        ),
    )


@source_form(nn.Dropout)
def _dropout(module: nn.Dropout) -> Form:
    return Form("dropout", Call("nn.Dropout", (Argument(module.p, role="rate"),)))


@source_form(nn.LeakyReLU)
def _leaky(module: nn.LeakyReLU) -> Form:
    call = simple_call("nn.LeakyReLU", module.negative_slope)
    function = _function(f"F.leaky_relu({{}}, {module.negative_slope!r})")
    return Form("leaky_relu", call, function, inline=True)


def _pointwise(module_class: type[nn.Module], name: str, function: str) -> None:
    def write(_: nn.Module) -> Form:
        return Form(name.lower(), Call(f"nn.{name}"), _function(f"{function}({{}})"), inline=True)

    source_form(module_class)(write)


for _class_, _name, _call in (
    (Rectifier, "ReLU", "F.relu"),
    (nn.ReLU, "ReLU", "F.relu"),
    (nn.ReLU6, "ReLU6", "F.relu6"),
    (nn.SiLU, "SiLU", "F.silu"),
    (nn.GELU, "GELU", "F.gelu"),
    (nn.Mish, "Mish", "F.mish"),
    (nn.Sigmoid, "Sigmoid", "torch.sigmoid"),
    (nn.Hardsigmoid, "Hardsigmoid", "F.hardsigmoid"),
    (nn.Hardswish, "Hardswish", "F.hardswish"),
):
    _pointwise(_class_, _name, _call)


@source_form(GlobalAverage)
def _global_average(_: GlobalAverage) -> Form:
    def write(_: str, inputs: Sequence[Term]) -> Term:
        return Term(f"{inputs[0].held(ATOM)}.mean((2, 3), keepdim=True)")

    return Form("average", Call("GlobalAverage"), write, inline=True)


@source_form(Shuffle)
def _shuffle(module: Shuffle) -> Form:
    call = simple_call("nn.ChannelShuffle", module.groups)
    return Form("shuffle", call, _function(f"F.channel_shuffle({{}}, {module.groups})"))


@source_form(Resize)
def _resize(module: Resize) -> Form:
    return Form(
        "upsample", simple_call("nn.Upsample", scale_factor=module.factor, mode=module.mode)
    )


@source_form(Resample)
def _resample(module: Resample) -> Form:
    size = (int(module.size[0]), int(module.size[1]))
    if not module.shrinks:
        call = simple_call("nn.Upsample", size, mode="bilinear")
        role = replace(call.arguments[0], role="size")
        return Form("upsample", Call(call.name, (role, *call.arguments[1:])))
    if module.window is None:
        return Form("pool", Call("nn.AdaptiveAvgPool2d", (Argument(size, role="size"),)))
    window = _plain(module.window)
    call = Call("nn.AvgPool2d", (Argument(window, role="window"),))
    return Form("pool", call, _function(f"F.avg_pool2d({{}}, {window})"), inline=True)


@source_form(ZeroPad)
def _zero_pad(module: ZeroPad) -> Form:
    call = Call(
        "PadChannels",
        (
            Argument(module.extra, role="extra"),
            Argument(module.stride, "stride", "stride", 1),
        ),
    )
    return Form("pad", call)


@source_form(ChannelPart)
def _channel_part(module: ChannelPart) -> Form:
    def write(_: str, inputs: Sequence[Term]) -> Term:
        return Term(f"{inputs[0].held(ATOM)}.chunk({module.count}, 1)[{module.index}]")

    return Form("part", None, write, inline=True)


@source_form(Scaling)
def _scaling(module: Scaling) -> Form:
    if module.gain is None:
        number = Term(repr(module.start))

        def scaled(_: str, inputs: Sequence[Term]) -> Term:
            return Term(f"{number.text} * {inputs[0].held(PRODUCT)}", PRODUCT)

        return Form("gain", None, scaled, inline=True)

    def learned(attribute: str, inputs: Sequence[Term]) -> Term:
        return Term(f"{attribute} * {inputs[0].held(PRODUCT)}", PRODUCT)

    channels = Argument(len(module.gain), role="channels")
    call = Call("gain", (channels, Argument(module.start, role="start")))
    stored = Stored("", module.gain.detach()[:, None, None], (id(module.gain),))
    return Form("gain", call, learned, tensors=(stored,))


def resized_like() -> Form:
    """Return the form of interpolation to the size of a second tensor."""

    def write(_: str, inputs: Sequence[Term]) -> Term:
        return Term(f"resize_like({inputs[0].text}, {inputs[1].text})")

    return Form("upsample", None, write, inline=True)


def zeros(shape: tuple[int, int, int]) -> Form:
    """Return the form of zeros where a node has no input; it reads any tensor of the batch."""

    def write(_: str, inputs: Sequence[Term]) -> Term:
        sizes = ", ".join(map(str, shape))
        return Term(f"{inputs[0].text}.new_zeros(len({inputs[0].text}), {sizes})")

    return Form("zeros", None, write, inline=True)


def raw_factor(factor: float, degree: int) -> Value:
    """Return a merge's factor as a person would write it."""
    if factor == 1.0:
        return 1.0
    return Raw(f"{degree}**-0.5" if factor == degree**-0.5 else f"1 / {degree}")
