"""The arithmetic of gates: from probabilities to coefficients that are exact at every vertex.

A node has inputs `e` with probabilities `p_e` and a mixture `m_k` of merges. With

    q_e = p_e / sum p,    D = (sum p)^2 / sum p^2,    c_e = q_e D^(1+s),

`D` is the in-degree that the probabilities amount to, and `s` the power of the merge's scale (0 for
none, -1/2, -1 for the mean). Where every `p_e` is 0 or 1, `q_e = 1/d` and `D = d`, so `c_e` is the
discrete factor exactly. `c` is homogeneous of degree 0: multiplying all probabilities of a node by
one number changes nothing, so that a resource term cannot shrink them for free in front of a norm.

A merge of one input is the identity, whatever its rule. Learned weights therefore act through
`M_e(t) = I + t (M_e - I)` with `t(D) = u^2 (3 - 2u)`, `u = min(1, D - 1)`: 0 for one input, 1 for
two or more, with a continuous derivative, so that it is exact and smooth at vertices.
"""

from __future__ import annotations

import torch
from torch import Tensor


def effective_degree(probabilities: Tensor) -> Tensor:
    """Return `(sum p)^2 / sum p^2` over the last dimension; 0 where all are 0."""
    squares = probabilities.square().sum(-1)
    safe = torch.where(squares > 0, squares, torch.ones_like(squares))
    return probabilities.sum(-1).square() / safe


def merge_strength(degree: Tensor) -> Tensor:
    """Return how far learned merge weights act: 0 for one input, 1 for two or more."""
    excess = (degree - 1).clamp(0, 1)
    return excess.square() * (3 - 2 * excess)


def normalised(probabilities: Tensor) -> Tensor:
    """Return `q_e D`: 1 for the edges that are on and 0 for the others at a vertex.

    What a threshold of one half may be applied to, as opposed to the probabilities themselves.
    """
    total = probabilities.sum(-1, keepdim=True)
    safe = torch.where(total > 0, total, torch.ones_like(total))
    return probabilities / safe * effective_degree(probabilities).unsqueeze(-1)


def merge_coefficients(
    probabilities: Tensor,
    merges: Tensor,
    powers: Tensor,
    learned: Tensor,
    projected: Tensor,
    scalars: Tensor,
) -> tuple[Tensor, Tensor]:
    """Return what every input is multiplied with: a number, and a share of its projection.

    The merged tensor is `sum_e (a_e I + b_e W_e) x_e`.

    Args:
        probabilities: `(nodes, inputs)`; 0 where a node has fewer inputs.
        merges: `(nodes, kinds)` mixture of merge kinds, summing to 1 per node.
        powers: `(nodes, kinds)` power of the in-degree in the scale of each kind.
        learned: `(nodes, kinds)` 1 for kinds with one learned number per input.
        projected: `(nodes, kinds)` 1 for kinds with a projection per input.
        scalars: `(nodes, inputs)` the learned numbers.

    Returns:
        a: `(nodes, inputs)`.
        b: `(nodes, inputs)`.
    """
    degree = effective_degree(probabilities)
    strength = merge_strength(degree).unsqueeze(-1)
    safe = torch.where(degree > 0, degree, torch.ones_like(degree)).unsqueeze(-1)
    share = normalised(probabilities)
    by_kind = merges * safe.pow(powers)
    with_scalar = (by_kind * learned).sum(-1, keepdim=True)
    with_matrix = (by_kind * projected).sum(-1, keepdim=True)
    everything = by_kind.sum(-1, keepdim=True)
    number = everything + strength * (with_scalar * (scalars - 1) - with_matrix)
    return share * number, share * strength * with_matrix
