"""From a traced graph to steps, call by call; what is unknown is refused before anything else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, final

from torch import fx, nn

from nas.model.importing.calls import HANDLERS, IN_PLACE, Call, Head, Learned, is_flat
from nas.model.importing.leaves import known_modules
from nas.model.importing.modules import is_leaf, run_module
from nas.model.importing.tracing import PLACE, VALUE, attribute, place_of
from nas.model.importing.values import Step, Steps, Term, refused
from nas.topology.layers import Shape


def translate(graph: fx.Graph, root: nn.Module, shape: Shape) -> tuple[Steps, Term | Head]:
    """Return the steps of a traced module, and what it gives.

    Raises:
        ArchitectureError: If something in it cannot be imported; the message names it.
    """
    _check_known(graph, root)
    translator = _Translator(root, shape)
    for node in graph.nodes:
        if node.op == "output":
            return translator.steps, _output(translator.arguments(node.args[0]))
        translator.take(node)
    raise AssertionError("every traced graph has an output")


def _check_known(graph: fx.Graph, root: nn.Module) -> None:
    """Refuse everything unknown at once, by name and place."""
    unknown = []
    for node in graph.nodes:
        if node.op == "call_module":
            module = root.get_submodule(str(node.target))
            if not is_leaf(module):
                place = place_of(str(node.target)) or "the module"
                unknown.append(f"{place}: {type(module).__name__}")
        elif node.op in ("call_function", "call_method") and name_of(node) not in HANDLERS:
            unknown.append(_place(node))
    if unknown:
        known = sorted(name for name in HANDLERS if not name.endswith("_"))
        listed = [*dict.fromkeys(unknown)]
        more = f" and {len(listed) - 5} more" if len(listed) > 5 else ""
        raise refused(
            f"{'; '.join(listed[:5])}{more}",
            "is unknown here" if len(listed) == 1 else "are unknown here",
            f"Known modules: {', '.join(known_modules())}. Known functions: {', '.join(known)}.",
        )


def name_of(node: fx.Node) -> str:
    """Return the name of the function or method that is called."""
    return getattr(node.target, "__name__", str(node.target))


def _place(node: fx.Node) -> str:
    if node.op == "call_module":
        return place_of(str(node.target))
    where = str(node.meta.get(PLACE, ""))
    return f"{where}: {name_of(node)}" if where else name_of(node)


@final
class _Translator:
    def __init__(self, root: nn.Module, shape: Shape) -> None:
        self.root = root
        self.steps = Steps()
        self.known: dict[fx.Node, Any] = {}
        self.steps.add(Step((), shape, ""))

    def arguments(self, tree: Any) -> Any:
        """Return arguments with calls replaced by what they gave."""
        if isinstance(tree, fx.Node):
            return self.known[tree]
        if isinstance(tree, slice):
            parts = (tree.start, tree.stop, tree.step)
            return slice(*(self.arguments(part) for part in parts))
        if isinstance(tree, tuple | list):
            return tuple(self.arguments(entry) for entry in tree)
        if isinstance(tree, dict):
            return {key: self.arguments(entry) for key, entry in tree.items()}
        return tree

    def take(self, node: fx.Node) -> None:
        """Translate one call."""
        if node.op == "placeholder":
            self.known[node] = Term(0, self.steps.every[0].shape)
            return
        if node.op == "get_attr":
            self.known[node] = Learned(attribute(self.root, str(node.target)))
            return
        call = Call(
            name_of(node),
            self.arguments(node.args),
            self.arguments(node.kwargs),
            node.meta[VALUE],
            _place(node),
            self.steps,
            all(user.op == "output" for user in node.users),
        )
        if node.op == "call_module":
            module = self.root.get_submodule(str(node.target))
            found = run_module(call, module)
            in_place = bool(getattr(module, "inplace", False))
        else:
            found = HANDLERS[call.name](call)
            named = call.name in IN_PLACE or call.name.endswith("_")
            in_place = named or call.kwargs.get("inplace") is True
        _check_shape(call, found)
        if in_place and isinstance(found, Term) and call.args and isinstance(call.args[0], Term):
            self._overwrite(call, call.args[0], found)
        self.known[node] = found

    def _overwrite(self, call: Call, old: Term, new: Term) -> None:
        """Let everything that is the changed tensor, or a view of it, be the new one."""
        if old.part != (0, 1):
            raise refused(
                call.place, "changes a part of a tensor in place", "Use the form that copies."
            )
        for node, entry in self.known.items():
            if isinstance(entry, Term):
                self.known[node] = self._now(entry, old, new, call.place)
            elif isinstance(entry, tuple):
                self.known[node] = tuple(
                    self._now(each, old, new, call.place) if isinstance(each, Term) else each
                    for each in entry
                )

    def _now(self, entry: Term, old: Term, new: Term, place: str) -> Term:
        if replace(entry, flat=old.flat) == old:
            return replace(new, flat=entry.flat)
        if old.plain and entry.value == old.value and replace(entry, part=(0, 1)).gain == old.gain:
            length = entry.shape[0]
            start = entry.part[0] * length
            whole = self.steps.whole(new, place)
            return replace(self.steps.taken(whole, start, length, place), flat=entry.flat)
        return entry


def _check_shape(call: Call, found: Any) -> None:
    """Hold what was understood against what the module computes."""
    if not isinstance(found, Term) or call.name in ("expand", "expand_as"):
        return
    if is_flat(found, tuple(call.value.shape)) is not found.flat:
        raise refused(
            call.place,
            f"gives a tensor of shape {tuple(call.value.shape)[1:]} per image",
            "Tensors must be (batch, channels, height, width), or flattened.",
        )


def _output(found: Any) -> Term | Head:
    if isinstance(found, Head):
        return found
    if not isinstance(found, Term):
        kind = f"{len(found)} values" if isinstance(found, tuple | dict) else "no image's tensor"
        raise refused(
            "", f"returns {kind}", "Wrap it in a module that returns one tensor per batch."
        )
    if found.flat:
        raise refused(
            "",
            "ends with flattened numbers",
            "End with a Linear, or return the tensor in front of the flattening.",
        )
    return found
