"""Operations that patterns fix on their nodes, under the words their parameters use."""

POINTWISE = {"post": "conv1x1", "pre": "bn_relu_conv1x1"}
"""1x1 convolution with its norm and rectifier behind or before it."""

GATES = {"se": "se", "ese": "ese"}
"""Channel gates: squeeze-excitation (Hu et al. 2017, arXiv:1709.01507) and its form with one layer
(Lee and Park 2019, arXiv:1911.06667)."""
