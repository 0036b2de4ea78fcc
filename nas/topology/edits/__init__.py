"""Edits of graphs: a small language of changes that can be applied, undone, recorded and drawn.

Every kind of edit is a frozen dataclass, filed in `EDITS` by its name: `add_edge`, `remove_edge`,
`rewire`, `change_gain`, `insert_node`, `delete_node`, `change_operation`, `change_merge`,
`swap_cell`, `swap_motif`, `edit_cell`, `graft`. `apply` gives a valid graph or an error that names
the node and the way out; `undo` gives the edit that leads back exactly. `mutate` and `crossover`
draw edits; a `Lineage` records them.
"""

from nas.topology.edits.base import EDITS, AbstractEdit, Vocabulary
from nas.topology.edits.cells import EditCell, SwapCell, SwapMotif
from nas.topology.edits.crossover import crossover, crossover_edit
from nas.topology.edits.edges import AddEdge, ChangeGain, RemoveEdge, Rewire, zero_edge
from nas.topology.edits.files import dump_edit, load_edit
from nas.topology.edits.graft import Graft
from nas.topology.edits.lineage import Lineage, graph_digest
from nas.topology.edits.mutation import mutate, mutate_topology, random_edits
from nas.topology.edits.nodes import (
    ChangeMerge,
    ChangeOperation,
    DeleteNode,
    InsertNode,
    contract_node,
    split_edge,
)
from nas.topology.edits.twins import merge_nodes, split_node

__all__ = [
    "EDITS",
    "AbstractEdit",
    "AddEdge",
    "ChangeGain",
    "ChangeMerge",
    "ChangeOperation",
    "DeleteNode",
    "EditCell",
    "Graft",
    "InsertNode",
    "Lineage",
    "RemoveEdge",
    "Rewire",
    "SwapCell",
    "SwapMotif",
    "Vocabulary",
    "contract_node",
    "crossover",
    "crossover_edit",
    "dump_edit",
    "graph_digest",
    "load_edit",
    "merge_nodes",
    "mutate",
    "mutate_topology",
    "random_edits",
    "split_edge",
    "split_node",
    "zero_edge",
]
