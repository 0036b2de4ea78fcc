"""From recorded calls to steps: one handler per function or method, and the modules of `leaves`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast, final

from torch import Tensor, fx, nn

from nas.errors import ConfigError
from nas.model.importing.leaves import (
    IDENTITIES,
    Read,
    known_modules,
    reader_of,
)
from nas.model.importing.leaves import is_leaf as is_layer
from nas.model.importing.tracing import BATCH, PLACE, VALUE, attribute, place_of
from nas.model.importing.values import Step, Steps, Term, Weighed, refused
from nas.model.merges import AbstractMerge, PairwiseMean, Stacked, Summed
from nas.topology.layers import Conv, Shape


@final
@dataclass(frozen=True)
class Learned:
    """A tensor of the module itself: a parameter or a buffer, or a view of one."""

    tensor: Tensor


@final
@dataclass(frozen=True)
class Head:
    """The linear classifier at the end, and what it reads."""

    term: Term
    module: nn.Linear


@final
@dataclass(frozen=True)
class Call:
    """One recorded call, its arguments translated.

    Args:
        name: Of the function or method.
        args: Translated positional arguments.
        kwargs: Translated named arguments.
        value: Tensor (or tensors) without numbers that it gives.
        place: Where it is made, for messages.
        steps: The steps so far.
        ends: Whether its value is all that the module returns.
    """

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    value: Any
    place: str
    steps: Steps
    ends: bool = False

    def bound(self, *names: str) -> dict[str, Any]:
        """Return the arguments behind the first one by name, those that are given."""
        given = dict(zip(names, self.args[1:], strict=False))
        return {**given, **{key: self.kwargs[key] for key in names if key in self.kwargs}}

    @property
    def term(self) -> Term:
        """Return the first argument, a tensor that depends on the images.

        Raises:
            ArchitectureError: If it is something else.
        """
        first = self.args[0] if self.args else self.kwargs.get("input", self.kwargs.get("x"))
        if not isinstance(first, Term):
            raise refused(self.place, "computes with something else than images", _SIMPLIFY)
        return first


_SIMPLIFY = "Import the modules around it, or write it with layers that can be imported."

Handler = Callable[[Call], Any]
HandlerType = TypeVar("HandlerType", bound=Handler)

HANDLERS: dict[str, Handler] = {}
"""By name of the function or method; `nas.model.importing.functions` fills it."""

IN_PLACE = frozenset({"iadd", "isub", "imul", "itruediv"})


def handles(*names: str) -> Callable[[HandlerType], HandlerType]:
    """Register the decorated function for functions and methods of these names."""

    def decorate(handle: HandlerType) -> HandlerType:
        for name in names:
            HANDLERS[name] = handle
        return handle

    return decorate


def is_leaf(module: nn.Module) -> bool:
    """Tell whether a module is recorded as one call."""
    if isinstance(module, AbstractMerge):  # these three are plain arithmetic
        return not isinstance(module, Summed | Stacked | PairwiseMean)
    return is_layer(module) or _is_plain(module, nn.Linear) or _is_plain(module, nn.Flatten)


def _is_plain(module: nn.Module, kind: type[nn.Module]) -> bool:
    return isinstance(module, kind) and type(module).forward is kind.forward


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
    channels, height, width = found.shape
    expected = (channels * height * width,) if found.flat else found.shape
    if tuple(call.value.shape) != (BATCH, *expected):
        raise refused(
            call.place,
            f"gives a tensor of shape {tuple(call.value.shape)[1:]} per image",
            "Tensors must be (batch, channels, height, width), or flattened.",
        )


def run_module(call: Call, module: nn.Module) -> Any:
    """Return what a module gives."""
    if isinstance(module, AbstractMerge):
        return _run_merge(call, module)
    if isinstance(module, nn.Flatten):
        return viewed(call)
    if _is_plain(module, nn.Linear):
        return _linear(call, cast(nn.Linear, module))
    read = reader_of(module)
    assert read is not None, "unknown modules were refused"
    try:
        found = read(module, call.term.shape, call.place)
    except ConfigError as error:  # a layer that cannot have these numbers
        raise refused(call.place, f"is no layer: {error.what}", error.fix or "") from error
    if found is None:
        is_same = isinstance(module, IDENTITIES)
        return call.term if is_same else copied(call)
    return layered(call, found, module)


def copied(call: Call) -> Term:
    """Return the first argument as a value of its own."""
    term = call.term
    step = Step((replace(term, flat=False),), term.shape, call.place)
    return call.steps.add(step, flat=term.flat)


def layered(call: Call, read: Read, module: nn.Module | None) -> Term:
    """Append a layer to the first argument."""
    term = call.term
    if term.flat and term.shape[1:] != (1, 1) and read.layer.parametric:
        raise refused(call.place, "reads positions as channels", _SIMPLIFY)
    width = term.shape[0] if read.width is None else read.width
    owner = module if read.layer.parametric or list(_state(module)) else None
    return call.steps.layer(term, Weighed(read.layer, read.stride, width, owner, call.place))


def _state(module: nn.Module | None) -> dict[str, Tensor]:
    return {} if module is None else module.state_dict()


def _linear(call: Call, module: nn.Linear) -> Term | Head:
    term = call.term
    if not term.flat:
        raise refused(
            call.place,
            f"reads a tensor of shape {term.shape} as rows of numbers",
            "Flatten the tensor in front of a Linear, or use a 1x1 convolution.",
        )
    high, wide = term.shape[1:]
    if call.ends:
        return _head(call, term, module)
    if high != wide:
        raise refused(
            call.place,
            f"reads {high}x{wide} positions",
            "A Linear reads a square of positions, or one: pool in front of it.",
        )
    conv = Conv(kernel=high, padding="valid", bias=module.bias is not None)
    weighed = Weighed(conv, 1, module.out_features, module, call.place)
    return call.steps.layer(term, weighed, flat=True)


def _head(call: Call, term: Term, module: nn.Linear) -> Head:
    if term.shape[1:] != (1, 1):
        raise refused(
            call.place,
            f"classifies {term.shape[1]}x{term.shape[2]} positions apart",
            "The last Linear reads one number per channel: put nn.AdaptiveAvgPool2d(1) in front.",
        )
    if module.bias is None:
        raise refused(
            call.place, "is a classifier without a bias", "A bias of zeros computes the same."
        )
    return Head(term, module)


def _run_merge(call: Call, module: AbstractMerge) -> Term:
    """Take over a merge module of this package by its name."""
    terms: Sequence[Term] = call.args[0]
    setup = getattr(module, "setup", None)
    factor = float(setup.factor if setup is not None else getattr(module, "factor", 1.0))
    count = len(terms)
    scales = {1.0: "none", count**-0.5: "rsqrt", 1.0 / count: "mean"}
    name = {"Weighted": "weighted", "Projected": "concat"}.get(type(module).__name__)
    masks = tuple(
        "mask" if role == "mask" else "default" for role in (setup.roles if setup else ())
    )
    return call.steps.merged(
        name or setup.rule.name,  # type: ignore[union-attr]
        terms,
        call.place,
        scale="auto" if setup is not None and setup.rule.fixed_scale else scales[factor],
        module=module if list(module.parameters()) else None,
        ports=masks if "mask" in masks else (),
    )


def viewed(call: Call) -> Term:
    """Return the first argument in the shape that the call gives it, row by row the same.

    Raises:
        ArchitectureError: If that is neither flat nor the shape of an image's tensor.
    """
    term = call.term
    wanted = tuple(call.value.shape)
    channels, height, width = term.shape
    if wanted == (BATCH, *term.shape):
        return replace(term, flat=False)
    if wanted == (BATCH, channels * height * width):
        return replace(term, flat=True)
    raise refused(
        call.place,
        f"gives a tensor of shape {term.shape} the shape {wanted[1:]}",
        "Only flattening, and taking it back, can be imported.",
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
