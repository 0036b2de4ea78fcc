"""Source `FOLDER` of images per class: `train/<class>/*.png` and `test/<class>/*.png`.

Without a test part a fixed stratified quarter is held out, the same for every run. Images are
decoded when the data are loaded; a set larger than the memory budget is decoded once into a file
in the cache folder and mapped from there, so that it never has to fit into memory.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nas.errors import DataError
from nas.training.data.decoded_cache import Progress, decoded_images
from nas.training.data.decoder import IMAGE_ENDINGS, FileDecoder
from nas.training.data.image_data import RawImages
from nas.training.splits import fixed_test_rows

_log = logging.getLogger("nas")
_TEST_FOLDERS = ("test", "val")


def is_image_folder(folder: Path) -> bool:
    """Whether the folder has subfolders with images, directly or below `train`."""
    root = folder / "train" if (folder / "train").is_dir() else folder
    return any(_image_files(child) for child in _class_folders(root))


def load_image_folder(
    folder: Path,
    *,
    image_size: int | None,
    memory_budget_bytes: int,
    progress: Progress | None = None,
) -> RawImages:
    """Read a folder with one subfolder of images per class.

    Args:
        folder: Holds `train/<class>/` and `test/<class>/` (or `val/`), or `<class>/` directly.
        image_size: Side of the square images in pixels: the shorter side is scaled to it and the
            middle cut out. None keeps the size, which must then be the same for all images.
        memory_budget_bytes: Larger sets are mapped from a cache file.
        progress: Called with (images decoded, images in all).

    Raises:
        DataError: If a class folder is empty, a test class is unknown, an image does not decode,
            or images differ in size while no `image_size` is given.
    """
    train_root = folder / "train" if (folder / "train").is_dir() else folder
    classes = tuple(child.name for child in _class_folders(train_root))
    files, labels = _list_part(train_root, classes)
    test_root = _test_root(folder, train_root)
    if test_root is None:
        held_out = np.isin(np.arange(len(files)), fixed_test_rows(labels))
        # Training files come first, so that each part is a plain slice of a mapped file.
        order = np.concatenate([np.flatnonzero(~held_out), np.flatnonzero(held_out)])
        files, labels = [files[row] for row in order], labels[order]
        count = int((~held_out).sum())
    else:
        count = len(files)
        test_files, test_labels = _list_part(test_root, classes)
        files, labels = files + test_files, np.concatenate([labels, test_labels])
    decoder = FileDecoder(files, folder, image_size)
    images, digests = decoded_images(decoder, memory_budget_bytes, progress)
    return RawImages(
        images[:count],
        labels[:count],
        images[count:],
        labels[count:],
        classes=classes,
        layout="NCHW",
        digests=digests,
    )


def _test_root(folder: Path, train_root: Path) -> Path | None:
    if train_root == folder:
        return None
    for name in _TEST_FOLDERS:
        if (folder / name).is_dir():
            return folder / name
    _log.info("%s has no test folder: a fixed quarter of the images is held out", folder)
    return None


def _class_folders(root: Path) -> list[Path]:
    return sorted(
        child for child in root.iterdir() if child.is_dir() and not child.name.startswith(".")
    )


def _image_files(folder: Path) -> list[Path]:
    return sorted(
        file
        for file in folder.iterdir()
        if file.suffix.lower() in IMAGE_ENDINGS and not file.name.startswith(".") and file.is_file()
    )


def _list_part(root: Path, classes: tuple[str, ...]) -> tuple[list[Path], npt.NDArray[np.int64]]:
    files: list[Path] = []
    labels: list[int] = []
    for child in _class_folders(root):
        if child.name not in classes:
            raise DataError(
                f"The class '{child.name}' has no training image.",
                where=str(child),
                why=f"Classes are the folders of the training part: {', '.join(classes)}.",
                fix="Rename or remove the folder, or add it to the training part.",
            )
        found = _image_files(child)
        if not found:
            raise DataError(
                f"The class folder '{child.name}' holds no image.",
                where=str(child),
                fix=f"Add images ({', '.join(sorted(IMAGE_ENDINGS))}) or remove the folder.",
            )
        files += found
        labels += [classes.index(child.name)] * len(found)
    return files, np.asarray(labels, dtype=np.int64)
