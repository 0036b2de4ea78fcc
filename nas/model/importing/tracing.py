"""The calls a module makes, with the shape of everything it computes.

`torch.fx` records calls on stand-ins. Here every stand-in also carries a tensor without numbers,
so that code may read shapes (`x.view(x.size(0), -1)`) and nothing is allocated; only a decision by
the numbers of a tensor cannot be followed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any, final

import torch
from torch import Tensor, fx, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from nas.errors import ArchitectureError, NasError
from nas.topology.layers import Shape

BATCH = 2
"""Images in the stand-in for a batch."""

MAX_CALLS = 50_000
VALUE, PLACE = "value", "place"
"""Keys of a node's `meta`: its tensor without numbers, and the module that made the call."""

_ROOT = "module"


@final
class ShapedProxy(fx.Proxy):
    """A stand-in that knows its shape."""

    @property
    def _value(self) -> Any:
        return self.node.meta[VALUE]

    @property
    def shape(self) -> torch.Size:
        """Return the shape, as numbers."""
        size: torch.Size = self._value.shape
        return size

    @property
    def ndim(self) -> int:
        """Return the number of dimensions."""
        return len(self.shape)

    @property
    def dtype(self) -> torch.dtype:
        """Return the type of the numbers."""
        kind: torch.dtype = self._value.dtype
        return kind

    @property
    def device(self) -> torch.device:
        """Return the device."""
        device: torch.device = self._value.device
        return device

    def dim(self) -> int:
        """Return the number of dimensions."""
        return self.ndim

    def size(self, dim: int | None = None) -> Any:
        """Return the shape, or one number of it."""
        return self.shape if dim is None else self.shape[dim]

    def numel(self) -> int:
        """Return the number of elements."""
        return self.shape.numel()

    def __len__(self) -> int:
        return len(self._value)

    def __iter__(self) -> Iterator[Any]:
        if not isinstance(self._value, tuple | list):
            return super().__iter__()
        itself: Any = self
        return (itself[index] for index in range(len(self._value)))


@final
class ShapeTracer(fx.Tracer):
    """A tracer that computes the shape of every call as it is recorded.

    Args:
        is_leaf: Tells which modules are calls of their own; others are looked into.
        shape: `(channels, height, width)` of an image.
        dtype: Type of the image's numbers.
    """

    def __init__(
        self, is_leaf: Callable[[nn.Module], bool], shape: Shape, dtype: torch.dtype
    ) -> None:
        super().__init__()
        self._is_leaf = is_leaf
        self._image = (BATCH, *shape)
        self._dtype = dtype
        self._mode = FakeTensorMode(allow_non_fake_inputs=True)
        self._inside: list[str] = []
        self._running = False
        self._calls = 0

    @property
    def where(self) -> str:
        """The module whose code runs."""
        return self._inside[-1] if self._inside else ""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Tell whether a module is one call."""
        return self._is_leaf(m) or super().is_leaf_module(m, module_qualified_name)

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Follow or record the call of a module, and remember whose code runs."""
        if self._running:  # a leaf computes its shape and calls its children
            return forward(*args, **kwargs)
        self._inside.append(place_of(self.path_of_module(m)))
        found = super().call_module(m, forward, args, kwargs)
        self._inside.pop()  # stays where an error left it, which names the place
        return found

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        """Record the reading of a parameter, unless a leaf reads its own."""
        if self._running:
            return attr_val
        return super().getattr(attr, attr_val, parameter_proxy_cache)

    def proxy(self, node: fx.Node) -> fx.Proxy:
        """Return the stand-in of a recorded call."""
        return ShapedProxy(node, self)

    def create_proxy(self, *args: Any, **kwargs: Any) -> fx.Proxy:
        """Record a call and compute its shape."""
        self._calls += 1
        if self._calls > MAX_CALLS:
            raise ArchitectureError(
                f"The module makes more than {MAX_CALLS:,} calls.",
                where=self.where or None,
                fix="Import a part of it, or build the network from a pattern.",
            )
        found = super().create_proxy(*args, **kwargs)
        found.node.meta[PLACE] = self.where
        found.node.meta[VALUE] = self._value_of(found.node)
        return found

    def _value_of(self, node: fx.Node) -> Any:
        if node.op == "output":
            return None
        arguments = fx.node.map_arg(node.args, self._known)
        named = fx.node.map_arg(node.kwargs, self._known)
        self._running = True
        try:
            with self._mode, torch.no_grad():
                return self._computed(node, arguments, named)
        finally:
            self._running = False

    def _known(self, node: fx.Node) -> Any:
        if VALUE not in node.meta:  # a tensor of the module that stands among the arguments
            node.meta[VALUE] = self._value_of(node)
        return node.meta[VALUE]

    def _computed(self, node: fx.Node, arguments: Any, named: Any) -> Any:
        match node.op:
            case "placeholder":
                return torch.empty(self._image, dtype=self._dtype)
            case "call_module":
                return self.root.get_submodule(str(node.target)).forward(*arguments, **named)
            case "call_method":
                return getattr(arguments[0], str(node.target))(*arguments[1:], **named)
            case "get_attr":
                return self._mode.from_tensor(attribute(self.root, str(node.target)))
        assert callable(node.target)
        return node.target(*arguments, **named)


def attribute(root: nn.Module, path: str) -> Tensor:
    """Return the tensor below a module that `get_attr` reads."""
    owner, _, name = path.rpartition(".")
    found: Tensor = getattr(root.get_submodule(owner), name)
    return found


def place_of(path: str) -> str:
    """Return a path as the user knows it, without the module it was wrapped in."""
    return path.removeprefix(_ROOT).removeprefix(".")


@final
class _Wrapped(nn.Module):
    """A module called with one image batch and nothing else, so that defaults are defaults."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Any) -> Any:
        return self.module(x)


def trace(
    module: nn.Module, is_leaf: Callable[[nn.Module], bool], shape: Shape
) -> tuple[fx.Graph, nn.Module]:
    """Return the calls of a module in eval mode, and the module that their paths start at.

    The module is left as it was found.

    Raises:
        ArchitectureError: If its code takes other arguments than a batch, decides by the numbers
            of a tensor, has hooks, or cannot run on images of this shape.
    """
    _check_hooks(module)
    first = next(module.parameters(), None)
    tracer = ShapeTracer(is_leaf, shape, torch.float32 if first is None else first.dtype)
    root = _Wrapped(module)
    training = {child: child.training for child in module.modules()}
    root.eval()
    try:
        return tracer.trace(root), root
    except NasError:
        raise
    except fx.proxy.TraceError as error:
        raise _undecided(tracer.where, str(error)) from error
    except Exception as error:  # whatever the code of a stranger raises
        raise _failed(tracer, module, error) from error
    finally:
        for child, flag in training.items():
            child.training = flag


def _check_hooks(module: nn.Module) -> None:
    """Refuse hooks: what they do is not part of any layer."""
    for path, child in module.named_modules():
        if child._forward_hooks or child._forward_pre_hooks:
            raise ArchitectureError(
                f"{path or 'The module'}: {type(child).__name__} runs a hook, which cannot be "
                "imported.",
                fix="Remove the hook, or do what it does in the module's forward.",
            )


def _undecided(where: str, message: str) -> ArchitectureError:
    return ArchitectureError(
        "The module's code decides by the numbers of a tensor (dynamic control flow): "
        f"{_first_line(message)}",
        where=where or None,
        why="An architecture is one graph for all images.",
        fix="Decide by shapes or by arguments, or import the parts around it one by one.",
    )


def _failed(tracer: ShapeTracer, module: nn.Module, error: Exception) -> ArchitectureError:
    taken = list(inspect.signature(module.forward).parameters.values())
    needed = [entry.name for entry in taken if entry.default is entry.empty and entry.kind < 2]
    if isinstance(error, TypeError) and not tracer.where and len(needed) != 1:
        return ArchitectureError(
            f"The module takes the arguments {', '.join(needed) or 'none'}; only modules of one "
            "batch of images can be imported.",
            fix="Wrap it in a module whose forward takes the images alone.",
        )
    if "data-dependent" in str(error).lower() or "DataDependent" in type(error).__name__:
        return _undecided(tracer.where, str(error))
    return ArchitectureError(
        f"The module cannot run on images of shape {tracer._image[1:]}: "
        f"{type(error).__name__}: {_first_line(str(error))}",
        where=tracer.where or None,
        fix="Give the input_shape (channels, height, width) that it was made for.",
    )


def _first_line(message: str) -> str:
    line = message.strip().partition("\n")[0]
    return line if len(line) <= 200 else f"{line[:197]}..."
