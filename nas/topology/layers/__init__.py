"""Primitive layers as data: what an operation is made of, with shapes and costs by arithmetic.

`nas.cost` adds their numbers up and `nas.model` builds a torch module for each, so shapes,
parameters and multiply-adds are written once, here, and a contract test holds the modules to them.
A new layer is a new `AbstractLayer`, a builder registered in `nas.model.layers`, and, where it may
be written in an operation's text, a word in `nas.topology.operations.tokens`.
"""

from nas.topology.layers.activations import (
    GELU,
    Hardsigmoid,
    Hardswish,
    LeakyReLU,
    Mish,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
)
from nas.topology.layers.base import AbstractFree, AbstractLayer, ChannelUse, Shape, strided
from nas.topology.layers.gates import EffectiveSqueezeExcite, SqueezeExcite
from nas.topology.layers.mixing import ChannelShuffle, Dropout, TokenLinear, Upsample
from nas.topology.layers.norms import AbstractNorm, Affine, BatchNorm, LayerNorm
from nas.topology.layers.windows import (
    AbstractWindow,
    Conv,
    DepthwiseConv,
    GlobalPool,
    Pool,
)

__all__ = [
    "GELU",
    "AbstractFree",
    "AbstractLayer",
    "AbstractNorm",
    "AbstractWindow",
    "Affine",
    "BatchNorm",
    "ChannelShuffle",
    "ChannelUse",
    "Conv",
    "DepthwiseConv",
    "Dropout",
    "EffectiveSqueezeExcite",
    "GlobalPool",
    "Hardsigmoid",
    "Hardswish",
    "LayerNorm",
    "LeakyReLU",
    "Mish",
    "Pool",
    "ReLU",
    "ReLU6",
    "Shape",
    "SiLU",
    "Sigmoid",
    "SqueezeExcite",
    "TokenLinear",
    "Upsample",
    "strided",
]
