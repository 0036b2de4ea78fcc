"""LAuReL: learned forms of the residual sum, `a f(x) + b (x + B A (x + sum_j g_j x_j))`.

The newest input is `f(x)`. RW learns `a` and `b` (1 at the start), LR the low-rank `B A` on `x`,
PA the same on previous activations `x_j` with a number `g_j` for each. Under PA `x` is the next
newest input and all older ones are previous activations; without it `x` is the sum of all but the
newest. `B` starts at 0, so each starts as the plain residual sum.
"""

from collections.abc import Mapping

from nas.errors import ConfigError
from nas.registry import Paper, Parameter
from nas.topology.merges import Merge, MergeParameter, Roles, merge, merge_family

LAUREL = Paper("Menghani et al.", 2024, arxiv="2411.07501")
RANK = Parameter(16, 1, 4096, "rank of the learned map on the skip")

_WEIGHTS = (
    MergeParameter("alpha", per="node", start="ones"),
    MergeParameter("beta", per="node", start="ones"),
)
_PREVIOUS = (MergeParameter("gamma", start="ones", newest_without=2),)


def _low_rank(numbers: Mapping[str, float], least_degree: int) -> tuple[MergeParameter, ...]:
    rank = int(numbers["rank"])
    if rank != numbers["rank"]:
        raise ConfigError(
            f"'rank' is {numbers['rank']:g}; it must be a whole number.",
            fix=f"The nearest is rank={round(numbers['rank'])}.",
        )
    return (
        MergeParameter("down", (rank, "channels"), "node", "matrix", "position", 0, least_degree),
        MergeParameter("up", ("channels", rank), "node", "zeros", "position", 0, least_degree),
    )


def _laurel(formula: str, roles: Roles, *parameters: MergeParameter, sum_below: int = 0) -> Merge:
    return Merge(
        "laurel",
        "module",
        by_channel=True,
        parameters=parameters,
        roles=roles,
        sum_below=sum_below,
        formula=formula,
    )


merge(
    Merge(
        "laurel_rw",
        "module",
        by_channel=True,
        parameters=_WEIGHTS,
        roles="newest",
        formula="a f + b x",
    ),
    LAUREL,
)


@merge_family("laurel_lr", LAUREL, rank=RANK)
def laurel_lr(numbers: Mapping[str, float]) -> Merge:
    """Return LAuReL-LR: the skip plus a low-rank map of it."""
    return _laurel("f + x + B A x", "newest", *_low_rank(numbers, 2))


@merge_family("laurel_pa", LAUREL, rank=RANK)
def laurel_pa(numbers: Mapping[str, float]) -> Merge:
    """Return LAuReL-PA: the residual sum plus a low-rank map of previous activations."""
    formula = "f + x + B A (sum of g_j x_j)"
    return _laurel(formula, "residual", *_low_rank(numbers, 3), *_PREVIOUS, sum_below=3)


@merge_family("laurel_rw_lr", LAUREL, rank=RANK)
def laurel_rw_lr(numbers: Mapping[str, float]) -> Merge:
    """Return LAuReL-RW+LR."""
    return _laurel("a f + b (x + B A x)", "newest", *_WEIGHTS, *_low_rank(numbers, 2))


@merge_family("laurel_rw_lr_pa", LAUREL, rank=RANK)
def laurel_rw_lr_pa(numbers: Mapping[str, float]) -> Merge:
    """Return LAuReL-RW+LR+PA: one low-rank map reads the skip and the previous activations."""
    formula = "a f + b (x + B A (x + sum of g_j x_j))"
    return _laurel(formula, "residual", *_WEIGHTS, *_low_rank(numbers, 2), *_PREVIOUS)
