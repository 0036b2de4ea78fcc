"""Products of inputs: all of them, or a trunk times one plus a mask.

`one_plus_mask` is `(1 + sigmoid(M)) * T` of residual attention; `one_plus_raw_mask` takes the mask
as it comes, for a branch that ends in a gate of its own: a mask of 0 leaves the trunk as it is.
Edges with the port `mask` carry `M`, all others `T`; without such a port the main input is `T`.
Several masks, or several trunks, are added up first.
"""

from nas.registry import Paper
from nas.topology.merges import Merge, merge

ATTENTION = Paper("Wang et al.", 2017, arxiv="1704.06904")

merge(
    Merge("product", "module", by_channel=True, fixed_scale=True, formula="product of x_e"),
    Paper("Rao et al.", 2022, arxiv="2207.14284"),
)
merge(
    Merge(
        "one_plus_mask",
        "module",
        by_channel=True,
        fixed_scale=True,
        roles="mask",
        formula="(1 + sigmoid(M)) T",
    ),
    ATTENTION,
)
merge(
    Merge(
        "one_plus_raw_mask",
        "module",
        by_channel=True,
        fixed_scale=True,
        roles="mask",
        formula="(1 + M) T",
    ),
    ATTENTION,
)
