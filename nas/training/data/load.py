"""`load_data`: from what the user typed to checked images.

A spec is `digits`, a path (an .npz file or a folder of a known kind) or `module:function`. All
sources meet here, so every check and every message holds for every source.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

import numpy as np

from nas.errors import ConfigError, DataError, NotFoundError
from nas.registry import suggest
from nas.sent_files import located
from nas.training.data import checks
from nas.training.data.cifar_binary import is_cifar_folder, load_cifar
from nas.training.data.decoded_cache import Progress, default_memory_budget
from nas.training.data.digits import load_digits_images
from nas.training.data.idx import is_idx_folder, load_idx
from nas.training.data.image_data import (
    ImageData,
    Images,
    RawImages,
    count_duplicates,
    data_fingerprint,
    image_digests,
)
from nas.training.data.image_folder import is_image_folder, load_image_folder
from nas.training.data.layout import find_layout, to_nchw
from nas.training.data.npz import load_npz
from nas.training.data.python_function import load_function
from nas.training.data.resize import resize_images
from nas.training.splits import fixed_test_rows

_log = logging.getLogger("nas")
LARGEST_IMAGE_SIZE = 4096
KNOWN_SETS = ("digits",)
KNOWN_FORMS = (
    "digits, an .npz file, a folder of images per class, an MNIST-type or CIFAR binary folder, or "
    "module:function"
)


def load_data(
    spec: str,
    *,
    image_size: int | None = None,
    memory_budget_bytes: int | None = None,
    progress: Progress | None = None,
) -> ImageData:
    """Load and check a data set.

    Args:
        spec: `digits`, a path, or `module:function` (also `file.py:function`).
        image_size: Side of the square images in pixels; None keeps their size.
        memory_budget_bytes: Folders that decode to more are mapped from a cache file; by default
            a quarter of the machine's memory.
        progress: Called with (images decoded, images in all) while a folder is decoded.

    Raises:
        NotFoundError: If the name, file, module or function does not exist.
        DataError: If the data are corrupt or break a rule; the message names the place.
        ConfigError: If `image_size` is not 1 to 4096.
    """
    if image_size is not None and not 1 <= image_size <= LARGEST_IMAGE_SIZE:
        raise ConfigError(
            f"The image size {image_size} is not possible: it must be 1 to {LARGEST_IMAGE_SIZE} "
            "pixels.",
            fix="Choose a size such as 32.",
        )
    budget = default_memory_budget() if memory_budget_bytes is None else memory_budget_bytes
    raw, resized = _load_raw(spec, image_size, budget, progress)
    return assemble(
        raw, name=short_name(spec), where=spec, image_size=None if resized else image_size
    )


def _load_raw(
    spec: str, image_size: int | None, budget: int, progress: Progress | None
) -> tuple[RawImages, bool]:
    """Return what the source holds, and whether it was scaled to `image_size` already."""
    if spec == "digits":
        return load_digits_images(), False
    spec = located(spec)
    path = Path(spec).expanduser()
    if path.is_file():
        return _load_file(path), False
    if not path.is_dir():
        if _is_function_spec(spec):
            return load_function(spec), False
        raise _unknown(spec)
    if is_idx_folder(path):
        return load_idx(path), False
    if is_cifar_folder(path):
        return load_cifar(path), False
    if is_image_folder(path):
        images = load_image_folder(
            path, image_size=image_size, memory_budget_bytes=budget, progress=progress
        )
        return images, True
    raise _unknown_folder(path)


def _load_file(path: Path) -> RawImages:
    if path.suffix == ".npz":
        return load_npz(path)
    raise DataError(
        f"A file ending in '{path.suffix}' is not a data set that can be read.",
        where=str(path),
        fix=f"Give {KNOWN_FORMS}.",
    )


def _is_function_spec(spec: str) -> bool:
    module, colon, function = spec.rpartition(":")
    return bool(colon) and bool(module) and function.isidentifier()


def _unknown(spec: str) -> NotFoundError:
    if "/" in spec or spec.endswith(".npz"):
        return NotFoundError(
            f"The data set '{spec}' does not exist.", where=spec, fix=f"Give {KNOWN_FORMS}."
        )
    near = suggest(spec, list(KNOWN_SETS))
    hint = f"Did you mean '{near}'? " if near else ""
    return NotFoundError(f"Unknown data set '{spec}'.", fix=f"{hint}Give {KNOWN_FORMS}.")


def _unknown_folder(path: Path) -> DataError:
    if any(path.glob("*_jpeg.npz")):
        return DataError(
            "The folder holds JPEG images in archives, which must be decoded first.",
            where=str(path),
            fix=f"nas data convert {path} OUT.npz, then use OUT.npz.",
        )
    found = sorted(child.name for child in path.iterdir())[:8]
    return DataError(
        "The folder is no data set of a known kind.",
        where=str(path),
        why=f"It holds: {', '.join(found) or 'nothing'}.",
        fix="Give subfolders train/<class>/ and test/<class>/ with images, the four MNIST files, "
        "or the CIFAR binary files.",
    )


def short_name(spec: str) -> str:
    """Return a name for a data set as it stands in a run's name: letters, digits and `-`."""
    last = spec.rpartition(":")[0] or spec
    stem = Path(last).name
    for ending in (".npz", ".py"):
        stem = stem.removesuffix(ending)
    slug = re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")
    return slug or "data"


def assemble(raw: RawImages, *, name: str, where: str, image_size: int | None = None) -> ImageData:
    """Check what a source returned and make an `ImageData` of it.

    Raises:
        DataError: If the images or labels break a rule.
    """
    x_train = checks.checked_images(raw.x_train, where=f"{where}, x_train")
    layout = raw.layout or find_layout(x_train.shape, where=f"{where}, x_train")
    x_train = to_nchw(x_train, layout, where=f"{where}, x_train")
    y_train = checks.checked_labels(raw.y_train, len(x_train), where=f"{where}, y_train")
    if raw.x_test is None:
        test = fixed_test_rows(y_train)
        train = np.setdiff1d(np.arange(len(y_train)), test)
        x_test, y_test = x_train[test], y_train[test]
        x_train, y_train = x_train[train], y_train[train]
        _log.info("%s has no test part: %d images are held out, always the same", where, len(test))
    else:
        x_test = checks.checked_images(raw.x_test, where=f"{where}, x_test")
        x_test = to_nchw(x_test, layout, where=f"{where}, x_test")
        y_test = checks.checked_labels(raw.y_test, len(x_test), where=f"{where}, y_test")
    checks.refuse_different_shapes(x_train, x_test, where=where)
    num_classes = checks.count_classes(y_train, raw.classes, where=where)
    checks.refuse_labels_out_of_range(y_test, num_classes, where=f"{where}, y_test")
    digests = raw.digests
    if image_size is not None and x_train.shape[2:] != (image_size, image_size):
        x_train, x_test = resize_images(x_train, image_size), resize_images(x_test, image_size)
        digests = None
    classes = raw.classes or tuple(str(label) for label in range(num_classes))
    return _with_fingerprint(
        ImageData(name, x_train, y_train, x_test, y_test, classes, fingerprint=""), digests, where
    )


def _with_fingerprint(data: ImageData, digests: Images | None, where: str) -> ImageData:
    if digests is None:
        digests = np.concatenate([image_digests(data.x_train), image_digests(data.x_test)])
    count = len(data.x_train)
    shared, _, _ = count_duplicates(digests[:count], digests[count:])
    if shared:
        _log.warning(
            "%s: %d of %d test images are also training images; the test accuracy will look "
            "better than it is",
            where,
            shared,
            len(data.x_test),
        )
    fingerprint = data_fingerprint(
        digests, data.input_shape, str(data.x_train.dtype), [data.y_train, data.y_test]
    )
    return ImageData(
        data.name,
        data.x_train,
        data.y_train,
        data.x_test,
        data.y_test,
        data.classes,
        fingerprint,
        shared,
    )
