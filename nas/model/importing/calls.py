"""One recorded call with its arguments translated, and what handlers of calls share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar, final

from torch import Tensor, nn

from nas.model.importing.leaves import Read
from nas.model.importing.tracing import BATCH
from nas.model.importing.values import Step, Steps, Term, Weighed, refused


@final
@dataclass(frozen=True)
class Learned:
    """A tensor of the module itself: a parameter or a buffer, or a view of one."""

    tensor: Tensor


@final
@dataclass(frozen=True)
class Zeros:
    """Zeros of the shape that the call tells."""

    shape: tuple[int, ...]


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
            raise refused(self.place, "computes with something else than images", SIMPLIFY)
        return first


SIMPLIFY = "Import the modules around it, or write it with layers that can be imported."

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


def copied(call: Call) -> Term:
    """Return the first argument as a value of its own."""
    term = call.term
    step = Step((replace(term, flat=False),), term.shape, call.place)
    return call.steps.add(step, flat=term.flat)


def layered(call: Call, read: Read, module: nn.Module | None) -> Term:
    """Append a layer to the first argument."""
    term = call.term
    if term.flat and term.shape[1:] != (1, 1) and read.layer.parametric:
        raise refused(call.place, "reads positions as channels", SIMPLIFY)
    width = term.shape[0] if read.width is None else read.width
    owner = module if read.layer.parametric or list(_state(module)) else None
    return call.steps.layer(term, Weighed(read.layer, read.stride, width, owner, call.place))


def _state(module: nn.Module | None) -> dict[str, Tensor]:
    return {} if module is None else module.state_dict()


def viewed(call: Call) -> Term:
    """Return the first argument in the shape that the call gives it, row by row the same.

    Raises:
        ArchitectureError: If that is neither flat nor the shape of an image's tensor.
    """
    term = call.term
    wanted = tuple(call.value.shape)
    flat = is_flat(term, wanted)
    if flat is None:
        raise refused(
            call.place,
            f"gives a tensor of shape {term.shape} the shape {wanted[1:]}",
            "Only flattening, and taking it back, can be imported.",
        )
    return replace(term, flat=flat)


def is_flat(term: Term, shape: tuple[int, ...]) -> bool | None:
    """Tell how a tensor of this shape shows a term: flat, or not; None if it is another one."""
    channels, height, width = term.shape
    if shape == (BATCH, *term.shape):
        return False
    single = (height, width) == (1, 1) and shape == (BATCH, channels, *(1,) * (len(shape) - 2))
    return True if single or shape == (BATCH, channels * height * width) else None
