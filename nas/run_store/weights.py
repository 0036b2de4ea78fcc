"""Weights and checkpoints of a run, addressed by the SHA-256 of their bytes.

A file is `weights/<sha256>.safetensors`. Its name is its checksum, so a load that does not verify
is an error and never a slightly wrong network; equal tensors give equal bytes, so a second `put`
writes nothing. The format cannot carry code.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Final, NoReturn, final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from nas.errors import RunError
from nas.run_store import faults
from nas.run_store.atomic import make_folder, read_bytes, read_only, write_bytes
from nas.run_store.layout import typed

Arrays = Mapping[str, NDArray[Any]]

_SHA: Final = re.compile(r"[0-9a-f]{64}")
_SUFFIX: Final = ".safetensors"
_METADATA_KEY: Final = "nas"
_KINDS: Final = "fiub"
_LENGTH: Final = struct.Struct("<Q")


@final
class WeightStore:
    """The weights of one run.

    Args:
        folder: The folder `weights` of the run; it is made by the first `put`.
        writable: Whether the run was opened by its owner.
        guard: Surrounds every write.
    """

    def __init__(
        self,
        folder: Path,
        *,
        writable: bool = True,
        guard: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.folder = folder
        self._writable = writable
        self._guard = guard

    def put(self, arrays: Arrays, metadata: Mapping[str, Any] | None = None) -> str:
        """Store named arrays with JSON metadata; return the SHA-256 of the file.

        Raises:
            RunError: If an array's type is not a float, integer or boolean of at most 64 bits.
            EnvironmentFault: If the disk is full.
        """
        return self.put_bytes(serialize(arrays, metadata))

    def put_bytes(self, data: bytes) -> str:
        """Store the bytes of a safetensors file; return their SHA-256."""
        self._check_writable()
        sha = hashlib.sha256(data).hexdigest()
        if not self._holds(sha, len(data)):
            faults.reach("weights_before_put")
            with self._guard():
                make_folder(self.folder)
                write_bytes(self.path(sha), data)
            faults.reach("weights_after_put")
        return sha

    def get(self, sha: str) -> dict[str, NDArray[Any]]:
        """Return the arrays stored under `sha`.

        Raises:
            RunError: If they are missing, damaged, or not safetensors.
        """
        data, path = self.get_bytes(sha), self.path(sha)
        try:
            return parse_arrays(data)
        except ValueError as error:
            raise _foreign(path, error) from error

    def metadata(self, sha: str) -> dict[str, Any]:
        """Return the metadata given to `put`, `{}` if there was none.

        Raises:
            RunError: As `get`.
        """
        data, path = self.get_bytes(sha), self.path(sha)
        try:
            return _metadata(data)
        except ValueError as error:
            raise _foreign(path, error) from error

    def get_bytes(self, sha: str) -> bytes:
        """Return the verified bytes of the file stored under `sha`.

        Raises:
            RunError: If `sha` is no SHA-256, or the file is missing or does not match it.
        """
        path = self.path(sha)
        try:
            data = read_bytes(path)
        except FileNotFoundError as error:
            raise RunError(
                f"The weights {sha[:12]} are missing.",
                where=str(path),
                fix=f"Look with `nas doctor {typed(self.folder.parent)}`; the stage that made them "
                "can be run again with `nas resume`.",
            ) from error
        if hashlib.sha256(data).hexdigest() != sha:
            raise RunError(
                f"The weights {sha[:12]} are damaged: their SHA-256 is not their name.",
                where=str(path),
                why="Damaged weights compute plausible but wrong results.",
                fix=f"Run `nas doctor {typed(self.folder.parent)} --repair` to move the file "
                "aside, then `nas resume` to make it again.",
            )
        return data

    def path(self, sha: str) -> Path:
        """Return where the weights `sha` are kept.

        Raises:
            RunError: If `sha` is not 64 lower-case hexadecimal digits.
        """
        if not isinstance(sha, str) or not _SHA.fullmatch(sha):
            raise RunError(
                f"{str(sha)[:80]!r} is not the address of weights; "
                "that is 64 lower-case hexadecimal digits.",
                where=str(self.folder),
                fix="Take the address from a record of the run's log.",
            )
        return self.folder / f"{sha}{_SUFFIX}"

    def names(self) -> list[str]:
        """Return the SHA-256 of every stored file, sorted."""
        if not self.folder.is_dir():
            return []
        names = (path.name.removesuffix(_SUFFIX) for path in self.folder.glob(f"*{_SUFFIX}"))
        return sorted(name for name in names if _SHA.fullmatch(name))

    def collect_garbage(self, keep: Iterable[str]) -> list[str]:
        """Delete every stored file that is not in `keep`; return what was deleted."""
        self._check_writable()
        kept = set(keep)
        dropped = [sha for sha in self.names() if sha not in kept]
        for sha in dropped:
            faults.reach("weights_before_delete")
            self.path(sha).unlink(missing_ok=True)
        return dropped

    def _check_writable(self) -> None:
        if not self._writable:
            raise read_only(self.folder.parent)

    def _holds(self, sha: str, size: int) -> bool:
        path = self.path(sha)
        if path.is_symlink() or not path.is_file() or path.stat().st_size != size:
            return False
        return hashlib.sha256(read_bytes(path)).hexdigest() == sha


def serialize(arrays: Arrays, metadata: Mapping[str, Any] | None = None) -> bytes:
    """Return the safetensors file of `arrays`: equal content gives equal bytes.

    Args:
        arrays: Float, integer or boolean arrays by name, of any shape.
        metadata: JSON values. They are kept under one key, because the order of several keys is
            not fixed by the format.
    """
    plain = {name: _plain(name, array) for name, array in sorted(arrays.items())}
    if not metadata:
        return save(plain)
    try:
        text = json.dumps(dict(metadata), allow_nan=False, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise RunError(
            f"The metadata of weights cannot be written as JSON: {error}.",
            fix="Give plain strings, finite numbers, lists and dictionaries.",
        ) from error
    return save(plain, metadata={_METADATA_KEY: text})


def _plain(name: str, array: NDArray[Any]) -> NDArray[Any]:
    array = np.asarray(array)
    if array.dtype.kind not in _KINDS or array.dtype.itemsize > 8:
        raise RunError(
            f"The array '{name}' has the type {array.dtype}, which weights cannot hold.",
            why="Weights are floats, integers and booleans of at most 64 bits, never objects.",
            fix="Convert it, for example to float32.",
        )
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    # Not ascontiguousarray: it would give a scalar the shape (1,).
    return native if native.flags.c_contiguous else native.copy(order="C")


def parse_arrays(data: bytes) -> dict[str, NDArray[Any]]:
    """Return the arrays in the bytes of a safetensors file.

    Raises:
        ValueError: If they are none; the text says why.
    """
    _header(data)
    try:
        return load(data)
    except (SafetensorError, KeyError) as error:
        raise ValueError(str(error)) from error


def _foreign(path: Path, error: ValueError) -> RunError:
    return RunError(
        f"The weights {path.name[:12]} are not a safetensors file: {error}.",
        where=str(path),
        fix="They were not written by this package; do not use them.",
    )


def _metadata(data: bytes) -> dict[str, Any]:
    named = _header(data).get("__metadata__", {})
    text = named.get(_METADATA_KEY, "{}") if isinstance(named, dict) else None
    if not isinstance(text, str):
        raise ValueError("its metadata are not text by name")
    return _json_object(text, "its metadata")


def _header(data: bytes) -> dict[str, Any]:
    """Return the header; the reader of the format takes a name that stands twice for one."""
    if len(data) < _LENGTH.size:
        raise ValueError("it is shorter than its own length")
    (length,) = _LENGTH.unpack_from(data)
    header = data[_LENGTH.size : _LENGTH.size + length]
    if len(header) != length:
        raise ValueError("its header is cut off")
    return _json_object(header.decode("utf-8"), "its header")


def _json_object(text: str, what: str) -> dict[str, Any]:
    try:
        found = json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError(f"{what} nests too deeply") from None
    if not isinstance(found, dict):
        raise ValueError(f"{what} is no object")
    return found


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in its header")
    return found


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")
