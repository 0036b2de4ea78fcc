"""Weights over everything computed before: depth-weighted averages, GRN, dynamic dense connections.

What the inputs have to be differs, and mixing the two counts every skip twice. `dwa` (DenseFormer)
and `mudd` (MUDDFormer) merge *block states*, which hold their residual already: they start as the
newest input alone. `grn_v1` to `grn_v3` (DeepCrossAttention) merge *layer outputs*: they start as
the sum, which is a residual network. `grn_v1` is `weighted` under its paper's name; v2 has one
number per channel; v3 adds `relu(w x_e)` at every position, and its `w` starts at a hundredth of
the usual spread, because from 0 a rectifier would never let it move. `mudd` adds to static weights
`V gelu(K n(x))` at every position of the newest input `x`, `n` its root-mean-square norm; `V`
starts at 0.
"""

from nas.registry import Paper
from nas.topology.merges import Merge, MergeParameter, merge

DEEP_CROSS = Paper("Heddes et al.", 2025, arxiv="2502.06785")

_BY_CHANNEL = MergeParameter("weights", ("channels",), start="ones")

merge(
    Merge(
        "dwa",
        "module",
        by_channel=True,
        parameters=(MergeParameter("weights"),),
        roles="newest",
        formula="sum of w_e x_e, w_e = 1 for the newest and 0 for the others at first",
    ),
    Paper("Pagliardini et al.", 2024, arxiv="2402.02622"),
)
merge(Merge("grn_v1", weight="scalar", formula="sum of b_e x_e, b_e = 1 at first"), DEEP_CROSS)
merge(
    Merge(
        "grn_v2",
        "module",
        by_channel=True,
        parameters=(_BY_CHANNEL,),
        formula="sum of b_e x_e, one b_e per channel",
    ),
    DEEP_CROSS,
)
merge(
    Merge(
        "grn_v3",
        "module",
        by_channel=True,
        parameters=(
            _BY_CHANNEL,
            MergeParameter("query", ("channels",), "node", "small", "every"),
        ),
        formula="sum of (b_e + relu(w . x_e)) x_e at every position",
    ),
    DEEP_CROSS,
)
merge(
    Merge(
        "mudd",
        "module",
        parameters=(
            MergeParameter("keys", ("channels",), "input", "matrix", "position"),
            MergeParameter("values", ("inputs",), "input", "zeros", "position"),
            MergeParameter("static"),
        ),
        formula="sum of (a + V gelu(K n(x)))_e x_e at every position, x the newest",
        roles="newest",
    ),
    Paper("Xiao et al.", 2025, arxiv="2502.12170"),
)
