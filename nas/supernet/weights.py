"""The shared tensors of a supernet, by slot; a member reads leading slices of them.

Every slot starts from a seed of its own key, so its first values do not depend on when, or in which
process, it was first met. Spaces announce their slots through their covering members; the few that
only rare combinations need (a projection between two widths, say) are added when first read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nas.errors import ConfigError, RunError
from nas.model.initialise import aligned_
from nas.model.layers import build_layer
from nas.model.merges.base import started
from nas.seeds import derive_seed
from nas.supernet.sharing_rule import common_key
from nas.supernet.slots import SlotUse
from nas.topology.layers import Conv

Shape = tuple[int, ...]


@final
class SharedWeights(nn.Module):
    """Parameters by slot.

    Args:
        seed: Of the initial values.
    """

    anchor: Tensor
    """Tells the device and the type of the slots."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed
        self._uses: dict[str, SlotUse] = {}
        self._announced: dict[str, Shape] = {}
        self._provisional: dict[str, Shape | None] = {}
        self._replaced: Mapping[str, Tensor] = {}
        self.register_buffer("anchor", torch.zeros(()), persistent=False)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and _name(key) in self._parameters

    def slot(self, key: str) -> nn.Parameter:
        """Return the whole tensor of a slot."""
        parameter = self._parameters[_name(key)]
        assert parameter is not None
        return parameter

    def slots(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yield keys and whole tensors, in order of creation."""
        for name, parameter in self._parameters.items():
            assert parameter is not None
            yield name.replace("\\", "."), parameter

    def read(self, use: SlotUse) -> Tensor:
        """Return the slice that a member reads."""
        whole = self._replaced.get(use.key)
        return leading_slice(self.slot(use.key) if whole is None else whole, use.shape)

    @contextmanager
    def replaced(self, values: Mapping[str, Tensor]) -> Iterator[None]:
        """Let members read other tensors in place of some slots, for training in one thread.

        Args:
            values: Whole tensors by key, such as weights one step ahead or those of a snapshot.
        """
        before, self._replaced = self._replaced, values
        try:
            yield
        finally:
            self._replaced = before

    def hold(self, uses: Iterable[SlotUse], *, provisional: bool = False) -> None:
        """Make sure that every use fits: create what is missing, widen what is too small.

        Args:
            uses: What is to be read.
            provisional: Whether `forget_provisional` is to undo it.
        """
        wanted: dict[str, SlotUse] = {}
        for use in uses:
            self._uses.setdefault(use.key, use)
            known = wanted.get(use.key)
            if known is not None:
                wanted[use.key] = _larger(use, known.shape)
            elif use.key not in self:
                wanted[use.key] = use
            elif not _fits(use.shape, self.slot(use.key).shape):
                wanted[use.key] = _larger(use, tuple(self.slot(use.key).shape))
        for key, use in wanted.items():
            if provisional:
                before = tuple(self.slot(key).shape) if key in self else None
                self._provisional.setdefault(key, before)
            self._create(key, use)

    def trained(self, uses: Iterable[SlotUse]) -> bool:
        """Tell whether no use reads what is held provisionally."""
        for use in uses:
            if use.key in self._provisional:
                before = self._provisional[use.key]
                if before is None or not _fits(use.shape, before):
                    return False
        return True

    def keep_provisional(self) -> None:
        """Make what was held provisionally last: it is trained from now on."""
        self._provisional.clear()

    @torch.no_grad()
    def forget_provisional(self) -> bool:
        """Undo what was held provisionally; return whether there was anything."""
        for key, before in self._provisional.items():
            if before is None:
                del self._parameters[_name(key)]
            else:
                kept = leading_slice(self.slot(key), before).clone()
                self.register_parameter(_name(key), nn.Parameter(kept))
        found = bool(self._provisional)
        self._provisional.clear()
        return found

    def _create(self, key: str, use: SlotUse) -> None:
        value = self._start(key, use)
        if key in self:
            old = self.slot(key).detach()
            leading_slice(value, tuple(old.shape)).copy_(old)
        self.register_parameter(_name(key), nn.Parameter(value))

    def _start(self, key: str, use: SlotUse) -> Tensor:
        """Return the value a slot starts with: a divided one as a copy of the common one."""
        value = _initial(use, self.seed).to(self.anchor)
        common = common_key(key)
        if common != key and common in self:
            known = self.slot(common).detach()
            both = tuple(min(pair) for pair in zip(known.shape, value.shape, strict=True))
            leading_slice(value, both).copy_(leading_slice(known, both))
        return value

    @torch.no_grad()
    def put(self, key: str, value: Tensor) -> None:
        """Create a slot, or replace it, with a copy of `value`."""
        self.register_parameter(_name(key), nn.Parameter(value.detach().to(self.anchor).clone()))

    def drop(self, key: str) -> None:
        """Remove a slot."""
        self._parameters.pop(_name(key), None)

    def announce(self) -> None:
        """Mark the slots so far as those that stored weights must hold."""
        self._announced = {key: tuple(value.shape) for key, value in self.slots()}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return a copy of every slot by key."""
        return {key: value.detach().cpu().numpy().copy() for key, value in self.slots()}

    @torch.no_grad()
    def load_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take the values of `arrays`.

        Slots that are not here yet are created; those that were met late and are not in `arrays`
        go back to their start, and those that were widened late to their stored shape.

        Raises:
            RunError: If a slot of this space is missing or smaller than the space needs.
        """
        late = []
        for key, _ in self.slots():
            found, needed = arrays.get(key), self._announced.get(key)
            if found is None and needed is None:
                late.append(key)
            elif needed is not None and (found is None or not _fits(needed, found.shape)):
                shown = "no weights" if found is None else f"weights of shape {found.shape}"
                raise RunError(
                    f"The stored supernet has {shown} for '{key}', which needs {needed}.",
                    why="It was trained for another space or another sharing policy.",
                    fix="Use the space and the sharing policy of the run.",
                )
        for key, array in arrays.items():
            value = torch.from_numpy(np.ascontiguousarray(array)).to(self.anchor)
            if key in self and self.slot(key).shape == value.shape:
                self.slot(key).copy_(value)
            else:
                self.register_parameter(_name(key), nn.Parameter(value.clone()))
        for key in late:
            use = _larger(self._uses[key], tuple(self.slot(key).shape))
            self.slot(key).copy_(self._start(key, use))
        self._provisional.clear()


def _name(key: str) -> str:
    if "\\" in key:
        raise ConfigError(f"The node name '{key}' holds a backslash.", fix="Rename the node.")
    return key.replace(".", "\\")  # a dot is torch's separator of submodules


def leading_slice(tensor: Tensor, shape: Shape) -> Tensor:
    """Return the first `shape[i]` entries of each dimension; the tensor itself if that is all."""
    if tuple(tensor.shape) == shape:
        return tensor
    return tensor[tuple(slice(size) for size in shape)]


def _fits(inner: Shape, outer: Shape) -> bool:
    return len(inner) == len(outer) and all(a <= b for a, b in zip(inner, outer, strict=True))


def _larger(use: SlotUse, other: Shape) -> SlotUse:
    shape = tuple(max(a, b) for a, b in zip(use.shape, other, strict=True))
    return SlotUse(use.key, shape, use.filling, use.parameter, use.layer)


def _initial(use: SlotUse, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(derive_seed(seed, f"slot {use.key}", 0))
    if use.filling == "ones":
        return torch.ones(use.shape)
    if use.filling == "zeros":
        return torch.zeros(use.shape)
    if use.filling == "kernel":
        return aligned_(torch.empty(use.shape), generator, groups=_groups(use))
    if use.filling in ("matrix", "small"):
        return started(torch.Size(use.shape), use.filling, generator)
    if use.filling == "classifier":
        bound = use.shape[1] ** -0.5
        uniform = torch.rand(use.shape, generator=generator)
        return uniform.mul_(2).sub_(1).mul_(bound)
    assert use.layer is not None
    name = use.key.rpartition("|")[2]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator.initial_seed())
        module = build_layer(*use.layer)
    return dict(module.named_parameters())[name].detach().clone()


def _groups(use: SlotUse) -> int:
    layer = None if use.layer is None else use.layer[0]
    return layer.groups if isinstance(layer, Conv) else 1
