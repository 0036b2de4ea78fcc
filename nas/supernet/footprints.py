"""What a step touches of each slot: a leading slice, or several that no single slice covers.

Two members of one step may read `[8, 4]` and `[4, 8]` of the same kernel. The corner that neither
reads must keep its value and its momentum, so their union is cut into boxes that do not overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor

from nas.supernet.weights import leading_slice

Shape = tuple[int, ...]
Footprint = Shape | frozenset[Shape]
"""A leading slice, or leading slices of which none holds another."""
Box = tuple[slice, ...]


def joined(actives: Iterable[Mapping[str, Shape]]) -> dict[str, Footprint]:
    """Return what several members touch together, by slot, in order of first use."""
    shapes: dict[str, set[Shape]] = {}
    for active in actives:
        for key, shape in active.items():
            shapes.setdefault(key, set()).add(shape)
    return {key: _outermost(found) for key, found in shapes.items()}


def _outermost(shapes: set[Shape]) -> Footprint:
    if len(shapes) == 1:
        return next(iter(shapes))
    kept = frozenset(
        shape for shape in shapes if not any(_holds(other, shape) for other in shapes - {shape})
    )
    return next(iter(kept)) if len(kept) == 1 else kept


def _holds(outer: Shape, inner: Shape) -> bool:
    return all(a >= b for a, b in zip(outer, inner, strict=True))


def pieces(tensor: Tensor, footprint: Footprint) -> list[Tensor]:
    """Return views of `tensor` that together are the footprint and do not overlap."""
    if isinstance(footprint, tuple):
        return [leading_slice(tensor, footprint)]
    return [tensor[box] for box in _boxes(footprint)]


def _boxes(shapes: Iterable[Shape]) -> list[Box]:
    """Cut a union of leading slices along its first dimension, then each part along the next."""
    shapes = set(shapes)
    if shapes == {()}:
        return [()]
    boxes: list[Box] = []
    start = 0
    for end in sorted({shape[0] for shape in shapes}):
        reaching = {shape[1:] for shape in shapes if shape[0] >= end}
        boxes += [(slice(start, end), *rest) for rest in _boxes(reaching)]
        start = end
    return boxes
