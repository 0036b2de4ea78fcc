"""Operations without weights or windows: identity, zero, rectifier, and norm with rectifier."""

from nas.topology.layers import BatchNorm, ReLU
from nas.topology.operations import operation

operation("identity")
operation("none", zero=True)
operation("relu", ReLU())
operation("bn_relu", BatchNorm(), ReLU())
