"""Share within a pattern: the third operation of a chain and of a fractal are kept apart."""

from nas.registry import Paper
from nas.supernet.sharing import sharing_policy, stage_pattern
from nas.topology.graph import Architecture


@sharing_policy("family", Paper("Zhao et al.", 2020, arxiv="2006.06863"))
def family(node_name: str, architecture: Architecture) -> str:
    """Return the node's name behind the pattern of its stage.

    Nodes outside the stages (stem, head) are shared by all members.
    """
    pattern = stage_pattern(node_name, architecture)
    return node_name if pattern is None else f"{pattern}:{node_name}"
