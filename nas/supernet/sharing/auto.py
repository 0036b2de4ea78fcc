"""Share by position until the gradients of families disagree; then those slots are split.

What is split, and into which groups of families, is measured after a short common training
(`nas.supernet.auto_sharing`) and kept with the weights.
"""

from nas.registry import Paper
from nas.supernet.sharing import sharing_policy
from nas.topology.graph import Architecture


@sharing_policy("auto", Paper("Hu et al.", 2022, arxiv="2203.15207"), measured=True)
def auto(node_name: str, architecture: Architecture) -> str:
    """Return the node's own name: the splits come behind."""
    return node_name
