"""Share by position: a node's weights belong to its stage and its number in it."""

from nas.registry import Paper
from nas.supernet.sharing import sharing_policy
from nas.topology.graph import Architecture


@sharing_policy("position", Paper("Guo et al.", 2019, arxiv="1904.00420"))
def position(node_name: str, architecture: Architecture) -> str:
    """Return the node's own name: all patterns of a stage share operation number n."""
    return node_name
