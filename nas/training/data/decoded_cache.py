"""Decoded images in memory, or in one mapped file where they would not fit.

The file is written with plain writes and renamed when whole: a full disk is an error message and
not a killed process, and a broken-off decoding leaves nothing that looks finished. The folder is
`$NAS_CACHE`, else `$XDG_CACHE_HOME/nas`, else `~/.cache/nas`; deleting it costs time only.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from nas.errors import EnvironmentFault
from nas.training.data.decoder import FileDecoder
from nas.training.data.image_data import Images, image_digests

_log = logging.getLogger("nas")
_PROGRESS_EVERY = 256

Progress = Callable[[int, int], None]
Digests = npt.NDArray[np.uint8]


def cache_folder() -> Path:
    """Return the folder of decoded images; it may not exist yet."""
    named = os.environ.get("NAS_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nas"


def default_memory_budget() -> int:
    """Return a quarter of the machine's memory in bytes, or 1 GiB where it is unknown."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 4
    except (ValueError, OSError, AttributeError):
        return 2**30


def decoded_images(
    decoder: FileDecoder, memory_budget_bytes: int, progress: Progress | None
) -> tuple[Images, Digests]:
    """Return all images `(count, channels, height, width)` and one digest per image.

    Raises:
        DataError: If an image does not decode.
        EnvironmentFault: If the cache file cannot be written.
    """
    path = cache_folder() / f"{decoder.key[:32]}.npy"
    cached = _open_cached(path, len(decoder))
    if cached is not None:
        return cached
    shape = (len(decoder), *decoder.image_shape)
    size = int(np.prod(shape, dtype=np.int64))
    if size <= memory_budget_bytes:
        return _decode_into_memory(decoder, shape, progress)
    _log.info("decoding %d images (%d MB) once into %s", len(decoder), size // 10**6, path)
    try:
        _decode_into_file(decoder, shape, path, progress)
    except OSError as error:
        if isinstance(error, EnvironmentFault):
            raise
        raise EnvironmentFault(
            f"The decoded images ({size / 1e6:.0f} MB) cannot be written: {error.strerror}.",
            where=str(path.parent),
            fix="Free space there, set NAS_CACHE to another folder, or choose a smaller "
            "--image-size.",
        ) from error
    cached = _open_cached(path, len(decoder))
    assert cached is not None, "a cache file just written must open"
    return cached


def _decode_into_memory(
    decoder: FileDecoder, shape: tuple[int, ...], progress: Progress | None
) -> tuple[Images, Digests]:
    images = np.empty(shape, dtype=np.uint8)
    for row, image in enumerate(decoder):
        images[row] = image
        _tell(progress, row + 1, len(decoder))
    return images, image_digests(images)


def _decode_into_file(
    decoder: FileDecoder, shape: tuple[int, ...], path: Path, progress: Progress | None
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Two processes may decode at once: each writes its own folder, the last rename wins.
    with tempfile.TemporaryDirectory(dir=path.parent, prefix="decoding-") as scratch:
        images_file, digests_file = Path(scratch) / "images.npy", Path(scratch) / "digests.npy"
        digests = np.empty((len(decoder), 16), dtype=np.uint8)
        with images_file.open("wb") as stream:
            _write_header(stream, shape)
            for row, image in enumerate(decoder):
                stream.write(np.ascontiguousarray(image).data)
                digests[row] = image_digests(image[np.newaxis])[0]
                _tell(progress, row + 1, len(decoder))
            stream.flush()
            os.fsync(stream.fileno())
        np.save(digests_file, digests, allow_pickle=False)
        # The digests go first: images without them do not count as cached.
        digests_file.replace(_digests_path(path))
        images_file.replace(path)


def _write_header(stream: BinaryIO, shape: tuple[int, ...]) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)


def _digests_path(path: Path) -> Path:
    return path.with_suffix(".digests.npy")


def _open_cached(path: Path, count: int) -> tuple[Images, Digests] | None:
    try:
        images = np.load(path, mmap_mode="r", allow_pickle=False)
        digests = np.load(_digests_path(path), allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    whole = len(images) == count and digests.shape == (count, 16) and images.ndim == 4
    return (images, digests) if whole else None


def _tell(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None and (done % _PROGRESS_EVERY == 0 or done == total):
        progress(done, total)
