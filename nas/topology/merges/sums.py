"""Sum, mean and nested pairwise mean of the inputs.

A fractal join is the mean of all its inputs at once. Collapsing a tree of two-input joins into one
node gives other weights (1/2, 1/4, ... for the newest inputs), which is `pairwise_mean`.
"""

from nas.registry import Paper
from nas.topology.merges import Merge, merge

FRACTAL = Paper("Larsson et al.", 2016, arxiv="1605.07648")

merge(Merge("sum", formula="sum of x_e"), Paper("He et al.", 2015, arxiv="1512.03385"))
merge(Merge("mean", default_scale="mean", fixed_scale=True, formula="sum of x_e / d"), FRACTAL)
merge(
    Merge(
        "pairwise_mean",
        weight="pairwise",
        fixed_scale=True,
        roles="order",
        formula="((x_1 + x_2) / 2 + x_3) / 2 ..., oldest first",
    ),
    FRACTAL,
)
