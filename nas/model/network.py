"""`Network`: the stand-alone torch module of an architecture, run node by node as its plan says.

The plan of `nas.cost` has decided every shape and adapter; this file only builds and runs it. The
supernet copies weights in and out by the keys of the modules, so their layout is an interface:
`network.nodes["3"].operation[0]` is the first layer of node 3, `.merge` its merge, `.adapters["1"]`
the adapter of its second live input, `.cell.nodes[...]` the inside of a nested architecture.
"""

from __future__ import annotations

import abc
from collections.abc import Iterable, Sequence
from typing import Any, cast, final

import torch
from torch import Tensor, nn

from nas.cost.count import exit_nodes
from nas.cost.in_place import in_place, node_in_place
from nas.cost.shapes import NodeStep, Plan, plan
from nas.cost.turns import Turn, turns
from nas.errors import ArchitectureError, ConfigError
from nas.model.adapters import build_adapter
from nas.model.in_degree import fill_by_in_degree
from nas.model.initialise import Initialisation, check_initialisation, initialise
from nas.model.layer_modules import ChannelNorm
from nas.model.layers import Classifier, build_operation
from nas.model.merges import build_merge
from nas.model.path_masks import PathMasks, run_masked
from nas.topology.graph import Architecture
from nas.topology.layers import Shape

NORMS = (nn.BatchNorm2d, ChannelNorm)
"""Modules that a tied node may keep for itself."""


def zero_images(like: Tensor, shape: Shape) -> Tensor:
    """Return zeros for a node without inputs, channels last as everything that trains and ships.

    Pooling zeros in the other layout takes longer than the rest of the network, and a sum hands
    its layout on.

    Args:
        like: Any tensor of the batch.
        shape: `(channels, height, width)` of one image.
    """
    channels, height, width = shape
    return like.new_zeros((like.shape[0], height, width, channels)).permute(0, 3, 1, 2)


@final
class NodeModule(nn.Module):
    """One node: adapters, merge, then the operation or the nested cell.

    Args:
        step: What the plan says about the node.

    Attributes:
        adapters: By position among the node's live inputs, oldest first; none for the identity.
        merge: None where fewer than two inputs are live.
        operation: One module per layer; empty for the identity and for cells.
        cell: The nested architecture, if there is one.
    """

    def __init__(self, step: NodeStep) -> None:
        super().__init__()
        self.merged = step.merged
        self.adapters = nn.ModuleDict()
        for position, entry in enumerate(step.inputs):
            adapter = build_adapter(entry.adapter)
            if adapter is not None:
                _rectify_in_place(adapter, in_place(entry.adapter.layers))
                self.adapters[str(position)] = adapter
        self.merge = build_merge(step)
        self.operation = nn.ModuleList()
        if step.operation is not None:
            self.operation = build_operation(
                step.operation, step.merged, step.output[0], step.node.stride
            )
        self.cell = None if step.cell is None else Cell(step.cell)
        _rectify_in_place(self.operation, node_in_place(step))

    def forward(self, inputs: list[Tensor], like: Tensor) -> Tensor:
        """Run the node.

        Args:
            inputs: States of the live sources, oldest first, or their stack alone. The list is
                emptied, so that they can be freed before the operation runs.
            like: Any tensor of the batch; zeros for a node without inputs are made like it.
        """
        return _run_node(self, inputs, like)


def _run_node(node: NodeModule, inputs: list[Tensor], like: Tensor) -> Tensor:
    # Attributes of modules are looked up in three dictionaries, which small networks notice.
    parts: Any = node._modules
    for position, adapter in parts["adapters"]._modules.items():
        place = int(position)
        inputs[place] = adapter(inputs[place])
    if len(inputs) == 1:
        x = inputs.pop()
    elif inputs:
        x = parts["merge"](inputs)
        inputs.clear()
    else:
        x = zero_images(like, node.merged)
    for layer in parts["operation"]._modules.values():
        x = layer(x)
    cell = parts.get("cell")
    return x if cell is None else cast(Tensor, cell(x))


def _hooked(module: nn.Module) -> bool:
    hooks = module.__dict__
    return bool(
        hooks["_forward_hooks"]
        or hooks["_forward_pre_hooks"]
        or hooks["_backward_hooks"]
        or hooks["_backward_pre_hooks"]
    )


def _rectify_in_place(row: nn.Sequential | nn.ModuleList, flags: Sequence[bool]) -> None:
    """Let the flagged layers, the last ones of the row, overwrite what they read."""
    for layer, flag in zip(reversed(list(row)), reversed(flags), strict=False):
        if flag:
            layer.inplace = True  # type: ignore[assignment]


class AbstractWired(nn.Module, abc.ABC):
    """The nodes of a plan and the loop that runs them.

    Args:
        schedule: The plan.

    Attributes:
        plan: The plan.
        nodes: `NodeModule` by node number as text; the input, node 0, has none.
    """

    def __init__(self, schedule: Plan) -> None:
        super().__init__()
        self.plan = schedule
        self.nodes = nn.ModuleDict()
        for step in schedule.steps[1:]:
            self.nodes[str(step.index)] = NodeModule(step)
        _tie(schedule, self.nodes)
        self._turns = turns(schedule)

    def run_nodes(self, x: Tensor) -> Tensor:
        """Run all nodes on `(batch, *plan.input_shape)`; return the state of the last one."""
        return self._run(x, self._turns)[len(self.plan.steps) - 1]

    def run_to(self, x: Tensor, wanted: Sequence[int]) -> list[Tensor]:
        """Run all nodes and return the states of `wanted`, which stay in memory until the end."""
        order = [
            turn._replace(frees=tuple(value for value in turn.frees if value not in wanted))
            for turn in self._turns
        ]
        values = self._run(x, order)
        return [values[index] for index in wanted]

    def _run(self, x: Tensor, order: Sequence[Turn]) -> dict[int, Tensor]:
        """Run all nodes and return the values that are left."""
        values = {0: x}
        nodes: Iterable[Any] = self.nodes._modules.values()
        for node, (index, stacked, kept, reads, frees) in zip(nodes, order, strict=True):
            if stacked:
                values[kept] = torch.cat([values[value] for value in stacked], dim=1)
            inputs = [values[value] for value in reads]
            for value in frees:  # before the node runs: it is their last reader
                del values[value]
            # Calling a module costs as much as a small kernel; without hooks it does nothing else.
            values[index] = node(inputs, x) if _hooked(node) else _run_node(node, inputs, x)
        return values


def _tie(schedule: Plan, nodes: nn.ModuleDict) -> None:
    """Let nodes of one tie share the weights of the first of them.

    Running statistics of norms stay each node's own, as they are of what it reads; so a member of
    a supernet, whose statistics are measured per node, is the same network alone.
    """
    first_of: dict[str, NodeStep] = {}
    normed_of: dict[str, NodeStep] = {}  # the first whose norms the others share, too
    for step in schedule.steps[1:]:
        tie = step.node.tie
        if tie is None:
            continue
        first = first_of.setdefault(tie, step)
        known = None if step.node.own_norms else normed_of.setdefault(tie, step)
        if first is step:
            continue
        _check_tie(schedule, first, step)
        shares_norms = known is not None and known is not step
        owner = known if shares_norms and known is not None else first
        module = cast(NodeModule, nodes[str(step.index)])
        model = cast(NodeModule, nodes[str(owner.index)])
        _share_weights(schedule, model, module, norms=shares_norms)


def _check_tie(schedule: Plan, first: NodeStep, step: NodeStep) -> None:
    def owner(entry: NodeStep) -> tuple[object, ...]:
        operation, width = entry.operation, entry.output[0]
        weights = None  # some layers have weights for every position
        if operation is not None:
            weights = operation.parameters(entry.merged, width, entry.node.stride)
        return (operation, entry.node.cell, entry.merged[0], width, weights)

    if owner(first) != owner(step):
        label = schedule.architecture.label
        raise ArchitectureError(
            f"{label(step.index)} is tied to {label(first.index).lower()}, but the two differ in "
            "operation, cell, channels or number of weights and cannot share weights.",
            fix="Tie only nodes with the same operation, the same widths and, where positions "
            "have weights of their own, the same resolution.",
        )


def _share_weights(
    schedule: Plan, model: NodeModule, module: NodeModule, *, norms: bool = True
) -> None:
    """Let `module` own the weights of `model`; strides and resolutions stay its own.

    Without `norms` it keeps norms of its own.
    """
    pairs: list[tuple[nn.Module, nn.Module]] = [(model.operation, module.operation)]
    if model.cell is not None and module.cell is not None:
        pairs.append((model.cell, module.cell))
    theirs = [slot for pair in pairs for slot in _slots(pair[0])]
    ours = [slot for pair in pairs for slot in _slots(pair[1])]
    shapes = [
        [owner.get_parameter(name).shape for owner, name in slots] for slots in (theirs, ours)
    ]
    if shapes[0] != shapes[1]:
        raise ArchitectureError(
            "Two tied cells need different adapters at their different resolutions, so they "
            "cannot share weights.",
            where=" and ".join(
                schedule.architecture.label(step.index)
                for step in schedule.steps
                if step.node.tie is not None
            ),
            fix="Tie only cells that run at the same resolution.",
        )
    for (owner, name), (other, _) in zip(ours, theirs, strict=True):
        if not norms and isinstance(owner, NORMS):
            continue
        owner.register_parameter(name, other.get_parameter(name))


def _slots(module: nn.Module) -> list[tuple[nn.Module, str]]:
    """Return every place below `module` that holds a parameter, shared ones repeatedly."""
    own = [(module, name) for name, _ in module.named_parameters(recurse=False)]
    return own + [slot for child in module.children() for slot in _slots(child)]


@final
class Cell(AbstractWired):
    """A nested architecture, run in place of an operation."""

    def forward(self, x: Tensor) -> Tensor:
        """Map `(batch, *plan.input_shape)` to `(batch, *plan.output)`."""
        return self.run_nodes(x)


@final
class Network(AbstractWired):
    """A trainable network with a head: global average pooling and a linear classifier.

    An architecture with `head="none"` has none: the network returns the last node's tensor. Every
    exit has a head of its own, which runs only in `exit_logits`.

    Weights depend on `seed` alone; torch's global generator is neither read nor moved.

    Args:
        architecture: The network.
        input_shape: `(channels, height, width)` of one image.
        num_classes: Outputs, at least 1; of no effect without a head.
        initialisation: `aligned` (near the identity, what a supernet shares), `default` (what a
            network trained alone should start from), or `in_degree` (for networks without norms).
        seed: Of the initial weights.

    Shape:
        x: `(batch, channels, height, width)`, any memory format.
        returns: logits, `(batch, num_classes)`; without a head `(batch, *plan.output)`.

    Attributes:
        head: The classifier, None without one.
        exits: The classifier of every exit, by node number as text.

    Raises:
        ArchitectureError: If a shape is impossible, or tied nodes cannot share weights.
        ConfigError: If the initialisation is unknown or there are no classes.
    """

    def __init__(
        self,
        architecture: Architecture,
        input_shape: Shape,
        num_classes: int,
        *,
        initialisation: Initialisation = "aligned",
        seed: int = 0,
    ) -> None:
        check_initialisation(initialisation)
        if num_classes < 1:
            raise ConfigError(
                f"A network needs at least 1 class; got {num_classes}.", fix="The nearest is 1."
            )
        with torch.random.fork_rng(devices=[]):  # layers of plugins may draw from the global one
            torch.manual_seed(seed)
            super().__init__(plan(architecture, (input_shape[0], input_shape[1], input_shape[2])))
        self.architecture = architecture
        self.input_shape = self.plan.input_shape
        self.num_classes = num_classes
        self.head: Classifier | None = None
        if architecture.head != "none":
            self.head = Classifier(self.plan.output[0], num_classes)
        self.exits = nn.ModuleDict(
            {
                str(index): Classifier(self.plan.steps[index].output[0], num_classes)
                for index in exit_nodes(architecture)
            }
        )
        generator = torch.Generator().manual_seed(seed)
        if initialisation == "in_degree":
            initialise(self, generator, "default")
            fill_by_in_degree(self, generator)
        else:
            initialise(self, generator, initialisation)

    def forward(self, x: Tensor, masks: PathMasks | None = None) -> Tensor:
        """Return the logits of a batch.

        Args:
            x: The batch.
            masks: What inputs of merges are multiplied with in this pass; None for nothing.

        Raises:
            ArchitectureError: If the input does not have the shape the network was built for.
        """
        check_input(x, self.input_shape)
        last = self.run_nodes(x) if masks is None else run_masked(self, x, masks)[-1]
        return apply_head(self.head, last)

    def exit_logits(self, x: Tensor, masks: PathMasks | None = None) -> list[Tensor]:
        """Return the logits of every exit, earliest first, and those of the network last.

        Raises:
            ArchitectureError: If the input does not have the shape the network was built for.
        """
        check_input(x, self.input_shape)
        wanted = [*map(int, self.exits), len(self.plan.steps) - 1]
        heads = [*self.exits.values(), self.head]
        if masks is None:
            states = self.run_to(x, wanted)
        else:
            every = run_masked(self, x, masks)
            states = [every[index] for index in wanted]
        return [
            apply_head(cast(Classifier | None, head), state)
            for head, state in zip(heads, states, strict=True)
        ]


def apply_head(head: nn.Module | None, x: Tensor) -> Tensor:
    """Return the logits of the last state, or the state itself where there is no head."""
    return x if head is None else cast(Tensor, head(x.mean((2, 3))))


def check_input(x: Tensor, input_shape: Shape) -> None:
    """Refuse a batch of the wrong shape.

    Raises:
        ArchitectureError: If `x` is not `(batch, *input_shape)`.
    """
    if x.dim() != 4 or tuple(x.shape[1:]) != input_shape:
        channels, height, width = input_shape
        raise ArchitectureError(
            f"The input has shape {tuple(x.shape)}; this network was built for "
            f"(batch, {channels}, {height}, {width}).",
            fix="Resize the images, or build the network for their shape.",
        )
