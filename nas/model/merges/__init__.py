"""Modules that merge a node's inputs.

The linear merges, plain concatenation and pairwise means have one module per form, whatever the
merge is called: names and scales are data in `nas.topology.merges`. Every other merge has a module
here, registered by name, one file per family. A node with a single live input has none at all.
"""

from __future__ import annotations

from nas.cost.shapes import NodeStep
from nas.model.merges.base import (
    MERGE_MODULES,
    AbstractDeclaredMerge,
    AbstractMerge,
    MergeSetup,
    add_up,
    merge_module,
)
from nas.model.merges.linear import (
    CONCATENATION_LIMIT,
    PairwiseMean,
    Projected,
    Stacked,
    Summed,
    Weighted,
    pairwise_coefficients,
    pairwise_mean,
)

__all__ = [
    "CONCATENATION_LIMIT",
    "MERGE_MODULES",
    "AbstractDeclaredMerge",
    "AbstractMerge",
    "MergeSetup",
    "PairwiseMean",
    "Projected",
    "Stacked",
    "Summed",
    "Weighted",
    "add_up",
    "build_declared",
    "build_merge",
    "merge_module",
    "merge_setup",
    "pairwise_coefficients",
    "pairwise_mean",
]


def build_merge(step: NodeStep) -> AbstractMerge | None:
    """Return the merge module of a node, None where it has fewer than two live inputs.

    Raises:
        NotFoundError: If a merge asks for a module that nobody registered.
    """
    degree = len(step.inputs)
    if degree < 2:
        return None
    match step.merge.weight:
        case "identity":
            return Summed(step.factor)
        case "scalar":
            return Weighted(degree, step.factor)
        case "projection":
            return Projected(degree, step.merged[0], step.factor)
        case "stacked":
            return Stacked()
        case "pairwise":
            return PairwiseMean()
        case "module":
            return build_declared(merge_setup(step))


def merge_setup(step: NodeStep) -> MergeSetup:
    """Return what the declared merge of a node is built for."""
    ports = [entry.edge.port for entry in step.inputs]
    roles = step.merge.input_roles(ports)
    return MergeSetup(step.merge, len(ports), step.merged[0], step.factor, roles)


def build_declared(setup: MergeSetup) -> AbstractDeclaredMerge:
    """Return the module that is registered for a merge.

    Raises:
        NotFoundError: If there is none.
    """
    return MERGE_MODULES.get(setup.rule.family)(setup)
