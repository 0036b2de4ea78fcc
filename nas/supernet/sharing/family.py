"""Share within a pattern: the third operation of a chain and of a fractal are kept apart."""

import re

from nas.registry import Paper
from nas.supernet.sharing import sharing_policy
from nas.topology.graph import Architecture

_STAGE = re.compile(r"stage(\d+)\.")


@sharing_policy("family", Paper("Zhao et al.", 2020, arxiv="2006.06863"))
def family(node_name: str, architecture: Architecture) -> str:
    """Return the node's name behind the pattern of its stage.

    Nodes outside the stages (stem, head) are shared by all members.
    """
    found = _STAGE.match(node_name)
    if found is None or int(found.group(1)) > len(architecture.wiring):
        return node_name
    return f"{architecture.wiring[int(found.group(1)) - 1]}:{node_name}"
