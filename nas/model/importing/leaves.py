"""Which layer a torch module is, one reader per class; what has no reader is not imported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, final

from torch import nn

from nas.model.adapters import Resample
from nas.model.importing.values import refused
from nas.model.layer_modules import (
    ChannelAffine,
    ChannelGate,
    ChannelNorm,
    GateLayer,
    GlobalAverage,
    Resize,
    Shuffle,
    TokenMixer,
)
from nas.topology.layers import (
    GELU,
    AbstractLayer,
    Affine,
    BatchNorm,
    ChannelShuffle,
    Conv,
    DepthwiseConv,
    EffectiveSqueezeExcite,
    GlobalPool,
    Hardsigmoid,
    Hardswish,
    LayerNorm,
    LeakyReLU,
    Mish,
    Pool,
    ReLU,
    ReLU6,
    Shape,
    Sigmoid,
    SiLU,
    SqueezeExcite,
    TokenLinear,
    Upsample,
)


@final
class Read(NamedTuple):
    """A layer, its stride, and its output channels (None: those of the input)."""

    layer: AbstractLayer
    stride: int = 1
    width: int | None = None


Reader = Callable[[Any, Shape, str], Read | None]
"""From a module, the shape it reads and its place to its layer; None for the identity."""

ReaderType = TypeVar("ReaderType", bound=Reader)

_READERS: dict[type[nn.Module], Reader] = {}

POINTWISE: dict[type[nn.Module], AbstractLayer] = {
    nn.ReLU: ReLU(),
    nn.ReLU6: ReLU6(),
    nn.SiLU: SiLU(),
    nn.GELU: GELU(),
    nn.Mish: Mish(),
    nn.Sigmoid: Sigmoid(),
    nn.Hardsigmoid: Hardsigmoid(),
    nn.Hardswish: Hardswish(),
    ChannelAffine: Affine(),
    GlobalAverage: GlobalPool(),
    TokenMixer: TokenLinear(),
}
"""Modules that are one layer whatever their arguments."""

IDENTITIES = (nn.Identity, nn.Dropout, nn.Dropout2d, nn.AlphaDropout)
"""Modules that change nothing outside training."""


def is_leaf(module: nn.Module) -> bool:
    """Tell whether a module is read as one layer."""
    return reader_of(module) is not None


def reader_of(module: nn.Module) -> Reader | None:
    """Return what reads a module: the reader of its class, or of the one it stems from.

    A class with a forward of its own is something else than what it stems from.
    """
    for kind in type(module).__mro__:
        if kind in _READERS:
            same = type(module).forward is kind.forward
            return _READERS[kind] if same else None
    return None


def known_modules() -> list[str]:
    """Return the names of torch's classes that can be imported."""
    named = {kind.__name__ for kind in _READERS if kind.__module__.startswith("torch.")}
    return sorted({*named, "Linear", "Flatten"})


def _reads(*kinds: type[nn.Module]) -> Callable[[ReaderType], ReaderType]:
    def decorate(read: ReaderType) -> ReaderType:
        for kind in kinds:
            _READERS[kind] = read
        return read

    return decorate


@_reads(*IDENTITIES)
def _read_identity(module: nn.Module, shape: Shape, place: str) -> None:
    return None


@_reads(*POINTWISE)
def _read_pointwise(module: nn.Module, shape: Shape, place: str) -> Read:
    if getattr(module, "approximate", "none") != "none":
        raise refused(place, "approximates GELU", "Use GELU(approximate='none').")
    kind = next(kind for kind in type(module).__mro__ if kind in POINTWISE)
    return Read(POINTWISE[kind])


@_reads(nn.LeakyReLU)
def _read_leaky(module: nn.LeakyReLU, shape: Shape, place: str) -> Read:
    return Read(LeakyReLU(slope=float(module.negative_slope)))


@_reads(nn.Conv2d)
def _read_conv(module: nn.Conv2d, shape: Shape, place: str) -> Read:
    if module.padding_mode != "zeros":
        raise refused(place, f"pads by '{module.padding_mode}'", "Pad with zeros.")
    dilation = _equal(module.dilation, place, "dilation")
    padding = _padding(module)
    stride = _equal(module.stride, place, "stride")
    biased = module.bias is not None
    kernel = _pair(module.kernel_size)
    if module.groups == module.in_channels == module.out_channels and module.groups > 1:
        depthwise = DepthwiseConv(kernel=kernel, padding=padding, dilation=dilation, bias=biased)
        return Read(depthwise, stride)
    conv = Conv(
        kernel=kernel, padding=padding, groups=module.groups, dilation=dilation, bias=biased
    )
    return Read(conv, stride, module.out_channels)


def _padding(module: nn.Conv2d) -> str | tuple[int, int]:
    return module.padding if isinstance(module.padding, str) else _pair(module.padding)


@_reads(nn.BatchNorm2d, nn.BatchNorm1d)
def _read_norm(module: nn.BatchNorm2d, shape: Shape, place: str) -> Read:
    if module.running_mean is None:
        raise refused(
            place, "normalises by the batch it sees", "Use track_running_stats=True, the default."
        )
    return Read(BatchNorm(eps=module.eps, affine=module.affine))


@_reads(ChannelNorm)
def _read_channel_norm(module: ChannelNorm, shape: Shape, place: str) -> Read:
    return Read(LayerNorm(eps=module.eps))


@_reads(nn.MaxPool2d)
def _read_max_pool(module: nn.MaxPool2d, shape: Shape, place: str) -> Read:
    if _equal(module.dilation, place, "dilation") != 1 or module.return_indices:
        raise refused(place, "pools with dilation or indices", "Use a plain MaxPool2d.")
    pool = Pool(
        kind="max",
        kernel=_pair(module.kernel_size),
        padding=_pair(module.padding),
        ceil=bool(module.ceil_mode),
    )
    return Read(pool, _equal(module.stride, place, "stride"))


@_reads(nn.AvgPool2d)
def _read_average_pool(module: nn.AvgPool2d, shape: Shape, place: str) -> Read:
    if module.divisor_override is not None:
        raise refused(place, "divides by a number of its own", "Leave divisor_override out.")
    padding = _pair(module.padding)
    pool = Pool(
        kind="average",
        kernel=_pair(module.kernel_size),
        padding=padding,
        ceil=bool(module.ceil_mode),
        # Without padding both ways of counting are one.
        count_padding=bool(module.count_include_pad) and padding != (0, 0),
    )
    return Read(pool, _equal(module.stride, place, "stride"))


@_reads(nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
def _read_adaptive_pool(
    module: nn.AdaptiveAvgPool2d | nn.AdaptiveMaxPool2d, shape: Shape, place: str
) -> Read | None:
    average = isinstance(module, nn.AdaptiveAvgPool2d)
    wanted = module.output_size
    sizes = wanted if isinstance(wanted, tuple | list) else (wanted, wanted)
    high, wide = (size or side for size, side in zip(sizes, shape[1:], strict=True))
    if (high, wide) == shape[1:]:
        return None
    if average and (high, wide) == (1, 1):
        return Read(GlobalPool())
    window = (shape[1] // high, shape[2] // wide)
    if shape[1] % high or shape[2] % wide or window[0] != window[1]:
        raise refused(
            place,
            f"pools {shape[1]}x{shape[2]} positions to {high}x{wide}",
            "Pool to 1, or to a size that divides both sides by one number.",
        )
    return Read(
        Pool(kind="average" if average else "max", kernel=window[0], padding="valid"), window[0]
    )


@_reads(nn.Upsample)
def _read_upsample(module: nn.Upsample, shape: Shape, place: str) -> Read | None:
    if module.size is not None:
        sizes = module.size if isinstance(module.size, tuple | list) else (module.size,) * 2
        factors = {size / side for size, side in zip(sizes, shape[1:], strict=True)}
    else:
        scale = module.scale_factor
        factors = set(scale) if isinstance(scale, tuple | list) else {float(scale or 1)}
    factor = factors.pop()
    if factors or factor != int(factor) or module.align_corners:
        raise refused(
            place,
            f"resizes {shape[1]}x{shape[2]} positions in a way of its own",
            "Use a whole factor, the same for both sides, and align_corners=False.",
        )
    return upsampling(int(factor), module.mode, place)


def upsampling(factor: int, mode: str, place: str) -> Read | None:
    """Return the layer that raises the resolution by a factor; None for the factor 1.

    Raises:
        ArchitectureError: If the mode is unknown.
    """
    if factor == 1:
        return None
    if mode == "bilinear":
        return Read(Upsample(factor=factor, mode="bilinear"))
    if mode == "nearest":
        return Read(Upsample(factor=factor, mode="nearest"))
    raise refused(place, f"resizes by '{mode}'", "Use the mode 'nearest' or 'bilinear'.")


@_reads(Resize)
def _read_resize(module: Resize, shape: Shape, place: str) -> Read | None:
    return upsampling(module.factor, module.mode, place)


@_reads(Shuffle)
def _read_shuffle(module: Shuffle, shape: Shape, place: str) -> Read:
    return Read(ChannelShuffle(groups=module.groups))


@_reads(ChannelGate)
def _read_gate(module: ChannelGate, shape: Shape, place: str) -> Read:
    hidden = module.layers[0]
    assert isinstance(hidden, GateLayer)
    if len(module.layers) == 2:
        return Read(EffectiveSqueezeExcite())
    hard = isinstance(module.layers[-1], nn.Hardsigmoid)
    width = hidden.out_channels
    return Read(SqueezeExcite(own_width=width, gate="hardsigmoid" if hard else "sigmoid"))


@_reads(Resample)
def _read_resample(module: Resample, shape: Shape, place: str) -> Read | None:
    if module.shrinks:
        return _read_adaptive_pool(nn.AdaptiveAvgPool2d(module.size), shape, place)
    return _read_upsample(nn.Upsample(module.size, mode="bilinear"), shape, place)


def _pair(value: Any) -> tuple[int, int]:
    """Return height and width of a number that torch takes for both."""
    if isinstance(value, int):
        return (value, value)
    return (int(value[0]), int(value[-1]))


def _equal(value: Any, place: str, name: str) -> int:
    """Return the one number of both sides."""
    high, wide = _pair(value)
    if high != wide:
        raise refused(
            place,
            f"has the {name} {(high, wide)}",
            "Height and width are treated alike: use one number for both.",
        )
    return high
